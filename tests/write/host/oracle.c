// SPDX-License-Identifier: GPL-2.0
/*
 * The content that each sector may have after a power cut, by the journal.
 *
 * A sector may have the content that the last durable operation gave it, or that of any
 * later operation that had begun. Without such operations it has its first content.
 * Discards are never durable: a sector that one did not zero may keep its content.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"

#define BITMAP_IN_USE	1

/* An operation that began and is not yet durable */
struct pending {
	struct journal_record r;
	bool done;
};

static void *resized(void *array, uint64_t nr, size_t size)
{
	array = realloc(array, nr * size);
	if (!array)
		die("out of memory");
	return array;
}

/* The disk may grow. */
static uint64_t most_sectors(const struct oracle *o)
{
	uint64_t most = o->size;
	size_t i;

	for (i = 0; i < o->nr; i++)
		if (o->rec[i].type == J_CHANGE && o->rec[i].gen == C_SIZE &&
		    o->rec[i].sector > most)
			most = o->rec[i].sector;
	return most;
}

static void load_content(struct oracle *o, const char *journal)
{
	char path[512];
	size_t i;

	snprintf(path, sizeof(path), "%s.content", journal);
	for (i = 0; i < o->nr; i++) {
		if (o->rec[i].type == J_CHANGE && o->rec[i].gen == C_CREATE) {
			o->content = map_file(path, NULL);
			return;
		}
	}
}

void oracle_init(struct oracle *o, const char *journal, tag_t *base,
		 uint64_t sectors, bool lenient)
{
	size_t size = 0;
	uint64_t i;

	memset(o, 0, sizeof(*o));
	if (journal)
		o->rec = map_file(journal, &size);
	o->nr = size / sizeof(*o->rec);
	o->size = o->first_sectors = sectors;
	if (journal)
		load_content(o, journal);
	o->sectors = most_sectors(o);
	o->base = resized(base, o->sectors, sizeof(*base));
	for (i = sectors; i < o->sectors; i++)
		o->base[i] = TAG_ZERO;
	o->first = xcalloc(o->sectors, sizeof(*o->first));
	memcpy(o->first, o->base, o->sectors * sizeof(*o->first));
	o->floor = xcalloc(o->sectors, sizeof(*o->floor));
	o->flushed = xcalloc(o->sectors, sizeof(*o->flushed));
	o->zeroed = xcalloc(o->sectors, sizeof(*o->zeroed));
	o->touched = xcalloc(o->sectors, sizeof(*o->touched));
	o->lenient = lenient;
	oracle_pass(o, 0);
}

static void set_range(uint32_t *array, const struct journal_record *r)
{
	uint32_t i;

	for (i = r->sector; i < r->sector + r->nr; i++)
		if (array[i] < r->gen)
			array[i] = r->gen;
}

static void durable(struct oracle *o, size_t i)
{
	if (o->pending[i].r.type != J_DISCARD)
		set_range(o->flushed, &o->pending[i].r);
	o->pending[i] = o->pending[--o->nr_pending];
}

static void began(struct oracle *o, const struct journal_record *r)
{
	if (o->nr_pending == o->max_pending) {
		o->max_pending = o->max_pending * 2 + 256;
		o->pending = realloc(o->pending, o->max_pending * sizeof(*o->pending));
		if (!o->pending)
			die("out of memory");
	}
	o->pending[o->nr_pending++] = (struct pending){ .r = *r };
}

static void done(struct oracle *o, uint32_t gen)
{
	size_t i;

	for (i = 0; i < o->nr_pending; i++) {
		struct pending *p = &o->pending[i];

		if (p->r.gen != gen)
			continue;
		p->done = true;
		if (p->r.type == J_FUA)
			durable(o, i);
		return;
	}
	die("the journal: operation %u ended, but never began", gen);
}

/* Whether the record says that something began that may still fail to last */
static bool is_operation(const struct journal_record *r)
{
	return r->type >= J_WRITE && r->type <= J_DISCARD;
}

/*
 * A flush that ended makes those operations durable that had ended when it began. Flushes
 * do not overlap: an operation that ended before J_FLUSH ended before the flush that
 * J_FLUSHED acknowledges.
 */
static void flushed(struct oracle *o, size_t end)
{
	size_t i, begin = end;

	while (begin && o->rec[begin].type != J_FLUSH)
		begin--;
	/* Operations that ended in between are not durable. */
	for (i = begin; i < end; i++)
		if (o->rec[i].type == J_DONE)
			die("the journal: something was done during a flush");
	for (i = o->nr_pending; i-- > 0;)
		if (o->pending[i].done)
			durable(o, i);
}

/* --- Changes of the image --- */

/* From @from on the disk holds @tags, or zeros; nothing that was written counts. */
static void begin_anew(struct oracle *o, uint64_t from, const tag_t *tags, uint32_t gen)
{
	uint64_t s;
	size_t i;

	for (s = from; s < o->sectors; s++) {
		o->base[s] = tags && s < o->first_sectors ? tags[s] : TAG_ZERO;
		o->flushed[s] = 0;
		o->zeroed[s] = 0;
		o->touched[s] = 0;
		o->floor[s] = gen;
	}
	for (i = 0; i < o->nr_pending; i++) {
		struct journal_record *r = &o->pending[i].r;

		if (r->sector >= from)
			r->nr = 0;
		else if (r->sector + r->nr > from)
			r->nr = from - r->sector;
	}
}

static const tag_t *content_of(const struct oracle *o, uint32_t number)
{
	return o->content + (uint64_t)number * o->first_sectors;
}

static void changed(struct oracle *o, const struct journal_record *r)
{
	uint64_t bit = 1ull << r->sector % MAX_CHANGES;

	switch (r->gen) {
	case C_CREATE:
		o->snapshots |= bit;
		break;
	case C_DELETE:
		o->snapshots &= ~bit;
		break;
	case C_APPLY:
		begin_anew(o, 0, content_of(o, r->sector), r->nr);
		break;
	case C_SIZE:
		begin_anew(o, r->sector < o->size ? r->sector : o->size, NULL, r->nr);
		o->size = r->sector;
		break;
	case C_ADD:
		o->bitmaps |= bit;
		o->since[r->sector % MAX_CHANGES] = r->nr;
		break;
	case C_REMOVE:
		o->bitmaps &= ~bit;
		break;
	}
	o->now.gen = 0;
}

static bool is_now(const struct oracle *o, uint32_t change)
{
	return o->now.gen == change;
}

static void promise(struct oracle *o, size_t i)
{
	const struct journal_record *r = &o->rec[i];

	if (is_operation(r))
		began(o, r);
	else if (r->type == J_DONE)
		done(o, r->gen);
	else if (r->type == J_FLUSHED)
		flushed(o, i);
	else if (r->type == J_CHANGED)
		changed(o, r);
}

static void allow(struct oracle *o, const struct journal_record *r)
{
	if (r->type == J_CHANGE)
		o->now = *r;
	if (!is_operation(r))
		return;
	o->last = r->gen;
	set_range(o->touched, r);
	if (r->type == J_ZERO || r->type == J_DISCARD)
		set_range(o->zeroed, r);
}

void oracle_pass(struct oracle *o, uint32_t nr)
{
	/* All up to the mark has happened, all up to the next may have. */
	while (nr && o->past < o->nr) {
		const struct journal_record *r = &o->rec[o->past++];

		promise(o, o->past - 1);
		if (r->type == J_MARK && r->gen == nr)
			break;
	}
	while (o->ahead < o->nr) {
		const struct journal_record *r = &o->rec[o->ahead++];

		allow(o, r);
		if (r->type == J_MARK && r->gen > nr)
			break;
	}
}

static bool may_hold(const struct oracle *o, uint64_t s, tag_t tag)
{
	uint32_t flushed = o->flushed[s];
	uint32_t gen = tag;

	if (!flushed && tag == o->base[s])
		return true;
	if (o->lenient && o->touched[s] > flushed)
		return true;
	if (tag == TAG_JUNK)
		return false;
	if (tag == TAG_ZERO)
		return o->zeroed[s] && o->zeroed[s] >= flushed;
	return tag >> 32 == s && gen >= GEN_FIRST && gen >= flushed &&
	       gen >= o->floor[s] && gen <= o->last;
}

static const char *describe(tag_t tag, char *buf, size_t size)
{
	if (tag == TAG_ZERO)
		return "zeros";
	if (tag == TAG_JUNK)
		return "bytes that are no sector's";
	snprintf(buf, size, "sector %u of operation %u", (uint32_t)(tag >> 32),
		 (uint32_t)tag);
	return buf;
}

/* --- Judging --- */

/* "s7" is 7. */
static uint32_t number_of(const char *name, char letter)
{
	unsigned long n = *name == letter ? strtoul(name + 1, NULL, 10) : 0;

	return n < MAX_CHANGES ? n : 0;
}

const tag_t *oracle_snapshot(const struct oracle *o, const char *name)
{
	uint32_t n = number_of(name, 's');

	return n ? content_of(o, n) : o->first;
}

static bool same_tags(const struct qcow2 *q, const tag_t *tags, uint64_t nr)
{
	return !memcmp(q->got, tags, nr * sizeof(*tags));
}

static bool judge_snapshot(const struct oracle *o, struct qcow2 *q, uint32_t tree)
{
	if (!same_tags(q, oracle_snapshot(o, q->names[tree]), o->first_sectors))
		return qcow2_wrong(q, "snapshot %s holds something else", q->names[tree]);
	return true;
}

/* @seen are there, @past should be; @now may be, or may no longer be. */
static bool judge_there(const struct oracle *o, struct qcow2 *q, const char *what,
			uint64_t seen, uint64_t past, bool now)
{
	uint64_t either = now ? 1ull << o->now.sector : 0;

	if ((seen ^ past) & ~either)
		return qcow2_wrong(q, "%s 0x%llx are there, not 0x%llx", what,
				   (unsigned long long)seen, (unsigned long long)past);
	return true;
}

static bool judge_snapshots(const struct oracle *o, struct qcow2 *q)
{
	uint64_t seen = 0;
	uint32_t i;

	for (i = 1; i < q->trees; i++)
		seen |= 1ull << number_of(q->names[i], 's');
	return judge_there(o, q, "snapshots", seen & ~1ull, o->snapshots,
			   is_now(o, C_CREATE) || is_now(o, C_DELETE));
}

/* One that is not in use knows of all that was written. */
static bool judge_bits(const struct oracle *o, struct qcow2 *q, const struct bitmap *b,
		       uint32_t number)
{
	uint64_t s;

	if (b->flags & BITMAP_IN_USE || !(o->bitmaps >> number & 1))
		return true;
	for (s = 0; s < q->sectors; s++)
		if (q->got[s] < TAG_JUNK && (uint32_t)q->got[s] >= o->since[number] &&
		    !qcow2_bit(q, b, s))
			return qcow2_wrong(q, "bitmap %s lacks sector %llu", b->name,
					   (unsigned long long)s);
	return true;
}

static bool judge_bitmaps(const struct oracle *o, struct qcow2 *q)
{
	uint64_t seen = 0;
	uint32_t i, n;

	if (q->lost_bitmaps)
		return true;
	for (i = 0; i < q->nr_bitmaps; i++) {
		n = number_of(q->bitmaps[i].name, 'b');
		seen |= 1ull << n;
		if (!judge_bits(o, q, &q->bitmaps[i], n))
			return false;
	}
	return judge_there(o, q, "bitmaps", seen & ~1ull, o->bitmaps,
			   is_now(o, C_ADD) || is_now(o, C_REMOVE));
}

static bool judge_disk(const struct oracle *o, struct qcow2 *q)
{
	char buf[2][60];
	uint64_t s;

	if (q->sectors != o->size && !(is_now(o, C_SIZE) && q->sectors == o->now.sector))
		return qcow2_wrong(q, "the disk has %llu sectors, not %llu",
				   (unsigned long long)q->sectors,
				   (unsigned long long)o->size);
	/* All of it at once */
	if (is_now(o, C_APPLY) && same_tags(q, content_of(o, o->now.sector), q->sectors))
		return true;
	for (s = 0; s < q->sectors; s++) {
		/* Behind the old end there are zeros. */
		if (s < o->size ? may_hold(o, s, q->got[s]) : q->got[s] == TAG_ZERO)
			continue;
		return qcow2_wrong(q, "sector %llu holds %s; operation %u is durable, %u may be zeros, %u is the last, and first it was %s",
				   (unsigned long long)s,
				   describe(q->got[s], buf[0], sizeof(buf[0])),
				   o->flushed[s], o->zeroed[s], o->last,
				   describe(o->base[s], buf[1], sizeof(buf[1])));
	}
	return true;
}

bool oracle_judge(const struct oracle *o, struct qcow2 *q, uint32_t tree)
{
	if (tree)
		return judge_snapshot(o, q, tree);
	return judge_disk(o, q) && judge_snapshots(o, q) && judge_bitmaps(o, q);
}

bool oracle_may_be_stale(const struct oracle *o)
{
	return is_now(o, C_CREATE) || is_now(o, C_DELETE) || is_now(o, C_APPLY);
}
