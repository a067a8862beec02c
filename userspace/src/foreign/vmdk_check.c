// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a VMDK: that each byte of a sparse extent has one use, that the copies of tables
 * are the same, and that compressed grains can be decompressed.
 */
#include <zlib.h>

#include "foreign/bytes.h"
#include "foreign/sort.h"
#include "foreign/vmdk.h"

/* Of a range: it is no data of the disk */
#define VMDK_METADATA		(~0ULL)

/**
 * struct vmdk_range - bytes of a file that have a use
 * @start: host offset of the first one
 * @end: host offset behind the last one
 * @guest_offset: of the data; VMDK_METADATA
 * @file: number of the file
 */
struct vmdk_range {
	u64 start;
	u64 end;
	u64 guest_offset;
	u32 file;
};

/**
 * struct vmdk_ranges - the bytes of all files that have a use
 * @list: NULL: they are only counted
 * @nr: of them
 * @room: of @list
 */
struct vmdk_ranges {
	struct vmdk_range *list;
	size_t nr;
	size_t room;
};

static void add_range(struct vmdk_ranges *r, u32 file, u64 start, u64 bytes, u64 guest_offset)
{
	if (!bytes)
		return;
	if (r->list && r->nr < r->room)
		r->list[r->nr] = (struct vmdk_range) { start, start + bytes, guest_offset, file };
	r->nr++;
}

static int add_tables_of(struct foreign *f, const struct vmdk_extent *e, u64 gd_host_offset,
			 struct vmdk_ranges *r)
{
	u64 i, host_offset, entries = vmdk_gd_entries(e);
	u32 bytes = vmdk_entry_bytes(e);
	int err;

	add_range(r, e->file, gd_host_offset, entries * bytes, VMDK_METADATA);
	for (i = 0; i < entries; i++) {
		err = vmdk_find_gt(f, f->private, e, gd_host_offset, i, &host_offset);
		if (err)
			return err;
		if (host_offset)
			add_range(r, e->file, host_offset, e->gt_entries * bytes, VMDK_METADATA);
	}
	return 0;
}

static int add_tables(struct foreign *f, const struct vmdk_extent *e, struct vmdk_ranges *r)
{
	int err;

	add_range(r, e->file, 0, e->overhead, VMDK_METADATA);
	if (e->kind == VMDK_STREAM)
		return 0;
	err = add_tables_of(f, e, e->gd_host_offset, r);
	if (!err && e->second_gd_host_offset)
		err = add_tables_of(f, e, e->second_gd_host_offset, r);
	return err;
}

/* The bytes of a compressed grain, which its marker tells. */
static int add_compressed(struct foreign *f, const struct vmdk_extent *e, u64 guest_offset,
			  const struct foreign_piece *p, struct vmdk_ranges *r)
{
	u64 start = p->host_offset - VMDK_MARKER_BYTES;
	u8 marker[VMDK_MARKER_BYTES] = { };
	int err;

	if (!e->markers)
		return 0;
	err = foreign_read(f, e->file, marker, sizeof(marker), start);
	if (!err)
		add_range(r, e->file, start, sizeof(marker) + (u64)get_le32(marker + 8),
			  guest_offset);
	return err;
}

static int add_data(struct foreign *f, const struct vmdk_extent *e, struct vmdk_ranges *r)
{
	u64 end = e->guest_offset + e->size, guest_offset;
	struct foreign_piece p;
	int err = 0;

	for (guest_offset = e->guest_offset; !err && guest_offset < end;
	     guest_offset += p.length) {
		memset(&p, 0, sizeof(p));
		err = f->format->find(f, guest_offset, &p);
		if (!err && p.kind == QCOW_MAP_DATA)
			add_range(r, e->file, p.host_offset, p.length, guest_offset);
		else if (!err && p.kind == QCOW_MAP_COMPRESSED)
			err = add_compressed(f, e, guest_offset, &p, r);
	}
	return err;
}

static int add_extents(struct foreign *f, const struct vmdk *v, struct vmdk_ranges *r)
{
	const struct vmdk_extent *e;
	int err = 0;

	r->nr = 0;
	for (e = v->extents; !err && e < v->extents + v->nr_extents; e++) {
		if (e->kind == VMDK_ZERO || e->kind == VMDK_FLAT)
			continue;
		err = add_tables(f, e, r);
		if (!err)
			err = add_data(f, e, r);
	}
	return err;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct vmdk_range *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->guest_offset < y->guest_offset ? -1 : x->guest_offset > y->guest_offset;
}

/* @b is the later one in the file. Tables may well be in the overhead. */
static void report_overlap(struct foreign *f, const struct vmdk_range *a,
			   const struct vmdk_range *b)
{
	bool a_is_data = a->guest_offset != VMDK_METADATA;
	bool b_is_data = b->guest_offset != VMDK_METADATA;

	if (a_is_data && b_is_data)
		foreign_fault(f, "guest offsets %llu and %llu share host offset %llu",
			      (unsigned long long)a->guest_offset,
			      (unsigned long long)b->guest_offset, (unsigned long long)b->start);
	else if (a_is_data || b_is_data)
		foreign_fault(f, "guest offset %llu shares host offset %llu with metadata",
			      (unsigned long long)(a_is_data ? a : b)->guest_offset,
			      (unsigned long long)b->start);
}

/* Bytes between ranges in which a grain would have room, and behind the last one. */
static u64 unused_bytes(const struct vmdk_range *last, u64 next_start, u64 grain)
{
	return next_start > last->end && next_start - last->end >= grain ?
	       next_start - last->end : 0;
}

/* The host may well allocate more than is used, for a file of COWD and seSparse. */
static u64 check_ranges_of_extent(struct foreign *f, const struct vmdk_extent *e,
				  const struct vmdk_range *r, size_t nr)
{
	const struct vmdk_range *last = r;
	u64 unused = 0;
	size_t i;

	for (i = 1; i < nr && r[i].file == e->file; i++) {
		if (r[i].start < last->end)
			report_overlap(f, last, &r[i]);
		unused += unused_bytes(last, r[i].start, e->grain);
		if (r[i].end > last->end)
			last = &r[i];
	}
	unused += unused_bytes(last, foreign_size(f, e->file), e->grain);
	return e->kind == VMDK_KDMV && !e->compressed ? unused : 0;
}

static const struct vmdk_extent *extent_of_file(const struct vmdk *v, u32 file)
{
	const struct vmdk_extent *e = v->extents;

	while (e->file != file || e->kind == VMDK_ZERO || e->kind == VMDK_FLAT)
		e++;
	return e;
}

static void check_ranges(struct foreign *f, const struct vmdk *v, const struct vmdk_ranges *r)
{
	u64 unused = 0;
	size_t i;

	for (i = 0; i < r->nr; i++)
		if (!i || r->list[i].file != r->list[i - 1].file)
			unused += check_ranges_of_extent(f, extent_of_file(v, r->list[i].file),
							 r->list + i, r->nr - i);
	if (unused)
		foreign_leak(f, "%llu bytes belong to no grain", (unsigned long long)unused);
}

static int check_uses(struct foreign *f, struct vmdk *v)
{
	struct vmdk_ranges r = { };
	int err = add_extents(f, v, &r);

	if (err)
		return err;
	r.room = r.nr;
	r.list = foreign_alloc(f, r.nr, sizeof(*r.list));
	if (!r.list)
		return -ENOMEM;
	err = add_extents(f, v, &r);
	if (err)
		return err;
	/* The file may have changed since it was counted. */
	r.nr = min(r.nr, r.room);
	foreign_sort(r.list, r.nr, sizeof(*r.list), compare_ranges);
	check_ranges(f, v, &r);
	return 0;
}

static int compare_tables(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
			  u64 number, u64 host_offset, u64 copy_host_offset)
{
	u32 bytes = e->gt_entries * vmdk_entry_bytes(e);
	const u8 *first = foreign_peek(f, &v->gt, e->file, host_offset, bytes, NULL);
	const u8 *second = foreign_peek(f, &v->gd, e->file, copy_host_offset, bytes, NULL);

	if (!first || !second)
		return -EINVAL;
	if (memcmp(first, second, bytes))
		foreign_fault(f, "grain table %llu, at host offset %llu, is not the same as its copy, at %llu",
			      (unsigned long long)number, (unsigned long long)host_offset,
			      (unsigned long long)copy_host_offset);
	return 0;
}

/* Both directories of an extent, and their tables, which are never the same ones. */
static int check_copies(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e)
{
	u64 i, first, second, entries = vmdk_gd_entries(e);
	int err = 0;

	for (i = 0; !err && i < entries; i++) {
		err = vmdk_find_gt(f, v, e, e->gd_host_offset, i, &first);
		if (!err)
			err = vmdk_find_gt(f, v, e, e->second_gd_host_offset, i, &second);
		if (!err && first && second)
			err = compare_tables(f, v, e, i, first, second);
		else if (!err && first != second)
			foreign_fault(f, "grain table %llu is only in one of two directories",
				      (unsigned long long)i);
	}
	return err;
}

/* Whether a zlib stream is one, with its checksum, and has as many bytes as it should. */
static bool can_inflate(const void *stored, u32 len, void *plain, u32 plain_len, u32 expected)
{
	uLongf got = plain_len;

	return uncompress(plain, &got, stored, len) == Z_OK && got >= expected;
}

/**
 * struct vmdk_buffers - memory for a compressed grain
 * @stored: with its marker, two grains
 * @plain: decompressed, a grain
 */
struct vmdk_buffers {
	u8 *stored;
	u8 *plain;
};

static int check_grain(struct foreign *f, const struct vmdk_extent *e, u64 guest_offset,
		       const struct foreign_piece *p, const struct vmdk_buffers *b)
{
	u32 before = e->markers ? VMDK_MARKER_BYTES : 0, len = p->stored;
	u64 sector = (guest_offset - e->guest_offset) / SZ_512;
	int err = before + (u64)len > 2 * e->grain ? -EINVAL : 0;

	if (!err)
		err = foreign_read(f, e->file, b->stored, before + len, p->host_offset - before);
	if (err)
		return err;
	if (before && get_le64(b->stored) != sector) {
		foreign_fault(f, "the grain of guest offset %llu has a marker for sector %llu",
			      (unsigned long long)guest_offset,
			      (unsigned long long)get_le64(b->stored));
		return 0;
	}
	if (before)
		len = get_le32(b->stored + 8);
	if (len > p->stored || !can_inflate(b->stored + before, len, b->plain, e->grain, p->plain))
		foreign_fault(f, "the grain of guest offset %llu cannot be decompressed",
			      (unsigned long long)guest_offset);
	return 0;
}

static int check_grains(struct foreign *f, const struct vmdk_extent *e)
{
	struct vmdk_buffers b = { .stored = foreign_alloc(f, 2, e->grain) };
	u64 end = e->guest_offset + e->size, guest_offset;
	struct foreign_piece p;
	int err = 0;

	b.plain = b.stored ? foreign_alloc(f, 1, e->grain) : NULL;
	if (!b.plain)
		return -ENOMEM;
	for (guest_offset = e->guest_offset; !err && guest_offset < end;
	     guest_offset += p.length) {
		memset(&p, 0, sizeof(p));
		err = f->format->find(f, guest_offset, &p);
		if (!err && p.kind == QCOW_MAP_COMPRESSED)
			err = check_grain(f, e, guest_offset, &p, &b);
		f->host->progress(f->arg, guest_offset - e->guest_offset, e->size);
	}
	return err;
}

/**
 * vmdk_check() - look at all of the structure, and at compressed data
 * @f: the image
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_check(struct foreign *f)
{
	struct vmdk *v = f->private;
	const struct vmdk_extent *e;
	int err = check_uses(f, v);

	for (e = v->extents; !err && e < v->extents + v->nr_extents; e++) {
		if (e->second_gd_host_offset && e->kind == VMDK_KDMV)
			err = check_copies(f, v, e);
		if (!err && e->compressed)
			err = check_grains(f, e);
	}
	return err;
}
