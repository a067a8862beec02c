// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a VHD: its footers, and that each byte of the file has one use.
 */
#include "foreign/sort.h"
#include "foreign/vpc.h"

/**
 * struct vpc_place - a block in the file
 * @sector: where it is
 * @block: its number
 */
struct vpc_place {
	u32 sector;
	u32 block;
};

static int compare_places(const void *a, const void *b)
{
	const struct vpc_place *x = a, *y = b;

	if (x->sector != y->sector)
		return x->sector < y->sector ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

/* The blocks that are in the file, by their places there. */
static int collect_places(struct foreign *f, struct vpc_place **places, u32 *nr)
{
	struct vpc *v = f->private;
	u32 block, blocks = DIV_ROUND_UP_ULL(f->disk.size, v->block), sector;

	*nr = 0;
	/* A table that is cut off gets no memory. */
	if (vpc_block(f, v, blocks - 1, &sector))
		return -EINVAL;
	*places = foreign_alloc(f, blocks, sizeof(**places));
	if (!*places)
		return -ENOMEM;
	for (block = 0; block < blocks; block++) {
		if (vpc_block(f, v, block, &sector))
			return -EINVAL;
		if (sector != VPC_NONE)
			(*places)[(*nr)++] = (struct vpc_place) { sector, block };
	}
	foreign_sort(*places, *nr, sizeof(**places), compare_places);
	return 0;
}

static bool overlaps(u64 start, u64 bytes, u64 other_start, u64 other_bytes)
{
	return start < other_start + other_bytes && other_start < start + bytes;
}

static u64 table_bytes(const struct vpc *v)
{
	return ROUND_UP((u64)v->blocks * 4, (u64)SZ_512);
}

static void check_place(struct foreign *f, const struct vpc_place *place)
{
	const struct vpc *v = f->private;
	u64 start = (u64)place->sector * SZ_512, bytes = (u64)v->bitmap_bytes + v->block;

	if (overlaps(start, bytes, 0, VPC_FOOTER_BYTES) ||
	    overlaps(start, bytes, v->header_host_offset, VPC_HEADER_BYTES) ||
	    overlaps(start, bytes, v->table_host_offset, table_bytes(v)))
		foreign_fault(f, "block %u is in the headers, at offset %llu", place->block,
			      (unsigned long long)start);
	else if (start + bytes > v->footer_host_offset)
		foreign_fault(f, "block %u reaches past the end of the data, from offset %llu",
			      place->block, (unsigned long long)start);
}

static u64 metadata_end(const struct vpc *v)
{
	u64 header = v->header_host_offset + VPC_HEADER_BYTES;
	u64 table = v->table_host_offset + table_bytes(v);

	return header > table ? header : table;
}

static void check_blocks(struct foreign *f, const struct vpc_place *places, u32 nr)
{
	const struct vpc *v = f->private;
	u64 bytes = (u64)v->bitmap_bytes + v->block, end = metadata_end(v), unused = 0, start;
	u32 i;

	for (i = 0; i < nr; i++) {
		start = (u64)places[i].sector * SZ_512;
		check_place(f, &places[i]);
		if (i && start < (u64)places[i - 1].sector * SZ_512 + bytes)
			foreign_fault(f, "blocks %u and %u overlap at offset %llu",
				      places[i - 1].block, places[i].block,
				      (unsigned long long)start);
		if (start > end)
			unused += start - end;
		if (start + bytes > end)
			end = start + bytes;
	}
	if (v->footer_host_offset > end)
		unused += v->footer_host_offset - end;
	if (unused >= bytes)
		foreign_leak(f, "%llu bytes belong to no block", (unsigned long long)unused);
}

static void check_footers(struct foreign *f, const struct vpc *v)
{
	if (!v->last_is_valid)
		foreign_fault(f, "the footer at the end is lost, but its copy is there");
	else if (v->type != VPC_FIXED && !v->first_is_valid)
		foreign_fault(f, "the copy of the footer at the start is damaged");
}

/**
 * vpc_check() - look at all of the structure
 * @f: the image
 *
 * Return: 0, or a negative errno with a message.
 */
int vpc_check(struct foreign *f)
{
	const struct vpc *v = f->private;
	struct vpc_place *places;
	u32 nr;
	int err;

	check_footers(f, v);
	if (v->type == VPC_FIXED)
		return 0;
	err = collect_places(f, &places, &nr);
	if (!err)
		check_blocks(f, places, nr);
	return err;
}
