// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "block.h"

#define MAGIC	0x6b6f6c42

struct block {
	uint32_t magic;
	uint32_t seed;
	uint32_t sector;
	uint32_t gen;
	/* All one number: it shall compress. */
	uint64_t fill[62];
};

static uint64_t fill_of(uint32_t seed, uint32_t sector, uint32_t gen)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15ull ^ ((uint64_t)sector << 32 | gen);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) | 1;
}

void block_make(void *buf, uint32_t seed, uint32_t sector, uint32_t gen)
{
	uint64_t fill = fill_of(seed, sector, gen);
	struct block *b = buf;
	int i;

	b->magic = MAGIC;
	b->seed = seed;
	b->sector = sector;
	b->gen = gen;
	for (i = 0; i < 62; i++)
		b->fill[i] = fill;
}

bool block_parse(const void *buf, uint32_t seed, uint32_t *sector, uint32_t *gen)
{
	const struct block *b = buf;
	uint64_t fill, sum = 0;
	int i;

	if (b->magic != MAGIC || b->seed != seed)
		return false;
	fill = fill_of(seed, b->sector, b->gen);
	for (i = 0; i < 62; i++)
		sum |= b->fill[i] ^ fill;
	*sector = b->sector;
	*gen = b->gen;
	return !sum;
}
