// SPDX-License-Identifier: GPL-2.0
/*
 * Counters for the clusters of a file. A sparse file can have far more clusters
 * than there is memory for counters.
 */
#include <stdlib.h>

#include "check_counts.h"
#include "report.h"

/**
 * counts_init() - counters, all 0
 * @c: the counters
 * @nr: how many
 */
void counts_init(struct counts *c, u64 nr)
{
	c->nr = nr / COUNTS_CHUNK + 1;
	c->chunks = xcalloc(c->nr, sizeof(*c->chunks));
}

/**
 * counts_free() - undo counts_init()
 * @c: the counters
 */
void counts_free(struct counts *c)
{
	u64 i;

	for (i = 0; i < c->nr; i++)
		free(c->chunks[i]);
	free(c->chunks);
	c->chunks = NULL;
	c->nr = 0;
}

/**
 * counts_set() - set a counter
 * @c: the counters
 * @index: which one; there has to be one
 * @value: its value
 */
void counts_set(struct counts *c, u64 index, u32 value)
{
	u32 **chunk = &c->chunks[index / COUNTS_CHUNK];

	if (!*chunk)
		*chunk = xcalloc(COUNTS_CHUNK, sizeof(**chunk));
	(*chunk)[index % COUNTS_CHUNK] = value;
}
