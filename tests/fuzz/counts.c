// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of a check, beside an array: an input is a list of changes. An image
 * that fits into an input has too few clusters for most of their shapes.
 */
#include <stdlib.h>

#include "check/check_counts.h"
#include "fuzz.h"

#define NR		9000U
#define MAX_CHANGES	32U

struct change {
	u16 first;
	u16 nr;
	u32 value;
};

/* Of one to four bytes, so that counters of all widths are made. */
static u32 value_of(const struct change *c)
{
	return c->value >> (c->value & 3) * 8;
}

/* The first counter from @index on that is not 0, as counts_next() */
static u64 next_of(const u32 *model, u64 index)
{
	while (index < NR && !model[index])
		index++;
	return index < NR ? index : UINT64_MAX;
}

void fuzz_counts(const uint8_t *data, size_t size)
{
	u32 *model = calloc(NR, sizeof(*model));
	struct counts all;
	struct change c;
	u64 i, nr;

	size = min(size, MAX_CHANGES * sizeof(c));
	counts_init(&all, NR / 2);
	counts_reserve(&all, NR);
	for (; size >= sizeof(c); data += sizeof(c), size -= sizeof(c)) {
		memcpy(&c, data, sizeof(c));
		nr = c.nr & 1 ? 1 : c.nr % 700;
		for (i = c.first % NR; nr && i < NR; nr--, i += 1 + (c.nr & 2)) {
			counts_set(&all, i, value_of(&c));
			model[i] = value_of(&c);
		}
		i = c.nr % NR;
		promise(counts_next(&all, i) == next_of(model, i),
			"the next counter from %llu on is another one",
			(unsigned long long)i);
	}
	for (i = 0; i < NR; i++)
		promise(counts_get(&all, i) == model[i], "counter %llu is wrong",
			(unsigned long long)i);
	promise(!counts_get(&all, NR * 2ULL), "a counter that is not there is not 0");
	counts_free(&all);
	free(model);
}
