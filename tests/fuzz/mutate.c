// SPDX-License-Identifier: GPL-2.0
/*
 * A mutator that knows where an image's metadata is: a field or an entry of a table gets
 * a value such as others of its kind have. The magic number stays.
 */
#include <endian.h>
#include <string.h>

#include "fuzz.h"
#include "random.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define OFFSET_MASK	0x00fffffffffffe00ULL
#define EXT_BITMAPS	0x23852875U
#define MAX_CHANGES	4
#define MAX_EXTENSIONS	16

enum kind { OFFSET, ENTRY, COUNT, FLAGS, BYTES };

/**
 * struct field - a number in an image
 * @at: bytes into the file, or into the structure that it belongs to
 * @bytes: of it
 * @kind: of it
 */
struct field {
	uint64_t at;
	unsigned int bytes;
	enum kind kind;
};

/**
 * struct picture - an image that is changed
 * @data: the file
 * @size: of it
 * @cluster: bytes of a cluster
 * @random: state of the generator
 */
struct picture {
	uint8_t *data;
	size_t size;
	uint64_t cluster;
	uint64_t random;
};

static const struct field header_fields[] = {
	{ 8, 8, OFFSET }, { 16, 4, COUNT }, { 20, 4, COUNT }, { 24, 8, COUNT },
	{ 32, 4, COUNT }, { 36, 4, COUNT }, { 40, 8, OFFSET }, { 48, 8, OFFSET },
	{ 56, 4, COUNT }, { 60, 4, COUNT }, { 64, 8, OFFSET }, { 72, 8, FLAGS },
	{ 80, 8, FLAGS }, { 88, 8, FLAGS }, { 96, 4, COUNT }, { 100, 4, COUNT },
	{ 104, 1, COUNT },
};

static const struct field v1_fields[] = {
	{ 8, 8, OFFSET }, { 16, 4, COUNT }, { 24, 8, COUNT }, { 32, 1, COUNT },
	{ 33, 1, COUNT }, { 36, 4, COUNT }, { 40, 8, OFFSET },
};

static const struct field snapshot_fields[] = {
	{ 0, 8, OFFSET }, { 8, 4, COUNT }, { 12, 2, COUNT }, { 14, 2, COUNT },
	{ 16, 4, COUNT }, { 24, 8, COUNT }, { 32, 4, COUNT }, { 36, 4, COUNT },
	{ 40, 8, COUNT }, { 48, 8, COUNT }, { 56, 8, BYTES },
};

static const struct field bitmap_fields[] = {
	{ 0, 8, OFFSET }, { 8, 4, COUNT }, { 12, 4, FLAGS }, { 16, 1, COUNT },
	{ 17, 1, COUNT }, { 18, 2, COUNT }, { 20, 4, COUNT }, { 24, 4, BYTES },
};

static const struct field bitmaps_extension_fields[] = {
	{ 8, 4, COUNT }, { 12, 4, COUNT }, { 16, 8, COUNT }, { 24, 8, OFFSET },
};

#define PICK(p, fields) \
	((fields)[below(p, sizeof(fields) / sizeof((fields)[0]))])

/* --- Numbers --- */

static uint64_t draw(struct picture *p)
{
	return random_draw(&p->random);
}

static uint64_t below(struct picture *p, uint64_t n)
{
	return random_below(&p->random, n);
}

static uint64_t get(const struct picture *p, uint64_t at, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < bytes; i++)
		value = value << 8 | (at + i < p->size ? p->data[at + i] : 0);
	return value;
}

static void put(struct picture *p, uint64_t at, unsigned int bytes, uint64_t value)
{
	for (; bytes; bytes--, value >>= 8)
		if (at + bytes - 1 < p->size)
			p->data[at + bytes - 1] = value;
}

/* --- Places --- */

static struct field moved(struct field f, uint64_t at)
{
	f.at += at;
	return f;
}

/* An entry of 8 bytes of a table of @nr; mostly one that is not empty. */
static struct field table_entry(struct picture *p, uint64_t table, uint64_t nr)
{
	struct field f = { table, 8, ENTRY };
	unsigned int tries;

	if (table < p->size && nr > (p->size - table) / 8)
		nr = (p->size - table) / 8;
	for (tries = 0; tries < 8; tries++) {
		f.at = table + below(p, nr) * 8;
		if (get(p, f.at, 8))
			break;
	}
	return f;
}

static struct field l1_entry(struct picture *p)
{
	return table_entry(p, get(p, 40, 8), get(p, 36, 4));
}

static struct field l2_entry(struct picture *p, uint64_t l1_entry_at)
{
	return table_entry(p, get(p, l1_entry_at, 8) & OFFSET_MASK, p->cluster / 8);
}

static struct field reftable_entry(struct picture *p)
{
	return table_entry(p, get(p, 48, 8), get(p, 56, 4) * p->cluster / 8);
}

/* A refcount of 16 bits, or other bytes in its place; of a cluster that the file has. */
static struct field refcount(struct picture *p)
{
	uint64_t block = get(p, reftable_entry(p).at, 8) & OFFSET_MASK;

	return (struct field) { block + 2 * below(p, p->size / p->cluster + 2), 2, COUNT };
}

/* Where one of the first snapshots is. */
static uint64_t snapshot(struct picture *p)
{
	uint64_t at = get(p, 64, 8), nr = below(p, get(p, 60, 4) % 16);

	for (; nr && at < p->size; nr--)
		at = (at + 40 + get(p, at + 36, 4) + get(p, at + 12, 2) +
		      get(p, at + 14, 2) + 7) & ~7ULL;
	return at;
}

static struct field snapshot_l1_entry(struct picture *p)
{
	uint64_t at = snapshot(p);

	return table_entry(p, get(p, at, 8), get(p, at + 8, 4));
}

/* A header extension: of that type, or any if it is 0. */
static uint64_t extension(struct picture *p, uint32_t type)
{
	uint64_t at = get(p, 4, 4) > 2 ? get(p, 100, 4) : 72;
	unsigned int nr;

	for (nr = 0; nr < MAX_EXTENSIONS && at < p->size && get(p, at, 4); nr++) {
		if (type ? get(p, at, 4) == type : !below(p, 3))
			return at;
		at += 8 + ((get(p, at + 4, 4) + 7) & ~7ULL);
	}
	return at;
}

static struct field extension_field(struct picture *p)
{
	uint64_t at = extension(p, 0);

	switch (below(p, 3)) {
	case 0:
		return (struct field) { at, 4, FLAGS };
	case 1:
		return (struct field) { at + 4, 4, COUNT };
	}
	return (struct field) { at + 8 + below(p, get(p, at + 4, 4) / 8 + 1) * 8, 8, OFFSET };
}

/* The directory, its first entry, or the table of that. */
static struct field bitmap_field(struct picture *p)
{
	uint64_t ext = extension(p, EXT_BITMAPS), directory = get(p, ext + 24, 8);

	switch (below(p, 3)) {
	case 0:
		return moved(PICK(p, bitmaps_extension_fields), ext);
	case 1:
		return moved(PICK(p, bitmap_fields), directory);
	}
	return table_entry(p, get(p, directory, 8), get(p, directory + 8, 4));
}

static struct field pick_field(struct picture *p)
{
	if (get(p, 4, 4) == 1 && below(p, 2))
		return PICK(p, v1_fields);
	switch (below(p, 10)) {
	case 0:
		return l1_entry(p);
	case 1:
	case 2:
		return l2_entry(p, l1_entry(p).at);
	case 3:
		return reftable_entry(p);
	case 4:
		return refcount(p);
	case 5:
		return moved(PICK(p, snapshot_fields), snapshot(p));
	case 6:
		return below(p, 2) ? snapshot_l1_entry(p) :
		       l2_entry(p, snapshot_l1_entry(p).at);
	case 7:
		return extension_field(p);
	case 8:
		return bitmap_field(p);
	}
	return PICK(p, header_fields);
}

/* --- Values --- */

/* Of a cluster of the file, or just behind it; rarely anywhere. */
static uint64_t some_offset(struct picture *p)
{
	uint64_t nr = p->size / p->cluster + 2;

	switch (below(p, 12)) {
	case 0:
		return 0;
	case 1:
		return below(p, p->size + p->cluster);
	case 2:
		return below(p, nr) * p->cluster + 512;
	case 3:
		return p->cluster << below(p, 50);
	case 4:
		return draw(p);
	}
	return below(p, nr) * p->cluster;
}

static uint64_t some_count(struct picture *p, uint64_t old)
{
	switch (below(p, 8)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return old + 1;
	case 3:
		return old - 1;
	case 4:
		return old ^ 1ULL << below(p, 64);
	case 5:
		return ~0ULL >> below(p, 64);
	case 6:
		return draw(p);
	}
	return below(p, 70);
}

static uint64_t some_entry(struct picture *p, uint64_t old)
{
	static const unsigned int flags[] = { 0, 1, 8, 56, 61, 62, 63 };

	switch (below(p, 4)) {
	case 0:
		return old ^ 1ULL << PICK(p, flags);
	case 1:
		return get(p, l2_entry(p, l1_entry(p).at).at, 8);
	}
	return (old & ~OFFSET_MASK) | some_offset(p);
}

static uint64_t some_value(struct picture *p, const struct field *f)
{
	uint64_t old = get(p, f->at, f->bytes);

	switch (f->kind) {
	case OFFSET:
		return some_offset(p);
	case ENTRY:
		return some_entry(p, old);
	case COUNT:
		return some_count(p, old);
	case FLAGS:
		return old ^ 1ULL << below(p, 4 * (1 + below(p, 2 * f->bytes)));
	case BYTES:
		break;
	}
	return draw(p);
}

/* A file that was cut short, or is longer. */
static void resize(struct picture *p, size_t max_size)
{
	size_t old = p->size;

	p->size = below(p, 2) ? below(p, max_size + 1) :
		  below(p, max_size / p->cluster + 1) * p->cluster;
	if (p->size > old)
		memset(p->data + old, 0, p->size - old);
}

/**
 * LLVMFuzzerCustomMutator() - change an input
 * @data: the input, with room for @max_size bytes
 * @size: of it
 * @max_size: of the result
 * @seed: of all random choices
 *
 * Return: bytes of the result.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed)
{
	struct picture p = {
		.data = data,
		.size = size,
		.random = (seed + 1ULL) * 0x9e3779b97f4a7c15ULL,
	};
	unsigned int changes, bits;
	struct field f;

	if (fuzz_runs("foreign"))
		return mutate_foreign(data, size, max_size, seed);
	if (!below(&p, 5) || size < 48)
		return LLVMFuzzerMutate(data, size, max_size);
	bits = get(&p, 4, 4) == 1 ? p.data[32] : get(&p, 20, 4);
	p.cluster = 1ULL << (bits >= 9 && bits <= 21 ? bits : 9);
	for (changes = 1 + below(&p, MAX_CHANGES); changes; changes--) {
		f = pick_field(&p);
		put(&p, f.at, f.bytes, some_value(&p, &f));
	}
	if (!below(&p, 30))
		resize(&p, max_size);
	return p.size ? p.size : 1;
}
