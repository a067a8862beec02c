// SPDX-License-Identifier: GPL-2.0
/*
 * An image's consistency, looked at as qemu-img check does, with nothing of the
 * driver's: header, L1, L2, clusters, refcounts, COPIED. Active tables only.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/unaligned.h>

#include "checker.h"

#define COPIED		BIT_ULL(63)
#define COMPRESSED	BIT_ULL(62)
#define OFFSET		GENMASK_ULL(55, 9)
#define PLAIN_ZERO	BIT_ULL(0)

/* --- Refcounts --- */

/* Whether bit @b of the value is set; below a byte, low bits come first. */
static u64 bit_place(u32 order, u64 index, u32 b)
{
	u64 bit = (index << order) + b;

	if (order < 3)
		return bit;
	return (index << order) + (((1U << order) / 8 - 1 - b / 8) * 8) + b % 8;
}

u64 checker_get_bits(const u8 *block, u32 order, u64 index)
{
	u64 value = 0, at;
	u32 b;

	for (b = 0; b < 1U << order; b++) {
		at = bit_place(order, index, b);
		value |= (u64)(block[at / 8] >> at % 8 & 1) << b;
	}
	return value;
}

void checker_put_bits(u8 *block, u32 order, u64 index, u64 value)
{
	u64 at;
	u32 b;

	for (b = 0; b < 1U << order; b++) {
		at = bit_place(order, index, b);
		block[at / 8] &= ~BIT(at % 8);
		block[at / 8] |= (value >> b & 1) << at % 8;
	}
}

/* --- The file --- */

static u64 load(const struct checker *k, u64 at)
{
	u8 buf[8] = { };

	if (at < k->size)
		memcpy(buf, k->data + at, min_t(u64, k->size - at, 8));
	return get_unaligned_be64(buf);
}

static __printf(2, 3) void corrupt(struct checker *k, const char *fmt, ...)
{
	va_list args;

	if (k->errors++)
		return;
	va_start(args, fmt);
	vsnprintf(k->text, sizeof(k->text), fmt, args);
	va_end(args);
}

static bool aligned(const struct checker *k, u64 at)
{
	return !(at & ((1ULL << k->unit) - 1));
}

/* The refcount of a cluster, 0 where there is no block. */
u64 checker_refcount(const struct checker *k, u64 cluster)
{
	u32 block_bits = k->bits + 3 - k->order;
	u64 i = cluster >> block_bits, at;

	if (i >= k->table_size)
		return 0;
	at = load(k, k->table_at + i * 8) & ~511ULL;
	if (!at || at + (1ULL << k->bits) > k->size + (1ULL << k->bits))
		return 0;
	i = cluster & ((1ULL << block_bits) - 1);
	/* What is past the end of the file is zeros. */
	if (at + ((i + 1) << k->order) / 8 > k->size)
		return 0;
	return checker_get_bits(k->data + at, k->order, i);
}

/* --- References --- */

static void use(struct checker *k, u64 at, u64 len, u8 as, const char *what)
{
	u64 c = at >> k->unit, last = (at + len - 1) >> k->unit;

	if (as != CHECKER_COMP && !aligned(k, at)) {
		corrupt(k, "%s at %#llx is not aligned", what, at);
		return;
	}
	if (at >= k->size) {
		corrupt(k, "%s at %#llx is past the end %#llx", what, at, k->size);
		return;
	}
	for (; c <= last && c < k->nr; c++) {
		if (k->uses[c] && (as != CHECKER_COMP || k->uses[c] != CHECKER_COMP))
			corrupt(k, "%s at %#llx is used for %#x, too", what, at, k->uses[c]);
		k->refs[c]++;
		k->uses[c] |= as;
	}
}

/* COPIED says that the refcount is one. */
static void check_copied(struct checker *k, u64 entry, u64 at, const char *what)
{
	u64 refcount = checker_refcount(k, at >> k->bits);
	bool copied = entry & COPIED;

	if (k->version == 1)
		return;
	if (refcount == 1 ? copied : !copied)
		return;
	corrupt(k, "%s at %#llx: refcount %llu, entry %#llx", what, at,
		refcount, entry);
}

static bool is_compressed(const struct checker *k, u64 entry)
{
	return entry & (k->version == 1 ? BIT_ULL(63) : COMPRESSED);
}

static void walk_compressed(struct checker *k, u64 entry)
{
	u32 shift = 70 - k->bits;
	u64 at = entry & ((1ULL << shift) - 1);
	u64 sectors = (entry & ~(COPIED | COMPRESSED)) >> shift;

	if (k->version == 1) {
		shift = 63 - k->bits;
		at = entry & ((1ULL << shift) - 1);
		use(k, at, entry << 1 >> 1 >> shift, CHECKER_COMP, "compressed data");
		return;
	}
	if (entry & COPIED)
		corrupt(k, "compressed cluster with COPIED: %#llx", entry);
	use(k, at, (sectors + 1) * 512 - at % 512, CHECKER_COMP, "compressed data");
}

static void walk_l2(struct checker *k, u64 l2_at)
{
	u32 bytes = k->extended ? 16 : 8;
	u64 n = 1ULL << k->l2_bits, i, entry, bitmap, at;

	for (i = 0; i < n; i++) {
		entry = load(k, l2_at + i * bytes);
		bitmap = k->extended ? load(k, l2_at + i * bytes + 8) : 0;
		at = entry & OFFSET;
		if (is_compressed(k, entry)) {
			walk_compressed(k, entry);
			continue;
		}
		if ((u32)bitmap & (u32)(bitmap >> 32) || (!at && (u32)bitmap))
			corrupt(k, "subclusters %#llx of entry %#llx", bitmap, entry);
		if (!at)
			continue;
		use(k, at, 1ULL << k->bits, CHECKER_DATA, "cluster");
		check_copied(k, entry, at, "cluster");
	}
}

static void walk_l1(struct checker *k)
{
	u64 bytes = (k->extended ? 16ULL : 8ULL) << k->l2_bits, entry, at;
	u32 i;

	if (k->version > 1)
		use(k, k->l1_at, max(k->l1_size, 1U) * 8ULL, CHECKER_META, "L1 table");
	for (i = 0; i < k->l1_size; i++) {
		entry = load(k, k->l1_at + i * 8ULL);
		at = entry & OFFSET;
		if (!at)
			continue;
		use(k, at, bytes, CHECKER_META, "L2 table");
		/* Nobody else makes sure of the rest of it. */
		if (k->version == 1 && at + bytes > k->size)
			corrupt(k, "L2 table at %#llx is cut short", at);
		check_copied(k, entry, at, "L2 table");
		walk_l2(k, at);
	}
}

static void walk_refcounts(struct checker *k)
{
	u64 i, at;

	use(k, k->table_at, k->table_size * 8, CHECKER_META, "refcount table");
	for (i = 0; i < k->table_size; i++) {
		at = load(k, k->table_at + i * 8) & ~511ULL;
		if (at)
			use(k, at, 1ULL << k->bits, CHECKER_META, "refcount block");
	}
}

/* The L1 table is behind the header, as it was built. */
static bool walk_v1_header(struct checker *k)
{
	u64 covered;

	k->bits = load(k, 32) >> 56;
	k->l2_bits = load(k, 33) >> 56;
	k->unit = 9;
	k->disk = load(k, 24);
	k->l1_at = load(k, 40);
	covered = 1ULL << (k->bits + k->l2_bits);
	k->l1_size = (k->disk + covered - 1) >> (k->bits + k->l2_bits);
	k->nr = ((k->size - 1) >> k->unit) + 1;
	if (load(k, 0) >> 32 != 0x514649fb || k->bits < 9 || k->bits > 16 ||
	    k->l2_bits < 6 || k->l2_bits > 13 || k->nr > k->max ||
	    k->l1_size > 4096) {
		corrupt(k, "no header, or file of %llu sectors", k->nr);
		return false;
	}
	memset(k->refs, 0, k->nr * sizeof(*k->refs));
	memset(k->uses, 0, k->nr);
	use(k, 0, k->l1_at + k->l1_size * 8ULL, CHECKER_META, "header");
	return true;
}

/* Return: whether more can be looked at. */
static bool walk_header(struct checker *k)
{
	u32 version = load(k, 4) >> 32;

	k->version = version;
	k->order = 0;
	k->extended = false;
	k->table_size = 0;
	if (version == 1)
		return walk_v1_header(k);
	k->bits = load(k, 20) >> 32;
	if (load(k, 0) >> 32 != 0x514649fb || version < 2 || version > 3 ||
	    k->bits < 9 || k->bits > 21) {
		corrupt(k, "no header");
		return false;
	}
	k->unit = k->bits;
	k->disk = load(k, 24);
	k->l1_size = load(k, 36) >> 32;
	k->l1_at = load(k, 40);
	k->table_at = load(k, 48);
	k->table_size = (load(k, 56) >> 32 << k->bits) / 8;
	k->order = version == 3 ? load(k, 96) >> 32 : 4;
	k->extended = version == 3 && load(k, 72) & 0x10;
	k->l2_bits = k->bits - (k->extended ? 4 : 3);
	k->nr = ((k->size - 1) >> k->bits) + 1;
	if (k->order > 6 || k->nr > k->max || k->l1_size > 4096 ||
	    k->table_size > 65536) {
		corrupt(k, "header out of the ordinary, or file of %llu clusters", k->nr);
		return false;
	}
	memset(k->refs, 0, k->nr * sizeof(*k->refs));
	memset(k->uses, 0, k->nr);
	use(k, 0, 1ULL << k->bits, CHECKER_META, "header");
	return true;
}

/* --- For the suites --- */

int checker_init(struct checker *k, u64 max_clusters)
{
	memset(k, 0, sizeof(*k));
	k->max = max_clusters;
	k->refs = kvcalloc(max_clusters, sizeof(*k->refs), GFP_KERNEL);
	k->uses = kvcalloc(max_clusters, 1, GFP_KERNEL);
	return k->refs && k->uses ? 0 : -ENOMEM;
}

void checker_free(struct checker *k)
{
	kvfree(k->refs);
	kvfree(k->uses);
	memset(k, 0, sizeof(*k));
}

/* Counts references. */
void checker_walk(struct checker *k, const void *data, u64 size)
{
	k->data = data;
	k->size = size;
	k->errors = 0;
	k->leaks = 0;
	k->text[0] = 0;
	if (!walk_header(k))
		return;
	if (k->version > 1)
		walk_refcounts(k);
	walk_l1(k);
}

/* Return: whether there is no corruption; leaks are none. */
bool checker_check(struct checker *k, const void *data, u64 size)
{
	u64 c, refcount;

	checker_walk(k, data, size);
	for (c = 0; k->version > 1 && !k->errors && c < k->nr; c++) {
		refcount = checker_refcount(k, c);
		if (refcount < k->refs[c])
			corrupt(k, "cluster %llu (%#x): refcount %llu, %u references",
				c, k->uses[c], refcount, k->refs[c]);
		k->leaks += refcount > k->refs[c];
	}
	return !k->errors;
}

/**
 * checker_find() - find a sector of the disk, after checker_walk()
 * @k: the image
 * @pos: bytes into the disk
 * @at: bytes into the file of what is there; if compressed, the L2 entry
 *
 * Return: what it is.
 */
enum checker_kind checker_find(const struct checker *k, u64 pos, u64 *at)
{
	u32 bytes = k->extended ? 16 : 8, sub;
	u64 in = pos & ((1ULL << k->bits) - 1), i = pos >> k->bits;
	u64 l2_at = load(k, k->l1_at + (i >> k->l2_bits) * 8) & OFFSET;
	u64 entry, bitmap;

	if (!l2_at)
		return CHECKER_HOLE;
	l2_at += (i & ((1ULL << k->l2_bits) - 1)) * bytes;
	entry = load(k, l2_at);
	*at = entry;
	if (is_compressed(k, entry))
		return CHECKER_COMPRESSED;
	*at = (entry & OFFSET) + in;
	if (k->extended) {
		bitmap = load(k, l2_at + 8);
		sub = in >> (k->bits - 5);
		if (bitmap >> 32 >> sub & 1)
			return CHECKER_ZERO;
		return bitmap >> sub & 1 ? CHECKER_HOST : CHECKER_HOLE;
	}
	if (entry & PLAIN_ZERO)
		return CHECKER_ZERO;
	return entry & OFFSET ? CHECKER_HOST : CHECKER_HOLE;
}
