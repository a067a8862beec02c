/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of one check of an image, which all files of this folder share. check_run.c
 * sets it up and drives the check: check_map.c and check_extra.c walk the tables,
 * check_refs.c counts what these refer to, and check_print.c prints the result.
 * check_repair.c drives the repair. The command check calls check_run.h, check_repair.h
 * and check_print.h; nothing else outside of the folder knows this state.
 */
#ifndef _QCOWCTL_CHECK_H
#define _QCOWCTL_CHECK_H

#include "check/check_counts.h"
#include "lib/file.h"
#include "qcow/ondisk/entry.h"

/* Exit codes, as of qemu-img check. */
enum check_exit {
	CHECK_CLEAN = 0,
	CHECK_FAILED = 1,
	CHECK_CORRUPT = 2,
	CHECK_LEAKS = 3,
	CHECK_UNSUPPORTED = 63,
};

/**
 * struct check_result - the findings of a check
 * @corruptions: of metadata
 * @leaks: clusters that have a higher refcount than references
 * @check_errors: places that could not be looked at
 * @end_offset: of the last cluster in use, bytes into the file
 * @total: clusters of the disk
 * @allocated: of these, in the file
 * @fragmented: of these, not right behind the one before
 * @compressed: of these, compressed
 * @corruptions_fixed: gone by repair
 * @leaks_fixed: gone by repair
 */
struct check_result {
	u64 corruptions;
	u64 leaks;
	u64 check_errors;
	u64 end_offset;
	u64 total;
	u64 allocated;
	u64 fragmented;
	u64 compressed;
	u64 corruptions_fixed;
	u64 leaks_fixed;
};

/* Refcount blocks that are kept in memory. */
#define CHECK_MAX_SLOTS	256

/**
 * struct check_slot - the refcount block read last of those that share the slot
 * @host_offset: of the block
 * @block: the block; NULL: there is none, or it cannot be read
 * @bad: the block at @host_offset cannot be read
 */
struct check_slot {
	u64 host_offset;
	void *block;
	bool bad;
};

/**
 * struct check - one look at an image
 * @file: its file
 * @h: its header
 * @layout: of its tables
 * @cluster: bytes of a cluster
 * @length: bytes of the file, rounded up to 512 as QEMU does
 * @nr: clusters of the file, and one more if something refers to it
 * @per_block: refcounts of a refcount block
 * @max: the largest refcount there can be
 * @reftable: the refcount table as on disk
 * @reftable_nr: entries of it
 * @refs: references to each cluster
 * @tables: of these, those as the header or as a table other than an L2 table
 * @active: L1 entries of the disk that refer to a cluster as an L2 table
 * @inactive: those of snapshots
 * @l2_index: of each L2 table, 1 and the remainder by 255 of the index of the L1 entries
 *            that refer to it
 * @slots: refcount blocks read last
 * @nr_slots: how many
 * @buf: one cluster
 * @start: the first cluster of the file, which holds the header
 * @start_len: bytes of it that the file has
 * @references: all of them together
 * @trial: look whether another header fits: say nothing, and end early
 * @limit: findings after which a trial ends without a result
 * @budget: bytes of tables that may still be read
 * @res: the result
 * @lines: findings that were printed
 * @quiet: print none
 * @prefix: of each
 * @without_refcounts: count references as if there were no refcounts
 * @damaged: corruptions that are neither refcounts nor COPIED flags
 * @short_snapshots: of these, snapshots whose extra data is too short
 * @overlaps: clusters that hold a table and something else, or a table of two places
 * @uncounted: references beyond the largest refcount there can be
 * @lost: tables that are empty, or bitmaps, in clusters that are not allocated
 * @unread: errno of the first read that failed; 0: none did
 * @unread_at: host offset of that place
 * @keep: free no leaks, as an earlier look found damage or overlaps
 * @beyond: references past the end of the file
 * @reftable_bad: corruptions of the refcount table
 * @low: clusters with a refcount that is too low
 * @unplaced: of these, those without a refcount block
 * @copied: wrong COPIED flags
 */
struct check {
	struct file *file;
	struct qcow_header h;
	struct qcow_layout layout;
	u64 cluster;
	u64 length;
	u64 nr;
	u64 per_block;
	u64 max;
	__be64 *reftable;
	u64 reftable_nr;
	struct counts refs;
	struct counts tables;
	struct counts active;
	struct counts inactive;
	struct counts l2_index;
	struct check_slot slots[CHECK_MAX_SLOTS];
	u32 nr_slots;
	void *buf;
	u8 *start;
	size_t start_len;
	u64 references;
	bool trial;
	u64 limit;
	u64 budget;
	struct check_result res;
	u64 lines;
	bool quiet;
	const char *prefix;
	bool without_refcounts;
	u64 damaged;
	u64 short_snapshots;
	u64 overlaps;
	u64 uncounted;
	u64 lost;
	int unread;
	u64 unread_at;
	bool keep;
	u64 beyond;
	u64 reftable_bad;
	u64 low;
	u64 unplaced;
	u64 copied;
};

/**
 * struct check_l2_walk - a walk over all L2 tables
 * @active: the next one of the disk
 * @inactive: the next one of snapshots
 */
struct check_l2_walk {
	u64 active;
	u64 inactive;
};

static inline void check_l2_start(const struct check *c, struct check_l2_walk *w)
{
	w->active = counts_next(&c->active, 0);
	w->inactive = counts_next(&c->inactive, 0);
}

/* The next cluster that is an L2 table, or UINT64_MAX. */
static inline u64 check_l2_next(const struct check *c, struct check_l2_walk *w)
{
	u64 i = min(w->active, w->inactive);

	if (i == UINT64_MAX)
		return i;
	if (w->active == i)
		w->active = counts_next(&c->active, i + 1);
	if (w->inactive == i)
		w->inactive = counts_next(&c->inactive, i + 1);
	return i;
}

static inline bool check_aligned(const struct check *c, u64 host_offset)
{
	return !(host_offset & (c->cluster - 1));
}

#endif /* _QCOWCTL_CHECK_H */
