/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memlog owns a log of the operations on a memfile, each with stamps of its begin and end.
 * A memlog_disk makes of it the file that a power cut at any stamp may leave.
 */
#ifndef _QCOW_MEMLOG_H
#define _QCOW_MEMLOG_H

#include <linux/prandom.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* Operations that change a file, and those that make changes durable. */
enum memlog_type {
	MEMLOG_WRITE,
	MEMLOG_ZERO,	/* fallocate: the range reads as zeros */
	MEMLOG_SIZE,	/* @host_offset is the new size */
	MEMLOG_GROW,	/* the same, if the file is shorter */
	MEMLOG_SYNC,
};

/* Stamp of an operation that has not ended well, and may be on the disk or not for ever. */
#define MEMLOG_NEVER	U32_MAX

/**
 * struct memlog_entry - one operation
 * @type: which
 * @begun: stamp of its begin
 * @done: stamp of its end, or MEMLOG_NEVER
 * @host_offset: bytes into the file
 * @len: bytes
 * @data: of a write
 */
struct memlog_entry {
	enum memlog_type type;
	u32 begun;
	u32 done;
	u64 host_offset;
	u64 len;
	u8 *data;
};

/**
 * struct memlog - the operations on a file, in the order of their begins
 * @lock: protects the members below
 * @clock: the last stamp
 * @lead: another log, whose clock is used; or NULL
 * @entries: room for @max
 * @nr: of @entries
 * @max: of @entries
 * @arena: data of writes
 * @used: bytes of @arena
 * @room: bytes of @arena
 * @full: operations are missing, for there was no room
 */
struct memlog {
	spinlock_t lock; /* protects the members below */
	u32 clock;
	struct memlog *lead;
	struct memlog_entry *entries;
	u32 nr;
	u32 max;
	u8 *arena;
	u64 used;
	u64 room;
	bool full;
};

/**
 * struct memlog_disk - the content of a disk after the power was cut
 * @log: the operations on it
 * @base: contents, all entries before @base_nr applied
 * @base_size: bytes of @base
 * @base_nr: see @base
 * @data: contents after the cut
 * @size: bytes of @data
 * @capacity: bytes that there is room for at @base and @data
 */
struct memlog_disk {
	const struct memlog *log;
	u8 *base;
	u64 base_size;
	u32 base_nr;
	u8 *data;
	u64 size;
	u64 capacity;
};

/* The part that is left of the operations that no sync covers. */
enum memlog_cut {
	MEMLOG_NONE,
	MEMLOG_ALL,
	MEMLOG_SOME,	/* some of the operations */
	MEMLOG_TORN,	/* some sectors of each operation */
	MEMLOG_CUTS,
};

struct memlog *memlog_create(u32 max, u64 room);
void memlog_reset(struct memlog *log);
void memlog_destroy(struct memlog *log);
u32 memlog_now(struct memlog *log);
struct memlog_entry *memlog_begin(struct memlog *log, enum memlog_type type,
				  u64 host_offset, u64 len);
void memlog_end(struct memlog *log, struct memlog_entry *e, u64 len, int err);

int memlog_disk_init(struct memlog_disk *d, const struct memlog *log, u64 capacity);
void memlog_disk_start(struct memlog_disk *d, const void *data, u64 size);
void memlog_disk_free(struct memlog_disk *d);
void memlog_disk_cut(struct memlog_disk *d, u32 when, enum memlog_cut cut,
		     struct rnd_state *rnd);

#endif /* _QCOW_MEMLOG_H */
