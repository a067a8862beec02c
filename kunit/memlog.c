// SPDX-License-Identifier: GPL-2.0
/*
 * A log of the operations on a file, and the parts of them that a disk may have after a
 * power cut: all operations that had ended when a sync began that has ended, and any
 * part of the rest, sector by sector.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "memlog.h"
#include "qtest.h"

#define SECTOR	512

/* --- The log --- */

struct memlog *memlog_create(u32 max, u64 room)
{
	struct memlog *log = kzalloc(sizeof(*log), GFP_KERNEL);

	if (!log)
		return NULL;
	spin_lock_init(&log->lock);
	log->max = max;
	log->room = room;
	log->entries = kvcalloc(max, sizeof(*log->entries), GFP_KERNEL);
	log->arena = kvmalloc(room, GFP_KERNEL);
	if (log->entries && log->arena)
		return log;
	memlog_destroy(log);
	return NULL;
}

/* Nothing was done; nothing is under way. */
void memlog_reset(struct memlog *log)
{
	log->clock = 0;
	log->nr = 0;
	log->used = 0;
	log->full = false;
}

void memlog_destroy(struct memlog *log)
{
	if (!log)
		return;
	kvfree(log->entries);
	kvfree(log->arena);
	kfree(log);
}

static u32 __tick(struct memlog *log)
{
	struct memlog *lead = log->lead;

	if (!lead)
		return ++log->clock;
	spin_lock_nested(&lead->lock, SINGLE_DEPTH_NESTING);
	log->clock = ++lead->clock;
	spin_unlock(&lead->lock);
	return log->clock;
}

/* A stamp for an action of the test itself. */
u32 memlog_now(struct memlog *log)
{
	u32 now;

	spin_lock(&log->lock);
	now = __tick(log);
	spin_unlock(&log->lock);
	return now;
}

/* Return: an entry to be given to memlog_end(), or NULL if there is no room. */
struct memlog_entry *memlog_begin(struct memlog *log, enum memlog_type type,
				  u64 host_offset, u64 len)
{
	u64 bytes = type == MEMLOG_WRITE ? len : 0;
	struct memlog_entry *e = NULL;

	spin_lock(&log->lock);
	if (log->nr < log->max && bytes <= log->room - log->used) {
		e = &log->entries[log->nr++];
		e->type = type;
		e->host_offset = host_offset;
		e->len = len;
		e->data = log->arena + log->used;
		log->used += bytes;
		e->begun = __tick(log);
		e->done = MEMLOG_NEVER;
	} else {
		log->full = true;
	}
	spin_unlock(&log->lock);
	return e;
}

/*
 * A sync that failed makes nothing before it durable: pages that writeback has dropped,
 * no later sync brings back.
 */
static void __lose_unsynced(struct memlog *log)
{
	u32 synced = 0, i;

	for (i = 0; i < log->nr; i++)
		if (log->entries[i].type == MEMLOG_SYNC &&
		    log->entries[i].done != MEMLOG_NEVER)
			synced = max(synced, log->entries[i].begun);
	for (i = 0; i < log->nr; i++)
		if (log->entries[i].type != MEMLOG_SYNC &&
		    log->entries[i].done > synced)
			log->entries[i].done = MEMLOG_NEVER;
}

/* @len: bytes that were done */
void memlog_end(struct memlog *log, struct memlog_entry *e, u64 len, int err)
{
	if (!e)
		return;
	spin_lock(&log->lock);
	if (!err) {
		e->len = len;
		e->done = __tick(log);
	} else if (e->type == MEMLOG_SYNC) {
		__lose_unsynced(log);
	}
	spin_unlock(&log->lock);
}

/* --- The disk --- */

static void zero_between(u8 *data, u64 start, u64 end)
{
	if (start < end)
		memset(data + start, 0, end - start);
}

int memlog_disk_init(struct memlog_disk *d, const struct memlog *log, u64 capacity)
{
	memset(d, 0, sizeof(*d));
	d->log = log;
	d->capacity = capacity;
	d->base = kvzalloc(capacity, GFP_KERNEL);
	d->data = kvzalloc(capacity, GFP_KERNEL);
	return d->base && d->data ? 0 : -ENOMEM;
}

/* The disk's content before the first operation of the log. */
void memlog_disk_start(struct memlog_disk *d, const void *data, u64 size)
{
	zero_between(d->base, size, min(d->base_size, d->capacity));
	memcpy(d->base, data, size);
	d->base_size = size;
	d->base_nr = 0;
}

void memlog_disk_free(struct memlog_disk *d)
{
	kvfree(d->base);
	kvfree(d->data);
	memset(d, 0, sizeof(*d));
}

/* One sector, or an operation's part of it; a sector past the end grows the disk. */
static void apply_piece(const struct memlog_entry *e, u64 host_offset, u64 len, u8 *data,
			u64 *size)
{
	if (e->type == MEMLOG_ZERO) {
		zero_between(data, host_offset, min(host_offset + len, *size));
		return;
	}
	memcpy(data + host_offset, e->data + (host_offset - e->host_offset), len);
	*size = max(*size, host_offset + len);
}

static void apply(const struct memlog_entry *e, u8 *data, u64 *size, u64 capacity)
{
	switch (e->type) {
	case MEMLOG_WRITE:
	case MEMLOG_ZERO:
		apply_piece(e, e->host_offset, e->len, data, size);
		break;
	case MEMLOG_SIZE:
		zero_between(data, e->host_offset, min(*size, capacity));
		*size = e->host_offset;
		break;
	case MEMLOG_GROW:
		*size = max(*size, e->host_offset);
		break;
	case MEMLOG_SYNC:
		break;
	}
}

static void apply_torn(const struct memlog_entry *e, u8 *data, u64 *size,
		       struct rnd_state *rnd)
{
	u64 host_offset = e->host_offset, end = e->host_offset + e->len, n;
	u32 bits = 0, left = 0;

	for (; host_offset < end; host_offset += n, left--, bits >>= 1) {
		n = min(end - host_offset, SECTOR - host_offset % SECTOR);
		if (!left) {
			bits = prandom_u32_state(rnd);
			left = 32;
		}
		if (bits & 1)
			apply_piece(e, host_offset, n, data, size);
	}
}

/* All that ended until then is durable when the power is cut at @when. */
static u32 durable_until(const struct memlog *log, u32 when)
{
	u32 until = 0, i;

	for (i = 0; i < log->nr && log->entries[i].begun < when; i++)
		if (log->entries[i].type == MEMLOG_SYNC &&
		    log->entries[i].done <= when)
			until = max(until, log->entries[i].begun);
	return until;
}

static void advance_base(struct memlog_disk *d, u32 until)
{
	const struct memlog_entry *e;

	for (; d->base_nr < d->log->nr; d->base_nr++) {
		e = &d->log->entries[d->base_nr];
		if (e->begun > until || (e->type != MEMLOG_SYNC && e->done > until))
			break;
		apply(e, d->base, &d->base_size, d->capacity);
	}
}

/**
 * memlog_disk_cut() - cut the power
 * @d: @d->data is the result
 * @when: stamp, not before that of an earlier call
 * @cut: the part of the other operations that is left
 * @rnd: for @cut
 */
void memlog_disk_cut(struct memlog_disk *d, u32 when, enum memlog_cut cut,
		     struct rnd_state *rnd)
{
	u32 until = durable_until(d->log, when), i;
	const struct memlog_entry *e;

	advance_base(d, until);
	memcpy(d->data, d->base, min(d->base_size, d->capacity));
	zero_between(d->data, d->base_size, min(d->size, d->capacity));
	d->size = d->base_size;
	for (i = d->base_nr; i < d->log->nr; i++) {
		e = &d->log->entries[i];
		if (e->begun >= when)
			break;
		if (e->done <= until || cut == MEMLOG_ALL ||
		    (cut == MEMLOG_SOME && qtest_one_in(rnd, 2)) ||
		    (cut == MEMLOG_TORN && e->type > MEMLOG_ZERO && qtest_one_in(rnd, 2)))
			apply(e, d->data, &d->size, d->capacity);
		else if (cut == MEMLOG_TORN && e->type <= MEMLOG_ZERO)
			apply_torn(e, d->data, &d->size, rnd);
	}
}
