/* SPDX-License-Identifier: GPL-2.0 */
/*
 * qcowcut: makes the disks that a power cut may leave, and checks whether the image on
 * them is still good.
 */
#ifndef CUT_H
#define CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "block.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void *xcalloc(size_t nr, size_t size);
/* The whole file; @size may be NULL. */
void *map_file(const char *path, size_t *size);

/* A random number that only depends on @a, @b and @c. */
uint64_t hash(uint64_t a, uint64_t b, uint64_t c);

struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);

/*
 * A tag tells the content of a sector: the number and the generation that the sector
 * names, or one of these two
 */
typedef uint64_t tag_t;

#define TAG_ZERO	((tag_t)-1)
#define TAG_JUNK	((tag_t)-2)

static inline tag_t make_tag(uint32_t sector, uint32_t gen)
{
	return (tag_t)sector << 32 | gen;
}

/* Of a sector's content */
tag_t tag_of(const void *data, uint32_t seed);

/* --- The log of dm-log-writes --- */

enum {
	LOG_FLUSH	= 1,
	LOG_FUA		= 2,
	LOG_DISCARD	= 4,
	LOG_MARK	= 8,
};

/**
 * struct entry - something that happened to the disk
 * @sector: from where
 * @nr: sectors
 * @flags: LOG_*
 * @mark: its number, if it is one
 * @data: of a write, else NULL
 */
struct entry {
	uint64_t sector;
	uint64_t nr;
	uint32_t flags;
	uint32_t mark;
	const unsigned char *data;
};

struct log {
	struct entry *e;
	size_t nr;
};

/* The log begins at that byte. */
void log_load(struct log *l, const char *path, uint64_t begin);

/* --- The disk --- */

/**
 * struct disk - a disk in memory
 * @data: its bytes
 * @tags: the content of each sector
 * @versions: a number for each sector that is another for other content
 * @sectors: how many
 * @seed: of the tags
 * @version: last one given
 * @undo: sectors as they were before disk_begin(); NULL outside
 * @nr_undo: sectors in there
 * @max_undo: room
 * @undoing: whether to remember
 */
struct disk {
	unsigned char *data;
	tag_t *tags;
	uint32_t *versions;
	uint64_t sectors;
	uint32_t seed;
	uint32_t version;
	struct undo {
		uint64_t sector;
		tag_t tag;
		uint32_t version;
		unsigned char data[BLOCK_SIZE];
	} *undo;
	size_t nr_undo;
	size_t max_undo;
	bool undoing;
};

void disk_load(struct disk *d, const char *path, uint32_t seed);
/* @data NULL: zeros */
void disk_write(struct disk *d, uint64_t sector, const unsigned char *data);
/* disk_undo() undoes all writes from here on. */
void disk_begin(struct disk *d);
void disk_undo(struct disk *d);
void disk_save(const struct disk *d, const char *path);

/* --- The image --- */

#define MAX_TREES	16
#define NAME_SIZE	24

/**
 * struct bitmap - one in the image
 * @name: its name
 * @flags: as on disk
 * @bits: log2 of the bytes that one bit stands for
 * @table: its entries
 * @table_size: how many
 */
struct bitmap {
	char name[NAME_SIZE];
	uint32_t flags;
	unsigned int bits;
	uint64_t table;
	uint32_t table_size;
};

/**
 * struct qcow2 - an image on a disk, looked at again and again
 * @d: the disk
 * @backing: the content of the backing file, NULL for zeros
 * @nr_backing: sectors in there
 * @got: the content of each of its sectors
 * @sectors: how many there are
 * @dirty: it says that its refcounts may be wrong
 * @why: the first fault, empty if there is none
 * @names: of each tree, empty for the active one
 * @nr_bitmaps: there are
 * @lost_bitmaps: a change of them was cut that took two sectors
 * @lenient: a COPIED flag may be missing, or there although the refcount is too high
 * @stale: so many are
 *
 * The rest is of qcow2.c.
 */
struct qcow2 {
	struct disk *d;
	const tag_t *backing;
	uint64_t nr_backing;
	bool has_backing;
	tag_t *got;
	uint64_t sectors;
	bool dirty;
	char why[300];

	unsigned int version;
	unsigned int cluster_bits;
	unsigned int refcount_order;
	bool extended;
	bool zstd;
	uint64_t clusters;
	uint64_t table;
	uint32_t table_entries;
	uint32_t *refs;
	uint32_t *tree;
	unsigned char *kind;
	uint32_t trees;
	/* called with each tree's content, 0 the active one */
	bool (*judge)(struct qcow2 *q, uint32_t tree, void *arg);
	char names[MAX_TREES][NAME_SIZE];
	struct bitmap bitmaps[MAX_CHANGES];
	uint32_t nr_bitmaps;
	bool lost_bitmaps;
	bool lenient;
	uint32_t stale;
	uint64_t room;
	void *judge_arg;
	struct inflated *cache;
};

enum kind {
	KIND_FREE,
	KIND_HEADER,
	KIND_REFTABLE,
	KIND_REFBLOCK,
	KIND_L1,
	KIND_L2,
	KIND_DATA,
	KIND_COMPRESSED,
	KIND_SNAPSHOTS,
	KIND_BITMAPS,
};

void qcow2_init(struct qcow2 *q, struct disk *d);
/* Return: whether all is well; else @q->why names the fault. */
bool qcow2_check(struct qcow2 *q);
/* Whether a bitmap has the bit for that sector. */
bool qcow2_bit(const struct qcow2 *q, const struct bitmap *b, uint64_t sector);
bool qcow2_wrong(struct qcow2 *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Of one compressed cluster: the tags in it; NULL if it is damaged */
const tag_t *inflate_cluster(struct qcow2 *q, uint64_t off, uint64_t len);

/* --- The content that the image has to have --- */

/**
 * struct oracle - the content that each sector may have
 * @rec: the journal
 * @nr: records
 * @past: records up to the last mark passed
 * @ahead: records up to the mark after
 * @flushed: for each sector, the last operation that is durable
 * @zeroed: for each sector, the last operation that may make it zeros
 * @touched: for each sector, the last operation that may have begun
 * @lenient: from there on a sector may hold anything until it is durable
 * @base: for each sector, its content before all of them
 * @first: its content in the beginning
 * @sectors: how many there may ever be
 * @size: how many there are
 * @last: the last operation that may have begun
 * @first_sectors: of the disk in the beginning; snapshots have as many
 * @now: the change that may be half done; @gen 0 for none
 * @snapshots: those that are there, a bit for each
 * @bitmaps: the same of bitmaps
 * @since: for each bitmap, the first operation that it has to know of
 * @floor: for each sector, the first operation since it got its @base
 * @content: of each snapshot when it was made
 */
struct oracle {
	const struct journal_record *rec;
	size_t nr;
	size_t past;
	size_t ahead;
	uint32_t *flushed;
	uint32_t *zeroed;
	uint32_t *touched;
	bool lenient;
	tag_t *base;
	tag_t *first;
	uint64_t sectors;
	uint32_t last;
	uint64_t first_sectors;
	uint64_t size;
	struct journal_record now;
	uint64_t snapshots;
	uint64_t bitmaps;
	uint32_t since[MAX_CHANGES];
	uint32_t *floor;
	const tag_t *content;
	struct pending *pending;
	size_t nr_pending;
	size_t max_pending;
};

void oracle_init(struct oracle *o, const char *journal, tag_t *base,
		 uint64_t sectors, bool lenient);
/* The log has passed mark @nr. */
void oracle_pass(struct oracle *o, uint32_t nr);
bool oracle_judge(const struct oracle *o, struct qcow2 *q, uint32_t tree);
/* Whether COPIED flags may be out of date */
bool oracle_may_be_stale(const struct oracle *o);
/* The content that the snapshot of that name has to have */
const tag_t *oracle_snapshot(const struct oracle *o, const char *name);

#endif /* CUT_H */
