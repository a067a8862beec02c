/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_COUNTS_H
#define _QCOWCTL_CHECK_COUNTS_H

#include "qcow/ondisk/pure.h"

struct counts_chunk;

/**
 * struct counts - a counter for each cluster of a file
 * @chunks: pieces of COUNTS_CHUNK counters; NULL: all of them are 0
 * @nr: number of pieces
 *
 * A piece with few counters that are not 0 is a sorted list of these, a piece with
 * many is an array. So memory follows the number of clusters in use, and not the
 * size of the file.
 */
struct counts {
	struct counts_chunk **chunks;
	u64 nr;
};

void counts_init(struct counts *c, u64 nr);
void counts_reserve(struct counts *c, u64 nr);
void counts_free(struct counts *c);
u32 counts_get(const struct counts *c, u64 index);
void counts_set(struct counts *c, u64 index, u32 value);
u64 counts_next(const struct counts *c, u64 index);

#endif /* _QCOWCTL_CHECK_COUNTS_H */
