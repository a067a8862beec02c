// SPDX-License-Identifier: GPL-2.0
/*
 * An image's consistency, looked at as qemu-img check does, with nothing of the
 * driver's: header, L1, L2, clusters, refcounts, COPIED, snapshots.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat_test.h"
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
	u64 value = 0, bit;
	u32 b;

	for (b = 0; b < 1U << order; b++) {
		bit = bit_place(order, index, b);
		value |= (u64)(block[bit / 8] >> bit % 8 & 1) << b;
	}
	return value;
}

void checker_put_bits(u8 *block, u32 order, u64 index, u64 value)
{
	u64 bit;
	u32 b;

	for (b = 0; b < 1U << order; b++) {
		bit = bit_place(order, index, b);
		block[bit / 8] &= ~BIT(bit % 8);
		block[bit / 8] |= (value >> b & 1) << bit % 8;
	}
}

/* --- The file --- */

static u64 load(const struct checker *k, u64 host_offset)
{
	u8 buf[8] = { };

	if (host_offset < k->size)
		memcpy(buf, k->data + host_offset, min_t(u64, k->size - host_offset, 8));
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

static bool aligned(const struct checker *k, u64 host_offset)
{
	return !(host_offset & ((1ULL << k->bits) - 1));
}

/* The refcount of a cluster, 0 where there is no block. */
u64 checker_refcount(const struct checker *k, u64 cluster)
{
	u32 block_bits = k->bits + 3 - k->order;
	u64 i = cluster >> block_bits, host_offset;

	if (i >= k->table_size)
		return 0;
	host_offset = load(k, k->table_at + i * 8) & ~511ULL;
	if (!host_offset || host_offset + (1ULL << k->bits) > k->size + (1ULL << k->bits))
		return 0;
	i = cluster & ((1ULL << block_bits) - 1);
	/* Data past the end of the file is zeros. */
	if (host_offset + ((i + 1) << k->order) / 8 > k->size)
		return 0;
	return checker_get_bits(k->data + host_offset, k->order, i);
}

/* --- References --- */

/* Compressed data shares clusters; snapshots share clusters with the disk. */
static bool may_share(const struct checker *k, u8 used, u8 as)
{
	if (used != as)
		return false;
	return as == CHECKER_COMP ||
	       (k->inactive && (as == CHECKER_DATA || as == CHECKER_L2));
}

static void use(struct checker *k, u64 host_offset, u64 len, u8 as, const char *what)
{
	u64 c = host_offset >> k->bits, last = (host_offset + len - 1) >> k->bits;

	if (as != CHECKER_COMP && !aligned(k, host_offset)) {
		corrupt(k, "%s at %#llx is not aligned", what, host_offset);
		return;
	}
	if (host_offset >= k->size) {
		corrupt(k, "%s at %#llx is past the end %#llx", what, host_offset, k->size);
		return;
	}
	for (; c <= last && c < k->nr; c++) {
		if (k->uses[c] && !may_share(k, k->uses[c], as))
			corrupt(k, "%s at %#llx is used for %#x, too", what, host_offset,
				k->uses[c]);
		k->refs[c]++;
		k->uses[c] |= as;
	}
}

/* COPIED says that the refcount is one. */
static void check_copied(struct checker *k, u64 entry, u64 host_offset, const char *what)
{
	u64 refcount = checker_refcount(k, host_offset >> k->bits);
	bool copied = entry & COPIED;

	if (k->inactive || (refcount == 1 ? copied : !copied))
		return;
	if (k->lenient) {
		k->stale++;
		return;
	}
	corrupt(k, "%s at %#llx: refcount %llu, entry %#llx", what, host_offset,
		refcount, entry);
}

static void walk_compressed(struct checker *k, u64 entry)
{
	u32 shift = 70 - k->bits;
	u64 host_offset = entry & ((1ULL << shift) - 1);
	u64 sectors = (entry & ~(COPIED | COMPRESSED)) >> shift;

	if (entry & COPIED)
		corrupt(k, "compressed cluster with COPIED: %#llx", entry);
	use(k, host_offset, (sectors + 1) * 512 - host_offset % 512, CHECKER_COMP,
	    "compressed data");
}

static void walk_l2(struct checker *k, u64 l2_at)
{
	u32 bytes = k->extended ? 16 : 8;
	u64 n = (1ULL << k->bits) / bytes, i, entry, bitmap, host_offset;

	for (i = 0; i < n; i++) {
		entry = load(k, l2_at + i * bytes);
		bitmap = k->extended ? load(k, l2_at + i * bytes + 8) : 0;
		host_offset = entry & OFFSET;
		if (entry & COMPRESSED) {
			walk_compressed(k, entry);
			continue;
		}
		if ((u32)bitmap & (u32)(bitmap >> 32) || (!host_offset && (u32)bitmap))
			corrupt(k, "subclusters %#llx of entry %#llx", bitmap, entry);
		if (!host_offset)
			continue;
		use(k, host_offset, 1ULL << k->bits, CHECKER_DATA, "cluster");
		check_copied(k, entry, host_offset, "cluster");
	}
}

static void walk_l1(struct checker *k, u64 l1_at, u32 l1_size)
{
	u64 entry, host_offset;
	u32 i;

	use(k, l1_at, max(l1_size, 1U) * 8ULL, CHECKER_META, "L1 table");
	for (i = 0; i < l1_size; i++) {
		entry = load(k, l1_at + i * 8ULL);
		host_offset = entry & OFFSET;
		if (!host_offset)
			continue;
		use(k, host_offset, 1ULL << k->bits, CHECKER_L2, "L2 table");
		check_copied(k, entry, host_offset, "L2 table");
		walk_l2(k, host_offset);
	}
}

/* Section "Snapshots". */
static void walk_snapshots(struct checker *k)
{
	u64 start = load(k, 64), host_offset = start, name;
	u32 nr = load(k, 60) >> 32, i, id_len, name_len, n;
	struct checker_snapshot *s;

	if (nr > CHECKER_SNAPSHOTS) {
		corrupt(k, "%u snapshots", nr);
		return;
	}
	k->nr_snapshots = nr;
	k->inactive = true;
	for (i = 0; i < nr; i++) {
		s = &k->snapshots[i];
		host_offset = round_up(host_offset, 8);
		s->l1_at = load(k, host_offset);
		s->l1_size = load(k, host_offset + 8) >> 32;
		id_len = load(k, host_offset + 12) >> 48;
		name_len = load(k, host_offset + 14) >> 48;
		name = host_offset + 40 + (load(k, host_offset + 36) >> 32) + id_len;
		for (n = 0; n < min(name_len, CHECKER_NAME - 1U); n++)
			s->name[n] = load(k, name + n) >> 56;
		s->name[n] = 0;
		host_offset = name + name_len;
		if (s->l1_size > 4096 || host_offset > k->size) {
			corrupt(k, "snapshot %u out of the ordinary", i);
			break;
		}
		walk_l1(k, s->l1_at, s->l1_size);
	}
	k->inactive = false;
	if (nr)
		use(k, start, host_offset - start, CHECKER_META, "snapshot table");
}

/* Nothing that has several references may be written in place. */
static void check_shared(struct checker *k, u64 entry, const char *what)
{
	u64 c = (entry & OFFSET) >> k->bits;

	if (entry & COPIED && !(entry & COMPRESSED) && c && c < k->nr &&
	    k->refs[c] > 1)
		corrupt(k, "%s %#llx: COPIED, with %u references", what, entry,
			k->refs[c]);
}

static void walk_shared(struct checker *k)
{
	u32 bytes = k->extended ? 16 : 8, i;
	u64 entry, host_offset, end;

	for (i = 0; i < k->l1_size; i++) {
		entry = load(k, k->l1_at + i * 8ULL);
		check_shared(k, entry, "L1 entry");
		host_offset = entry & OFFSET;
		/* An L2 entry's flag counts if its table has it, too. */
		if (!host_offset || !(entry & COPIED))
			continue;
		for (end = host_offset + (1ULL << k->bits); host_offset < end;
		     host_offset += bytes)
			check_shared(k, load(k, host_offset), "L2 entry");
	}
}

static void walk_refcounts(struct checker *k)
{
	u64 i, host_offset;

	use(k, k->table_at, k->table_size * 8, CHECKER_META, "refcount table");
	for (i = 0; i < k->table_size; i++) {
		host_offset = load(k, k->table_at + i * 8) & ~511ULL;
		if (host_offset)
			use(k, host_offset, 1ULL << k->bits, CHECKER_META, "refcount block");
	}
}

/* --- Bitmaps --- */

/* The data of the bitmaps extension, 0: there is none that counts. */
static u64 bitmaps_at(const struct checker *k)
{
	u64 host_offset = load(k, 100) >> 32, end = 1ULL << k->bits, ext;

	if (load(k, 4) >> 32 != 3 || !(load(k, 88) & 1))
		return 0;
	while (host_offset + 32 <= end) {
		ext = load(k, host_offset);
		if (ext >> 32 == 0x23852875)
			return host_offset + 8;
		if (!(ext >> 32))
			break;
		host_offset += 8 + (((u32)ext + 7) & ~7U);
	}
	return 0;
}

static void bitmap_load(const struct checker *k, u64 host_offset, struct checker_bitmap *b)
{
	b->table_at = load(k, host_offset);
	b->table_size = load(k, host_offset + 8) >> 32;
	b->flags = load(k, host_offset + 8);
	b->granularity_bits = load(k, host_offset + 16) >> 48 & 0xff;
	b->name_len = load(k, host_offset + 16) >> 32 & 0xffff;
	b->name_at = host_offset + 24;
}

static u64 bitmap_next(u64 host_offset, const struct checker_bitmap *b)
{
	return host_offset + ((24 + b->name_len + 7) & ~7U);
}

static void walk_bitmaps(struct checker *k)
{
	u64 ext = bitmaps_at(k), host_offset, cluster;
	struct checker_bitmap b;
	u32 nr, i, n;

	if (!ext)
		return;
	nr = load(k, ext) >> 32;
	host_offset = load(k, ext + 16);
	use(k, host_offset, max(load(k, ext + 8), 1ULL), CHECKER_META, "bitmap directory");
	for (n = 0; n < nr && !k->errors; n++, host_offset = bitmap_next(host_offset, &b)) {
		bitmap_load(k, host_offset, &b);
		if (!b.table_size || b.table_size > 65536) {
			corrupt(k, "bitmap table of %u entries", b.table_size);
			return;
		}
		use(k, b.table_at, b.table_size * 8ULL, CHECKER_META, "bitmap table");
		for (i = 0; i < b.table_size; i++) {
			cluster = load(k, b.table_at + i * 8ULL);
			if (cluster & OFFSET)
				use(k, cluster & OFFSET, 1ULL << k->bits,
				    CHECKER_META, "bitmap");
		}
	}
}

/* Return: whether there is one of that name; after checker_walk(). */
bool checker_find_bitmap(const struct checker *k, const char *name,
			 struct checker_bitmap *b)
{
	u64 ext = bitmaps_at(k), host_offset;
	u32 nr, n;

	if (!ext)
		return false;
	nr = load(k, ext) >> 32;
	host_offset = load(k, ext + 16);
	for (n = 0; n < nr; n++, host_offset = bitmap_next(host_offset, b)) {
		bitmap_load(k, host_offset, b);
		if (b->name_len == strlen(name) &&
		    !memcmp(k->data + b->name_at, name, b->name_len))
			return true;
	}
	return false;
}

bool checker_bitmap_bit(const struct checker *k, const struct checker_bitmap *b,
			u64 bit)
{
	u64 entry = load(k, b->table_at + (bit / 8 >> k->bits) * 8);
	u64 host_offset = (entry & OFFSET) + (bit / 8 & ((1ULL << k->bits) - 1));

	if (!(entry & OFFSET))
		return entry & 1;
	return host_offset < k->size && k->data[host_offset] >> bit % 8 & 1;
}

/* Return: whether more can be looked at. */
static bool walk_header(struct checker *k)
{
	u32 version = load(k, 4) >> 32;

	k->bits = load(k, 20) >> 32;
	if (load(k, 0) >> 32 != 0x514649fb || version < 2 || version > 3 ||
	    k->bits < 9 || k->bits > 21) {
		corrupt(k, "no header");
		return false;
	}
	k->disk = load(k, 24);
	k->l1_size = load(k, 36) >> 32;
	k->l1_at = load(k, 40);
	k->table_at = load(k, 48);
	k->table_size = (load(k, 56) >> 32 << k->bits) / 8;
	k->order = version == 3 ? load(k, 96) >> 32 : 4;
	k->extended = version == 3 && load(k, 72) & 0x10;
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
	k->stale = 0;
	k->nr_snapshots = 0;
	k->inactive = false;
	k->text[0] = 0;
	if (!walk_header(k))
		return;
	walk_refcounts(k);
	walk_l1(k, k->l1_at, k->l1_size);
	walk_snapshots(k);
	walk_shared(k);
	walk_bitmaps(k);
}

/* --- Version 1 --- */

/* Nothing is used twice, nothing lies past the end. */
static void v1_use(struct checker *k, u64 host_offset, u64 len, const char *what)
{
	u64 sector = host_offset >> 9, last = (host_offset + len - 1) >> 9;

	if (host_offset & 511)
		corrupt(k, "%s at %#llx is not aligned", what, host_offset);
	else if (host_offset + len > round_up(k->size, 512) || last >= k->max)
		corrupt(k, "%s at %#llx lies past the end", what, host_offset);
	for (; !k->errors && sector <= last; sector++)
		if (k->refs[sector]++)
			corrupt(k, "%s at %#llx lies in something else", what, host_offset);
}

static void v1_walk(struct checker *k)
{
	u64 shift, table, entry, i, n;

	memset(k->refs, 0, k->max * sizeof(*k->refs));
	k->bits = k->data[32];
	k->l2_bits = k->data[33];
	k->disk = load(k, 24);
	k->l1_at = load(k, 40);
	shift = k->bits + k->l2_bits;
	k->l1_size = ((k->disk - 1) >> shift) + 1;
	v1_use(k, 0, k->l1_at + k->l1_size * 8, "the header");
	for (n = 0; !k->errors && n < k->l1_size; n++) {
		table = load(k, k->l1_at + n * 8);
		if (!table)
			continue;
		v1_use(k, table, 8ULL << k->l2_bits, "an L2 table");
		for (i = 0; !k->errors && i < 1ULL << k->l2_bits; i++) {
			entry = load(k, table + i * 8);
			if (entry && !(entry & COPIED))
				v1_use(k, entry, 1ULL << k->bits, "a cluster");
		}
	}
}

static enum checker_kind v1_find(const struct checker *k, u64 guest_offset, u64 *host_offset)
{
	u64 i = guest_offset >> k->bits;
	u64 table = load(k, k->l1_at + (i >> k->l2_bits) * 8);

	if (!table)
		return CHECKER_HOLE;
	*host_offset = load(k, table + (i & ((1ULL << k->l2_bits) - 1)) * 8);
	if (!*host_offset)
		return CHECKER_HOLE;
	/* The compressed flag of version 1 is where qcow2 has COPIED. */
	if (*host_offset & COPIED)
		return CHECKER_COMPRESSED;
	*host_offset += guest_offset & ((1ULL << k->bits) - 1);
	return CHECKER_HOST;
}

/* --- All of it --- */

/* Return: whether there is no corruption; leaks are none. */
bool checker_check(struct checker *k, const void *data, u64 size)
{
	u64 c, refcount;

	k->v1 = size > 8 && ((const u8 *)data)[7] == 1;
	if (k->v1) {
		k->data = data;
		k->size = size;
		k->errors = 0;
		k->leaks = 0;
		k->text[0] = 0;
		v1_walk(k);
		return !k->errors;
	}
	checker_walk(k, data, size);
	for (c = 0; !k->errors && c < k->nr; c++) {
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
 * @guest_offset: bytes into the disk
 * @host_offset: bytes into the file of its data; if compressed, the L2 entry
 *
 * Return: its kind.
 */
enum checker_kind checker_find(const struct checker *k, u64 guest_offset, u64 *host_offset)
{
	return checker_find_in(k, k->l1_at, guest_offset, host_offset);
}

/* The same, by another L1 table. */
enum checker_kind checker_find_in(const struct checker *k, u64 l1_at, u64 guest_offset,
				  u64 *host_offset)
{
	u32 bytes = k->extended ? 16 : 8, sub;
	u32 l2_bits = k->bits - (k->extended ? 4 : 3);
	u64 in = guest_offset & ((1ULL << k->bits) - 1), i = guest_offset >> k->bits;
	u64 l2_at = load(k, l1_at + (i >> l2_bits) * 8) & OFFSET;
	u64 entry, bitmap;

	if (k->v1)
		return v1_find(k, guest_offset, host_offset);
	if (!l2_at)
		return CHECKER_HOLE;
	l2_at += (i & ((1ULL << l2_bits) - 1)) * bytes;
	entry = load(k, l2_at);
	*host_offset = entry;
	if (entry & COMPRESSED)
		return CHECKER_COMPRESSED;
	*host_offset = (entry & OFFSET) + in;
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
