// SPDX-License-Identifier: GPL-2.0
/*
 * What each sector may hold after a power cut, by the journal.
 *
 * A sector may hold what the last durable operation left, or what any later one
 * may have left that had begun. Where there is none, what was there at first.
 * Discards are never durable: what they did not zero may be what it was.
 */
#include <stdlib.h>
#include <string.h>

#include "cut.h"

/* An operation that began and is not yet durable */
struct pending {
	struct journal_record r;
	bool done;
};

void oracle_init(struct oracle *o, const char *journal, const tag_t *base,
		 uint64_t sectors, bool lenient)
{
	size_t size = 0;

	memset(o, 0, sizeof(*o));
	if (journal)
		o->rec = map_file(journal, &size);
	o->nr = size / sizeof(*o->rec);
	o->base = base;
	o->sectors = sectors;
	o->flushed = xcalloc(sectors, sizeof(*o->flushed));
	o->zeroed = xcalloc(sectors, sizeof(*o->zeroed));
	o->touched = xcalloc(sectors, sizeof(*o->touched));
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
 * A flush that ended makes durable what was done when it began. Flushes do not
 * overlap: done before J_FLUSH is done before J_FLUSHED's own flush.
 */
static void flushed(struct oracle *o, size_t end)
{
	size_t i, begin = end;

	while (begin && o->rec[begin].type != J_FLUSH)
		begin--;
	/* What was done in between has not been promised. */
	for (i = begin; i < end; i++)
		if (o->rec[i].type == J_DONE)
			die("the journal: something was done during a flush");
	for (i = o->nr_pending; i-- > 0;)
		if (o->pending[i].done)
			durable(o, i);
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
}

static void allow(struct oracle *o, const struct journal_record *r)
{
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

static bool may_hold(const struct oracle *o, uint64_t s, tag_t tag, bool active)
{
	uint32_t flushed = active ? o->flushed[s] : 0;
	uint32_t gen = tag;

	if (!flushed && tag == o->base[s])
		return true;
	if (active && o->lenient && o->touched[s] > flushed)
		return true;
	if (!active || tag == TAG_JUNK)
		return false;
	if (tag == TAG_ZERO)
		return o->zeroed[s] && o->zeroed[s] >= flushed;
	return tag >> 32 == s && gen >= GEN_FIRST && gen >= flushed && gen <= o->last;
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

bool oracle_judge(const struct oracle *o, struct qcow2 *q, uint32_t tree)
{
	char buf[2][60];
	uint64_t s;

	for (s = 0; s < o->sectors; s++) {
		if (may_hold(o, s, q->got[s], !tree))
			continue;
		return qcow2_wrong(q, "%s %u: sector %llu holds %s; operation %u is durable, %u may be zeros, %u is the last, and first it was %s",
				   tree ? "snapshot" : "disk", tree,
				   (unsigned long long)s,
				   describe(q->got[s], buf[0], sizeof(buf[0])),
				   o->flushed[s], o->zeroed[s], o->last,
				   describe(o->base[s], buf[1], sizeof(buf[1])));
	}
	return true;
}
