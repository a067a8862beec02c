// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a VHDX: the copies of its headers, and that each part of the file has one use.
 */
#include "foreign/vhdx.h"

/**
 * struct use - the parts of the file that are used
 * @f: the image
 * @v: its numbers
 * @bits: by number of a part of VHDX_ALIGN bytes: whether it has a use
 * @parts: how many there are
 * @first: number of the first one that a block has
 */
struct use {
	struct foreign *f;
	struct vhdx *v;
	u8 *bits;
	u64 parts;
	u64 first;
};

static bool test_and_use(struct use *u, u64 part)
{
	bool used = u->bits[part / 8] >> part % 8 & 1;

	u->bits[part / 8] |= 1 << part % 8;
	return used;
}

static void use_range(struct use *u, const struct vhdx_range *range)
{
	u64 part = range->host_offset / VHDX_ALIGN, i;

	for (i = 0; i < DIV_ROUND_UP_ULL(range->bytes, VHDX_ALIGN); i++)
		if (part + i < u->parts)
			test_and_use(u, part + i);
}

static void use_block(struct use *u, const char *name, u64 block, u64 entry, u64 bytes)
{
	u64 part = vhdx_entry_host_offset(entry) / VHDX_ALIGN, i;
	u64 parts = DIV_ROUND_UP_ULL(bytes, VHDX_ALIGN);

	if (part > u->parts || parts > u->parts - part) {
		foreign_fault(u->f, "the %s of block %llu reaches past the end of the file", name,
			      (unsigned long long)block);
		return;
	}
	u->first = min(u->first, part);
	for (i = 0; i < parts; i++) {
		if (!test_and_use(u, part + i))
			continue;
		foreign_fault(u->f, "the %s of block %llu is where other data is, at offset %llu",
			      name, (unsigned long long)block,
			      (unsigned long long)(part + i) * VHDX_ALIGN);
		return;
	}
}

/* A block without data may keep its place, for later. */
static void use_kept(struct use *u, u64 entry)
{
	const struct vhdx_range kept = {
		.host_offset = vhdx_entry_host_offset(entry),
		.bytes = u->v->block,
	};

	if (kept.host_offset)
		use_range(u, &kept);
}

static int check_block(struct use *u, u64 block)
{
	struct vhdx *v = u->v;
	u64 start = block * v->block, entry;
	u32 state;
	int err = vhdx_entry(u->f, v, vhdx_block_index(v, block), &entry);

	if (err)
		return err;
	state = vhdx_entry_state(entry);
	if (state == VHDX_FULL || state == VHDX_PARTIAL)
		use_block(u, "data", block, entry, min((u64)v->block, u->f->disk.size - start));
	else
		use_kept(u, entry);
	if (!v->has_parent || block % v->ratio)
		return 0;
	err = vhdx_entry(u->f, v, vhdx_bitmap_index(v, block), &entry);
	if (!err && vhdx_entry_state(entry) == VHDX_FULL)
		use_block(u, "bitmap", block, entry, VHDX_BITMAP_BYTES);
	return err;
}

static int check_blocks(struct use *u)
{
	u64 block, blocks = DIV_ROUND_UP_ULL(u->f->disk.size, u->v->block);
	int err = 0;

	for (block = 0; !err && block < blocks; block++)
		err = check_block(u, block);
	return err;
}

/* Gaps that are smaller than a block, or in front of all blocks, are there on purpose. */
static void report_unused(struct use *u)
{
	u64 part, gap = 0, unused = 0, least = u->v->block / VHDX_ALIGN;

	for (part = u->first; part < u->parts; part++) {
		gap = u->bits[part / 8] >> part % 8 & 1 ? 0 : gap + 1;
		if (gap == least)
			unused += gap;
		else if (gap > least)
			unused++;
	}
	if (unused)
		foreign_leak(u->f, "%llu bytes belong to no block",
			     (unsigned long long)unused * VHDX_ALIGN);
}

static int check_copies(struct foreign *f, struct vhdx *v)
{
	u8 *tables = foreign_alloc(f, 2, VHDX_TABLE_BYTES);
	bool valid[2];
	u32 i;
	int err;

	if (!tables)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		err = vhdx_read_regions(f, v, i, tables + i * VHDX_TABLE_BYTES, &valid[i]);
		if (err)
			return err;
		if (!v->headers_valid[i])
			foreign_fault(f, "header %u of 2 is damaged", i + 1);
		if (!valid[i])
			foreign_fault(f, "table of regions %u of 2 is damaged", i + 1);
	}
	if (valid[0] && valid[1] && memcmp(tables, tables + VHDX_TABLE_BYTES, VHDX_TABLE_BYTES))
		foreign_fault(f, "the two tables of regions differ");
	return 0;
}

/**
 * vhdx_check() - look at all of the structure
 * @f: the image
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_check(struct foreign *f)
{
	static const struct vhdx_range headers = { .bytes = VHDX_ALIGN };
	struct vhdx *v = f->private;
	struct use u = { .f = f, .v = v, .parts = DIV_ROUND_UP_ULL(v->size, VHDX_ALIGN) };
	int err = check_copies(f, v);

	if (err)
		return err;
	u.first = u.parts;
	u.bits = foreign_alloc(f, u.parts / 8 + 1, 1);
	if (!u.bits)
		return -ENOMEM;
	use_range(&u, &headers);
	use_range(&u, &v->log);
	use_range(&u, &v->table);
	use_range(&u, &v->metadata);
	err = check_blocks(&u);
	if (!err)
		report_unused(&u);
	return err;
}
