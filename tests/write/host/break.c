// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a log as a broken driver would have written it. Each has to be found out.
 */
#include <stdlib.h>
#include <string.h>

#include "break.h"

/* Promises are kept although the disk was not told to. */
static void no_flush(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	size_t i;

	(void)d;
	(void)q;
	for (i = 0; i < l->nr; i++)
		l->e[i].flags &= ~(LOG_FLUSH | LOG_FUA);
}

static void drop(struct entry *e)
{
	e->nr = 0;
	e->data = NULL;
	e->flags &= ~LOG_DISCARD;
}

/* The guest's data is not written, now and then. */
static void no_data(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	size_t i;

	(void)q;
	for (i = 0; i < l->nr; i++)
		if (l->e[i].data && tag_of(l->e[i].data, d->seed) < TAG_JUNK &&
		    hash(i, 1, d->seed) % 32 == 0)
			drop(&l->e[i]);
}

static unsigned int kind_of(const struct entry *e, const struct qcow2 *q)
{
	uint64_t c = e->sector * 512 >> q->cluster_bits;

	return e->data && c < q->clusters ? q->kind[c] : KIND_FREE;
}

static void drop_kind(struct log *l, const struct qcow2 *q, unsigned int kind)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (kind_of(&l->e[i], q) == kind)
			drop(&l->e[i]);
}

static void no_refcounts(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	(void)d;
	drop_kind(l, q, KIND_REFBLOCK);
}

static void no_l2(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	(void)d;
	drop_kind(l, q, KIND_L2);
}

/* Everything of one kind changes places with the flush after it. */
static void late(struct log *l, const struct qcow2 *q, unsigned int kind)
{
	size_t i;

	for (i = l->nr - 1; i > 0; i--) {
		struct entry was = l->e[i - 1];
		bool flush = l->e[i].flags & LOG_FLUSH && !l->e[i].data;

		if (!flush || kind_of(&was, q) != kind)
			continue;
		l->e[i - 1] = l->e[i];
		l->e[i] = was;
	}
}

/* Refcounts are written after the references that they count, with no flush between. */
static void late_refcounts(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	(void)d;
	late(l, q, KIND_REFBLOCK);
}

/* Data is written after the entry that refers to it. */
static void late_data(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	(void)d;
	late(l, q, KIND_DATA);
}

/* Data goes to the place after the right one, now and then. */
static void misplaced(struct log *l, const struct disk *d, const struct qcow2 *q)
{
	size_t i;

	(void)q;
	for (i = 0; i < l->nr; i++)
		if (l->e[i].data && tag_of(l->e[i].data, d->seed) < TAG_JUNK &&
		    hash(i, 3, d->seed) % 32 == 0 &&
		    l->e[i].sector + l->e[i].nr < d->sectors)
			l->e[i].sector++;
}

static const struct {
	const char *name;
	void (*run)(struct log *l, const struct disk *d, const struct qcow2 *q);
} ways[] = {
	{ "no-flush", no_flush },
	{ "no-data", no_data },
	{ "no-refcounts", no_refcounts },
	{ "no-l2", no_l2 },
	{ "late-refcounts", late_refcounts },
	{ "late-data", late_data },
	{ "misplaced", misplaced },
};

void break_log(struct log *l, const char *way, const struct disk *d,
	       const struct qcow2 *q)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!strcmp(way, ways[i].name)) {
			ways[i].run(l, d, q);
			return;
		}
	}
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		fprintf(stderr, "%s\n", ways[i].name);
	die("no way to break it: %s", way);
}
