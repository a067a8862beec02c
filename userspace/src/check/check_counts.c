// SPDX-License-Identifier: GPL-2.0
/*
 * Counters for the clusters of a file. A sparse file can have far more clusters
 * than there is memory for counters.
 * All files of the check that count or look up references call this; it knows no image.
 */
#include <stdlib.h>

#include "check/check_counts.h"
#include "lib/report.h"

/* Counters of a piece, and the bits of an index into it. */
#define COUNTS_CHUNK	4096U
#define INDEX_BITS	12

/* An entry of a list is the index above the value. */
#define VALUE_BITS	(32 - INDEX_BITS)
#define VALUE_MASK	((1U << VALUE_BITS) - 1)

/* A list is at most half as long as the smallest array. */
#define FIRST_ROOM	2U
#define MAX_ROOM	512U

/**
 * struct counts_chunk - a piece of the counters
 * @nr: entries of the list
 * @room: entries that the list has room for; 0: this is an array
 * @width: bytes of a counter of the array: 1, 2 or 4
 * @list: the list
 * @u8: the array
 * @u16: the array
 * @u32: the array
 */
struct counts_chunk {
	u16 nr;
	u16 room;
	u32 width;
	union {
		u32 list[0];
		u8 u8[0];
		u16 u16[0];
		u32 u32[0];
	};
};

/**
 * counts_init() - make counters, all 0
 * @c: the counters
 * @nr: how many
 */
void counts_init(struct counts *c, u64 nr)
{
	c->nr = nr / COUNTS_CHUNK + 1;
	c->chunks = xcalloc(c->nr, sizeof(*c->chunks));
}

/**
 * counts_reserve() - make more counters, all 0
 * @c: the counters
 * @nr: how many there are to be at least
 */
void counts_reserve(struct counts *c, u64 nr)
{
	u64 chunks = nr / COUNTS_CHUNK + 1;

	if (chunks <= c->nr)
		return;
	c->chunks = xrealloc(c->chunks, chunks * sizeof(*c->chunks));
	memset(c->chunks + c->nr, 0, (chunks - c->nr) * sizeof(*c->chunks));
	c->nr = chunks;
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

/* --- Arrays --- */

static u32 array_get(const struct counts_chunk *k, u32 in_chunk)
{
	switch (k->width) {
	case 1:
		return k->u8[in_chunk];
	case 2:
		return k->u16[in_chunk];
	}
	return k->u32[in_chunk];
}

static void array_put(struct counts_chunk *k, u32 in_chunk, u32 value)
{
	switch (k->width) {
	case 1:
		k->u8[in_chunk] = value;
		break;
	case 2:
		k->u16[in_chunk] = value;
		break;
	default:
		k->u32[in_chunk] = value;
	}
}

static u32 width_for(u32 value)
{
	return value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 4;
}

static struct counts_chunk *array_new(u32 width)
{
	struct counts_chunk *k = xcalloc(1, sizeof(*k) + COUNTS_CHUNK * width);

	k->width = width;
	return k;
}

static struct counts_chunk *array_widen(struct counts_chunk *old, u32 width)
{
	struct counts_chunk *k = array_new(width);
	u32 i;

	for (i = 0; i < COUNTS_CHUNK; i++)
		array_put(k, i, array_get(old, i));
	free(old);
	return k;
}

/* --- Lists --- */

static u32 list_index(u32 entry)
{
	return entry >> VALUE_BITS;
}

/* The first entry whose index is not below @in_chunk. */
static u32 list_find(const struct counts_chunk *k, u32 in_chunk)
{
	u32 low = 0, high = k->nr, middle;

	if (k->nr && list_index(k->list[k->nr - 1]) < in_chunk)
		return k->nr;
	while (low < high) {
		middle = (low + high) / 2;
		if (list_index(k->list[middle]) < in_chunk)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct counts_chunk *list_to_array(struct counts_chunk *old, u32 width)
{
	struct counts_chunk *k;
	u32 i;

	for (i = 0; i < old->nr; i++)
		if (width_for(old->list[i] & VALUE_MASK) > width)
			width = width_for(old->list[i] & VALUE_MASK);
	k = array_new(width);
	for (i = 0; i < old->nr; i++)
		array_put(k, list_index(old->list[i]), old->list[i] & VALUE_MASK);
	free(old);
	return k;
}

static struct counts_chunk *list_grow(struct counts_chunk *k)
{
	u32 room = k ? k->room * 2U : FIRST_ROOM;
	u32 nr = k ? k->nr : 0;

	k = xrealloc(k, sizeof(*k) + room * sizeof(k->list[0]));
	k->nr = nr;
	k->room = room;
	k->width = 0;
	return k;
}

static struct counts_chunk *list_put(struct counts_chunk *k, u32 in_chunk, u32 value)
{
	u32 i = k ? list_find(k, in_chunk) : 0;

	if (!k || i == k->nr || list_index(k->list[i]) != in_chunk) {
		if (!k || k->nr == k->room)
			k = list_grow(k);
		memmove(k->list + i + 1, k->list + i,
			(k->nr - i) * sizeof(k->list[0]));
		k->nr++;
	}
	k->list[i] = in_chunk << VALUE_BITS | value;
	return k;
}

/* --- Both --- */

static u32 chunk_get(const struct counts_chunk *k, u32 in_chunk)
{
	u32 i;

	if (!k->room)
		return array_get(k, in_chunk);
	i = list_find(k, in_chunk);
	return i < k->nr && list_index(k->list[i]) == in_chunk ?
	       k->list[i] & VALUE_MASK : 0;
}

/* The first counter from @in_chunk on that is not 0, or COUNTS_CHUNK. */
static u32 chunk_next(const struct counts_chunk *k, u32 in_chunk)
{
	u32 i;

	if (!k->room) {
		while (in_chunk < COUNTS_CHUNK && !array_get(k, in_chunk))
			in_chunk++;
		return in_chunk;
	}
	for (i = list_find(k, in_chunk); i < k->nr; i++)
		if (k->list[i] & VALUE_MASK)
			return list_index(k->list[i]);
	return COUNTS_CHUNK;
}

/**
 * counts_get() - read a counter
 * @c: the counters
 * @index: which one; there may be none
 *
 * Return: its value.
 */
u32 counts_get(const struct counts *c, u64 index)
{
	const struct counts_chunk *k = NULL;

	if (index / COUNTS_CHUNK < c->nr)
		k = c->chunks[index / COUNTS_CHUNK];
	return k ? chunk_get(k, index % COUNTS_CHUNK) : 0;
}

/**
 * counts_set() - set a counter
 * @c: the counters
 * @index: which one; there has to be one
 * @value: its value
 */
void counts_set(struct counts *c, u64 index, u32 value)
{
	struct counts_chunk **slot = &c->chunks[index / COUNTS_CHUNK], *k = *slot;
	u32 in_chunk = index % COUNTS_CHUNK, width = width_for(value);

	if (!k && width > 2)
		k = array_new(width);
	else if (k && k->room && (width > 2 || k->nr == MAX_ROOM))
		k = list_to_array(k, width);
	if (!k || k->room) {
		*slot = list_put(k, in_chunk, value);
		return;
	}
	if (k->width < width)
		k = array_widen(k, width);
	array_put(k, in_chunk, value);
	*slot = k;
}

/**
 * counts_next() - find a counter that is not 0
 * @c: the counters
 * @index: the first that may be it
 *
 * Return: its index, or U64_MAX if there is none.
 */
u64 counts_next(const struct counts *c, u64 index)
{
	u64 i = index / COUNTS_CHUNK;
	u32 in_chunk = index % COUNTS_CHUNK;

	for (; i < c->nr; i++, in_chunk = 0) {
		if (!c->chunks[i])
			continue;
		in_chunk = chunk_next(c->chunks[i], in_chunk);
		if (in_chunk < COUNTS_CHUNK)
			return i * COUNTS_CHUNK + in_chunk;
	}
	return UINT64_MAX;
}
