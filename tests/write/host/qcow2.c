// SPDX-License-Identifier: GPL-2.0
/*
 * A qcow2 image on a disk in memory: whether it is sound, and its content. This file
 * knows nothing of the driver, and is as strict as qemu-img check that only
 * leaks are allowed; with one thing more, that no cluster has two uses in one
 * tree even if its refcount is two.
 */
#include <endian.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"

#define MAGIC			0x514649fb
#define INCOMPAT_DIRTY		1
#define INCOMPAT_CORRUPT	2
#define INCOMPAT_COMPRESSION	8
#define INCOMPAT_EXTL2		16
#define INCOMPAT_KNOWN		(INCOMPAT_DIRTY | INCOMPAT_COMPRESSION | INCOMPAT_EXTL2)

#define COPIED			(1ull << 63)
#define COMPRESSED		(1ull << 62)
#define ZERO			1ull
#define OFFSET_MASK		0x00fffffffffffe00ull
#define RESERVED_L1		(~(COPIED | OFFSET_MASK))
#define RESERVED_L2		(~(COPIED | COMPRESSED | OFFSET_MASK | ZERO))

#define MAX_L1			(4u << 20)

#define AUTOCLEAR_BITMAPS	1
#define BITMAPS			0x23852875

bool qcow2_wrong(struct qcow2 *q, const char *fmt, ...)
{
	va_list args;

	if (q->why[0])
		return false;
	va_start(args, fmt);
	vsnprintf(q->why, sizeof(q->why), fmt, args);
	va_end(args);
	return false;
}

#define hex(x)	((unsigned long long)(x))

static uint64_t get64(const struct qcow2 *q, uint64_t off)
{
	uint64_t x;

	memcpy(&x, q->d->data + off, 8);
	return be64toh(x);
}

static uint32_t get32(const struct qcow2 *q, uint64_t off)
{
	uint32_t x;

	memcpy(&x, q->d->data + off, 4);
	return be32toh(x);
}

static uint16_t get16(const struct qcow2 *q, uint64_t off)
{
	uint16_t x;

	memcpy(&x, q->d->data + off, 2);
	return be16toh(x);
}

static uint64_t cluster_size(const struct qcow2 *q)
{
	return 1ull << q->cluster_bits;
}

static bool inside(const struct qcow2 *q, uint64_t off, uint64_t len)
{
	return off <= q->clusters << q->cluster_bits &&
	       len <= (q->clusters << q->cluster_bits) - off;
}

static const char *kind_name(unsigned int kind)
{
	static const char *const names[] = {
		"nothing", "the header", "the refcount table", "a refcount block",
		"an L1 table", "an L2 table", "data", "compressed data",
		"the snapshot table", "of a bitmap",
	};

	return names[kind];
}

/*
 * Counts one more use of every cluster in the range. Compressed data shares clusters;
 * trees share the clusters that they have in common.
 */
static bool use(struct qcow2 *q, uint64_t off, uint64_t len, unsigned int kind,
		uint32_t tree)
{
	uint64_t c, end;

	if (!len || !inside(q, off, len))
		return len ? qcow2_wrong(q, "%s at 0x%llx is past the end of the disk",
					 kind_name(kind), hex(off)) : true;
	end = (off + len - 1) >> q->cluster_bits;
	for (c = off >> q->cluster_bits; c <= end; c++) {
		bool again = q->refs[c] && q->tree[c] == tree;

		if (q->refs[c] && q->kind[c] != kind)
			return qcow2_wrong(q, "%s at 0x%llx is also %s", kind_name(kind),
					   hex(c << q->cluster_bits),
					   kind_name(q->kind[c]));
		if (again && kind != KIND_COMPRESSED)
			return qcow2_wrong(q, "%s at 0x%llx has two uses",
					   kind_name(kind), hex(c << q->cluster_bits));
		q->refs[c]++;
		q->tree[c] = tree;
		q->kind[c] = kind;
	}
	return true;
}

/* --- Refcounts --- */

static uint64_t refcount(const struct qcow2 *q, uint64_t cluster)
{
	unsigned int order = q->refcount_order;
	unsigned int block_bits = q->cluster_bits + 3 - order;
	uint64_t i = cluster >> block_bits, n = cluster & ((1ull << block_bits) - 1);
	uint64_t block;

	if (i >= q->table_entries)
		return 0;
	block = get64(q, q->table + i * 8) & OFFSET_MASK;
	if (!block || !inside(q, block, cluster_size(q)))
		return 0;
	switch (order) {
	case 4:
		return get16(q, block + n * 2);
	case 5:
		return get32(q, block + n * 4);
	case 6:
		return get64(q, block + n * 8);
	case 3:
		return q->d->data[block + n];
	default:
		n <<= order;
		return q->d->data[block + n / 8] >> n % 8 & ((1u << (1u << order)) - 1);
	}
}

static bool check_refcount_table(struct qcow2 *q)
{
	uint32_t i;

	if (!use(q, q->table, (uint64_t)q->table_entries * 8, KIND_REFTABLE, 0))
		return false;
	for (i = 0; i < q->table_entries; i++) {
		uint64_t e = get64(q, q->table + i * 8ull);

		if (!e)
			continue;
		if (e & ((cluster_size(q) - 1) | ~OFFSET_MASK))
			return qcow2_wrong(q, "entry %u of the refcount table is 0x%llx",
					   i, hex(e));
		if (!use(q, e, cluster_size(q), KIND_REFBLOCK, 0))
			return false;
	}
	return true;
}

static bool check_refcounts(struct qcow2 *q)
{
	uint64_t c;

	for (c = 0; c < q->clusters; c++) {
		if (!q->refs[c] || q->refs[c] <= refcount(q, c))
			continue;
		return qcow2_wrong(q, "%s at 0x%llx has refcount %llu and %u uses",
				   kind_name(q->kind[c]), hex(c << q->cluster_bits),
				   hex(refcount(q, c)), q->refs[c]);
	}
	return true;
}

/* --- Trees --- */

static bool check_copied(struct qcow2 *q, uint64_t entry, uint64_t off,
			 const char *what, uint64_t nr)
{
	uint64_t count = refcount(q, off >> q->cluster_bits);

	if (q->dirty || (count == 1) == !!(entry & COPIED))
		return true;
	if (q->lenient) {
		q->stale++;
		return true;
	}
	return qcow2_wrong(q, "%s entry %llu is 0x%llx, but the refcount is %llu", what,
			   hex(nr), hex(entry), hex(count));
}

/* The disk's content where the image has none */
static tag_t below(const struct qcow2 *q, uint64_t sector)
{
	return q->has_backing && sector < q->nr_backing ? q->backing[sector] : TAG_ZERO;
}

static void got_below(struct qcow2 *q, uint64_t s, uint64_t nr)
{
	for (; nr && s < q->sectors; s++, nr--)
		q->got[s] = below(q, s);
}

static void got_zeros(struct qcow2 *q, uint64_t s, uint64_t nr)
{
	for (; nr && s < q->sectors; s++, nr--)
		q->got[s] = TAG_ZERO;
}

static void got_tags(struct qcow2 *q, uint64_t s, uint64_t nr, const tag_t *tags)
{
	if (s >= q->sectors)
		return;
	if (nr > q->sectors - s)
		nr = q->sectors - s;
	memcpy(q->got + s, tags, nr * sizeof(*tags));
}

static bool walk_compressed(struct qcow2 *q, uint64_t guest, uint64_t e,
			    uint32_t tree)
{
	unsigned int x = 70 - q->cluster_bits;
	uint64_t off = e & ((1ull << x) - 1);
	uint64_t n = (e & (COMPRESSED - 1)) >> x;
	uint64_t len = (n + 1) * 512 - (off & 511), nr = cluster_size(q) / 512;
	const tag_t *tags;

	if (e & COPIED)
		return qcow2_wrong(q, "compressed entry 0x%llx is COPIED", hex(e));
	if (!use(q, off, len, KIND_COMPRESSED, tree))
		return false;
	tags = inflate_cluster(q, off, len);
	if (!tags)
		return qcow2_wrong(q, "compressed data at 0x%llx is damaged", hex(off));
	got_tags(q, guest * nr, nr, tags);
	return true;
}

static bool walk_subclusters(struct qcow2 *q, uint64_t guest, uint64_t off,
			     uint64_t bitmap)
{
	uint64_t nr = cluster_size(q) / 512 / 32, s = guest * nr * 32;
	uint32_t alloc = bitmap, zero = bitmap >> 32;
	int i;

	if ((alloc & zero) || (alloc && !off))
		return qcow2_wrong(q, "cluster %llu has bitmap 0x%llx at 0x%llx",
				   hex(guest), hex(bitmap), hex(off));
	for (i = 0; i < 32; i++, s += nr) {
		if (zero >> i & 1)
			got_zeros(q, s, nr);
		else if (alloc >> i & 1)
			got_tags(q, s, nr, q->d->tags + off / 512 + i * nr);
		else
			got_below(q, s, nr);
	}
	return true;
}

static bool walk_plain(struct qcow2 *q, uint64_t guest, uint64_t e, uint64_t bitmap,
		       uint32_t tree)
{
	uint64_t off = e & OFFSET_MASK, nr = cluster_size(q) / 512;

	if ((e & RESERVED_L2) || (off & (cluster_size(q) - 1)) ||
	    ((e & ZERO) && (q->version < 3 || q->extended)))
		return qcow2_wrong(q, "the entry of cluster %llu is 0x%llx", hex(guest),
				   hex(e));
	if (off) {
		if (!use(q, off, cluster_size(q), KIND_DATA, tree))
			return false;
		if (!tree && !check_copied(q, e, off, "L2", guest))
			return false;
	}
	if (q->extended)
		return walk_subclusters(q, guest, off, bitmap);
	if (e & ZERO)
		got_zeros(q, guest * nr, nr);
	else if (off)
		got_tags(q, guest * nr, nr, q->d->tags + off / 512);
	else
		got_below(q, guest * nr, nr);
	return true;
}

static bool walk_l2(struct qcow2 *q, uint64_t l2, uint64_t guest, uint32_t tree)
{
	unsigned int entry = q->extended ? 16 : 8;
	uint64_t i, nr = cluster_size(q) / entry;

	for (i = 0; i < nr; i++, guest++) {
		uint64_t e = get64(q, l2 + i * entry);
		uint64_t bitmap = q->extended ? get64(q, l2 + i * entry + 8) : 0;
		bool ok;

		if (e & COMPRESSED)
			ok = walk_compressed(q, guest, e, tree);
		else
			ok = walk_plain(q, guest, e, bitmap, tree);
		if (!ok)
			return false;
	}
	return true;
}

static bool walk_l1(struct qcow2 *q, uint64_t l1, uint32_t entries, uint32_t tree)
{
	unsigned int bits = q->cluster_bits - (q->extended ? 4 : 3);
	uint64_t i;

	if (entries > MAX_L1 || l1 & (cluster_size(q) - 1))
		return qcow2_wrong(q, "an L1 table of %u entries at 0x%llx", entries,
				   hex(l1));
	if (!use(q, l1, entries * 8ull, KIND_L1, tree))
		return false;
	got_below(q, 0, q->sectors);
	for (i = 0; i < entries; i++) {
		uint64_t e = get64(q, l1 + i * 8), off = e & OFFSET_MASK;

		if ((e & RESERVED_L1) || (off & (cluster_size(q) - 1)))
			return qcow2_wrong(q, "L1 entry %llu is 0x%llx", hex(i), hex(e));
		if (!off)
			continue;
		if (!use(q, off, cluster_size(q), KIND_L2, tree))
			return false;
		if (!tree && !check_copied(q, e, off, "L1", i))
			return false;
		if (!walk_l2(q, off, i << bits, tree))
			return false;
	}
	return true;
}

/* --- The whole --- */

static bool read_header(struct qcow2 *q)
{
	uint64_t incompat = 0, size;

	q->version = get32(q, 4);
	q->cluster_bits = get32(q, 20);
	if (get32(q, 0) != MAGIC || q->version < 2 || q->version > 3 ||
	    q->cluster_bits < 9 || q->cluster_bits > 21)
		return qcow2_wrong(q, "the header is no longer one");
	if (q->version == 3)
		incompat = get64(q, 72);
	if (incompat & ~INCOMPAT_KNOWN)
		return qcow2_wrong(q, "incompatible features 0x%llx", hex(incompat));
	q->dirty = incompat & INCOMPAT_DIRTY;
	q->extended = incompat & INCOMPAT_EXTL2;
	q->refcount_order = q->version == 3 ? get32(q, 96) : 4;
	q->zstd = incompat & INCOMPAT_COMPRESSION;
	if (q->refcount_order > 6)
		return qcow2_wrong(q, "refcount order %u", q->refcount_order);
	size = get64(q, 24) / 512;
	q->sectors = size;
	q->clusters = q->d->sectors * 512 >> q->cluster_bits;
	q->table = get64(q, 48);
	/* Once it has streamed it has no backing file. */
	q->has_backing = q->backing && get64(q, 8);
	q->table_entries = (uint64_t)get32(q, 56) << q->cluster_bits >> 3;
	if (!q->table_entries || q->table & (cluster_size(q) - 1) ||
	    !inside(q, q->table, q->table_entries * 8ull))
		return qcow2_wrong(q, "a refcount table of %u entries at 0x%llx",
				   q->table_entries, hex(q->table));
	return true;
}

static void make_room(struct qcow2 *q)
{
	if (!q->refs) {
		q->refs = xcalloc(q->clusters, sizeof(*q->refs));
		q->tree = xcalloc(q->clusters, sizeof(*q->tree));
		q->kind = xcalloc(q->clusters, sizeof(*q->kind));
	}
	if (q->sectors > q->room) {
		q->room = q->sectors;
		free(q->got);
		q->got = xcalloc(q->room, sizeof(*q->got));
	}
	memset(q->refs, 0, q->clusters * sizeof(*q->refs));
	memset(q->kind, 0, q->clusters * sizeof(*q->kind));
}

static void copy_name(const struct qcow2 *q, char *name, uint64_t at, uint32_t len)
{
	if (len >= NAME_SIZE)
		len = NAME_SIZE - 1;
	memcpy(name, q->d->data + at, len);
	name[len] = 0;
}

/* Calls back with the content of each tree. */
static bool walk_snapshots(struct qcow2 *q)
{
	uint32_t nr = get32(q, 60), i;
	uint64_t begin = get64(q, 64), at = begin;

	if (nr >= MAX_TREES)
		return qcow2_wrong(q, "%u snapshots", nr);
	for (i = 0; i < nr; i++) {
		if (!inside(q, at, 1024))
			return qcow2_wrong(q, "the snapshot table is past the end");
		copy_name(q, q->names[i + 1],
			  at + 40 + get32(q, at + 36) + get16(q, at + 12),
			  get16(q, at + 14));
		if (!walk_l1(q, get64(q, at), get32(q, at + 8), i + 1) ||
		    !q->judge(q, i + 1, q->judge_arg))
			return false;
		at += 40 + get32(q, at + 36) + get16(q, at + 12) + get16(q, at + 14);
		at = (at + 7) & ~7ull;
	}
	q->trees = nr + 1;
	return use(q, begin, at - begin, KIND_SNAPSHOTS, 0);
}

/* Nothing that two trees have may be written in place. */
static bool check_shared(struct qcow2 *q)
{
	unsigned int entry = q->extended ? 16 : 8;
	uint64_t l1 = get64(q, 40), i, n, e, data;

	for (i = 0; i < get32(q, 36); i++) {
		e = get64(q, l1 + i * 8);
		if (!(e & OFFSET_MASK) || !(e & COPIED))
			continue;
		e &= OFFSET_MASK;
		if (q->refs[e >> q->cluster_bits] > 1)
			return qcow2_wrong(q, "an L2 table of two trees is COPIED, 0x%llx",
					   hex(e));
		for (n = 0; n < cluster_size(q); n += entry) {
			data = get64(q, e + n);
			if (data & COPIED &&
			    q->refs[(data & OFFSET_MASK) >> q->cluster_bits] > 1)
				return qcow2_wrong(q, "data of two trees is COPIED, 0x%llx",
						   hex(data));
		}
	}
	return true;
}

/* --- Bitmaps --- */

/* Where the data of their header extension begins; 0: there is none */
static uint64_t bitmaps_extension(const struct qcow2 *q)
{
	uint64_t at = q->version == 3 ? get32(q, 100) : cluster_size(q);

	while (at + 32 <= cluster_size(q)) {
		uint32_t type = get32(q, at);

		if (type == BITMAPS)
			return at + 8;
		if (!type)
			break;
		at += 8 + ((get32(q, at + 4) + 7ull) & ~7ull);
	}
	return 0;
}

bool qcow2_bit(const struct qcow2 *q, const struct bitmap *b, uint64_t sector)
{
	uint64_t bit = sector * 512 >> b->bits, per = cluster_size(q) * 8;
	uint64_t e, i = bit / per;

	if (i >= b->table_size)
		return false;
	e = get64(q, b->table + i * 8);
	if (!(e & OFFSET_MASK))
		return e & 1;
	return q->d->data[(e & OFFSET_MASK) + bit % per / 8] >> bit % 8 & 1;
}

static bool walk_bitmap(struct qcow2 *q, const struct bitmap *b)
{
	uint32_t i;

	if (b->table & (cluster_size(q) - 1) ||
	    !use(q, b->table, b->table_size * 8ull, KIND_BITMAPS, 0))
		return qcow2_wrong(q, "the table of bitmap %s is at 0x%llx", b->name,
				   hex(b->table));
	for (i = 0; i < b->table_size; i++) {
		uint64_t e = get64(q, b->table + i * 8ull), off = e & OFFSET_MASK;

		if ((e & ~(OFFSET_MASK | 1)) || (off & (cluster_size(q) - 1)))
			return qcow2_wrong(q, "entry %u of bitmap %s is 0x%llx", i, b->name,
					   hex(e));
		if (off && !use(q, off, cluster_size(q), KIND_BITMAPS, 0))
			return false;
	}
	return true;
}

static bool walk_bitmaps(struct qcow2 *q)
{
	uint64_t ext = bitmaps_extension(q), at, end;
	uint32_t i, nr;

	q->nr_bitmaps = 0;
	q->lost_bitmaps = false;
	if (!ext)
		return true;
	if (!(get64(q, 88) & AUTOCLEAR_BITMAPS)) {
		q->lost_bitmaps = ext / 512 != (ext + 23) / 512;
		return true;
	}
	nr = get32(q, ext);
	at = get64(q, ext + 16);
	end = at + get64(q, ext + 8);
	if (nr >= MAX_CHANGES || at & (cluster_size(q) - 1) ||
	    !use(q, at, end - at, KIND_BITMAPS, 0))
		return qcow2_wrong(q, "%u bitmaps at 0x%llx", nr, hex(at));
	for (i = 0; i < nr; i++) {
		struct bitmap b = { .table = get64(q, at), .table_size = get32(q, at + 8),
				    .flags = get32(q, at + 12), .bits = q->d->data[at + 17] };

		if (at + 24 > end || b.bits < 9 || b.bits > 31)
			return qcow2_wrong(q, "bitmap %u is no bitmap", i);
		copy_name(q, b.name, at + 24 + get32(q, at + 20), get16(q, at + 18));
		at += (24ull + get32(q, at + 20) + get16(q, at + 18) + 7) & ~7ull;
		if (!walk_bitmap(q, &b))
			return false;
		q->bitmaps[q->nr_bitmaps++] = b;
	}
	return at == end || qcow2_wrong(q, "the bitmaps end at 0x%llx", hex(at));
}

/* The active tree comes last: q->got is left with its content. */
bool qcow2_check(struct qcow2 *q)
{
	q->why[0] = 0;
	q->stale = 0;
	if (!read_header(q))
		return false;
	make_room(q);
	return use(q, 0, cluster_size(q), KIND_HEADER, 0) && check_refcount_table(q) &&
	       walk_snapshots(q) && walk_l1(q, get64(q, 40), get32(q, 36), 0) &&
	       walk_bitmaps(q) && (q->dirty || check_refcounts(q)) &&
	       (!q->lenient || check_shared(q)) && q->judge(q, 0, q->judge_arg);
}

void qcow2_init(struct qcow2 *q, struct disk *d)
{
	memset(q, 0, sizeof(*q));
	q->d = d;
	if (!read_header(q))
		die("the disk has no image: %s", q->why);
}
