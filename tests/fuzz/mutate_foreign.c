// SPDX-License-Identifier: GPL-2.0
/*
 * A mutator for images of other formats, whose numbers are of any size and order: a number
 * gets a value that may matter, or that of another number. The format stays.
 */
#include <string.h>

#include "fuzz.h"
#include "random.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define MAX_CHANGES	4
#define HEADER_BYTES	2

/**
 * struct words - an input that is changed
 * @data: the input
 * @size: of it
 * @random: state of the generator
 */
struct words {
	uint8_t *data;
	size_t size;
	uint64_t random;
};

static uint64_t draw(struct words *w)
{
	return random_draw(&w->random);
}

static uint64_t below(struct words *w, uint64_t n)
{
	return random_below(&w->random, n);
}

/* A number in either order of bytes. */
static uint64_t get(const struct words *w, size_t place, unsigned int bytes, int big)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)w->data[place + (big ? bytes - 1 - i : i)] << 8 * i;
	return value;
}

static void put(struct words *w, size_t place, unsigned int bytes, int big, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < bytes; i++)
		w->data[place + (big ? bytes - 1 - i : i)] = value >> 8 * i;
}

/* Mostly a word that is not zero. */
static size_t some_place(struct words *w, unsigned int bytes)
{
	size_t place = 0;
	unsigned int tries;

	for (tries = 0; tries < 16; tries++) {
		place = HEADER_BYTES + below(w, w->size - HEADER_BYTES - bytes);
		if (below(w, 4))
			place = HEADER_BYTES + (place & ~3ULL);
		if (place + bytes > w->size)
			place = w->size - bytes;
		if (get(w, place, bytes, 0))
			break;
	}
	return place;
}

static uint64_t some_value(struct words *w, uint64_t old, unsigned int bytes, int big)
{
	switch (below(w, 11)) {
	case 0:
		return below(w, 4);
	case 1:
		return old + 1;
	case 2:
		return old - 1;
	case 3:
		return ~0ULL - below(w, 3);
	case 4:
		return 1ULL << below(w, 8 * bytes);
	case 5:
		return (1ULL << below(w, 8 * bytes)) - 1;
	case 6:
		return old << 1;
	case 7:
		return draw(w);
	case 8:
		return below(w, 1000);
	case 9:
		return get(w, some_place(w, bytes), bytes, big);
	}
	return old ^ 1ULL << below(w, 8 * bytes);
}

static void change(struct words *w)
{
	static const unsigned int widths[] = { 1, 2, 4, 4, 8 };
	unsigned int bytes = widths[below(w, sizeof(widths) / sizeof(widths[0]))];
	int big = below(w, 2);
	size_t place;

	place = some_place(w, bytes);
	put(w, place, bytes, big, some_value(w, get(w, place, bytes, big), bytes, big));
}

/**
 * mutate_foreign() - change an input of the target foreign
 * @data: the input, with room for @max_size bytes
 * @size: of it
 * @max_size: of the result
 * @seed: of all random choices
 *
 * Return: bytes of the result.
 */
size_t mutate_foreign(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct words w = {
		.data = data,
		.size = size,
		.random = (seed + 1ULL) * 0x9e3779b97f4a7c15ULL,
	};
	unsigned int changes;

	if (size < HEADER_BYTES + 16 || !below(&w, 3)) {
		uint8_t format = size ? data[0] : 0;

		size = LLVMFuzzerMutate(data, size, max_size);
		if (size)
			data[0] = format;
		return size;
	}
	for (changes = 1 + below(&w, MAX_CHANGES); changes; changes--)
		change(&w);
	if (!below(&w, 20))
		data[1] = below(&w, 8);
	return size;
}
