/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_COUNTS_H
#define _QCOWCTL_CHECK_COUNTS_H

#include "qcow/pure.h"

/* Counters that share a piece of memory. */
#define COUNTS_CHUNK	4096U

/**
 * struct counts - a counter for each cluster; memory only where one is not 0
 * @chunks: pieces of COUNTS_CHUNK counters, NULL: all are 0
 * @nr: pieces
 */
struct counts {
	u32 **chunks;
	u64 nr;
};

void counts_init(struct counts *c, u64 nr);
void counts_free(struct counts *c);
void counts_set(struct counts *c, u64 index, u32 value);

/* Are all counters of the piece that holds @index 0? */
static inline bool counts_empty(const struct counts *c, u64 index)
{
	return index / COUNTS_CHUNK >= c->nr || !c->chunks[index / COUNTS_CHUNK];
}

static inline u32 counts_get(const struct counts *c, u64 index)
{
	return counts_empty(c, index) ? 0 :
	       c->chunks[index / COUNTS_CHUNK][index % COUNTS_CHUNK];
}

/* The last index of the piece that holds @index. */
static inline u64 counts_last(u64 index)
{
	return index | (COUNTS_CHUNK - 1);
}

#endif /* _QCOWCTL_CHECK_COUNTS_H */
