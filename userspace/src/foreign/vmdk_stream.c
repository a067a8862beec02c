// SPDX-License-Identifier: GPL-2.0
/*
 * Streams of VMDK: their grains are compressed, and each has a marker with its place in the
 * disk, by which it is found if there is no grain directory. A marker that is no grain's is a
 * sector of its own, before a grain table, a grain directory or a footer, or at the end.
 *
 * VMware and QEMU write a directory, so the use of markers is from the specification alone.
 */
#include <stdlib.h>
#include <zlib.h>

#include "foreign/bytes.h"
#include "foreign/sort.h"
#include "foreign/vmdk.h"

/* Bytes of a marker that is no grain's, without its padding */
#define MARKER_BYTES		16

/* Grains of a disk that numbers of the index can tell apart */
#define GRAINS_MAX		(1ULL << 32)

/* Grains for which there is memory at first */
#define INDEX_MIN		1024

/* Set @p->plain to the bytes of the stream, if they are more, up to a grain. */
static int inflate_last(struct foreign *f, const struct vmdk_extent *e, struct foreign_piece *p)
{
	u8 *stored = malloc(p->stored), *plain = malloc(e->grain);
	uLongf got = e->grain;
	int err = -ENOMEM;

	if (stored && plain)
		err = foreign_read(f, e->file, stored, p->stored, p->host_offset);
	if (!err && uncompress(plain, &got, stored, p->stored) == Z_OK && got > p->plain)
		p->plain = got;
	free(stored);
	free(plain);
	return err;
}

/**
 * vmdk_set_compressed() - make a piece of a compressed grain
 * @f: the image
 * @e: the extent
 * @host_offset: of the compressed data
 * @stored: bytes of it, at most
 * @in_extent: offset in the extent that the piece begins with
 * @p: the piece
 *
 * The driver wants the bytes of the whole stream. The last grain may end with the disk, or not.
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_set_compressed(struct foreign *f, const struct vmdk_extent *e, u64 host_offset,
			u32 stored, u64 in_extent, struct foreign_piece *p)
{
	u64 skip = in_extent % e->grain;

	p->kind = QCOW_MAP_COMPRESSED;
	p->codec = QCOW_MAP_ZLIB;
	p->host_offset = host_offset;
	p->stored = stored;
	p->plain = min(e->grain, e->size - (in_extent - skip));
	p->skip = skip;
	p->length = e->grain - skip;
	return p->plain < e->grain ? inflate_last(f, e, p) : 0;
}

static int fail_marker(struct foreign *f, u64 host_offset)
{
	return foreign_fail(f, "has a marker at host offset %llu that is not valid",
			    (unsigned long long)host_offset);
}

static int index_grow(struct foreign *f, struct vmdk_extent *e, size_t *room)
{
	size_t more = *room ? *room * 2 : INDEX_MIN;
	struct vmdk_grain *grains = foreign_alloc(f, more, sizeof(*grains));

	if (!grains)
		return -ENOMEM;
	if (e->nr_grains)
		memcpy(grains, e->grains, e->nr_grains * sizeof(*grains));
	e->grains = grains;
	*room = more;
	return 0;
}

static int index_add(struct foreign *f, struct vmdk_extent *e, size_t *room, u64 in_extent,
		     u64 host_offset)
{
	struct vmdk_grain grain = {
		.number = in_extent / e->grain,
		.sector = host_offset / SZ_512,
	};
	int err = e->nr_grains == *room ? index_grow(f, e, room) : 0;

	if (!err)
		e->grains[e->nr_grains++] = grain;
	return err;
}

/* Sets @next to the host offset after a marker, and after the grain or table of it. */
static int index_marker(struct foreign *f, struct vmdk_extent *e, size_t *room, const u8 *m,
			u64 host_offset, u64 *next)
{
	u64 sectors = get_le64(m);
	u32 bytes = get_le32(m + 8);

	if (!bytes) {
		if (get_le32(m + 12) > VMDK_MARKER_FOOTER ||
		    sectors > foreign_size(f, e->file) / SZ_512)
			return fail_marker(f, host_offset);
		*next = host_offset + SZ_512 + sectors * SZ_512;
		return 0;
	}
	if (sectors >= e->size / SZ_512 || sectors * SZ_512 % e->grain ||
	    bytes > 2 * e->grain - VMDK_MARKER_BYTES || host_offset / SZ_512 > 0xffffffff)
		return fail_marker(f, host_offset);
	*next = host_offset + ROUND_UP((u64)bytes + VMDK_MARKER_BYTES, (u64)SZ_512);
	return index_add(f, e, room, sectors * SZ_512, host_offset);
}

static int compare_grains(const void *a, const void *b)
{
	const struct vmdk_grain *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int sort_grains(struct foreign *f, struct vmdk_extent *e)
{
	size_t i;

	foreign_sort(e->grains, e->nr_grains, sizeof(*e->grains), compare_grains);
	for (i = 1; i < e->nr_grains; i++)
		if (e->grains[i].number == e->grains[i - 1].number)
			return foreign_fail(f, "has two grains for offset %llu",
					    (unsigned long long)e->grains[i].number * e->grain);
	return 0;
}

/**
 * vmdk_index_stream() - find the grains of a stream by their markers
 * @f: the image
 * @e: the extent
 *
 * Return: 0, or a negative errno with a message, also if the stream has no end.
 */
int vmdk_index_stream(struct foreign *f, struct vmdk_extent *e)
{
	u64 size = foreign_size(f, e->file), host_offset, next = e->overhead, grains;
	u8 m[MARKER_BYTES];
	size_t room = 0;
	int err;

	e->kind = VMDK_STREAM;
	if (!next)
		return foreign_fail(f, "its header has no overhead");
	grains = DIV_ROUND_UP_ULL(e->size, e->grain);
	if (grains > GRAINS_MAX)
		return foreign_unsupported(f, "is a stream of %llu grains, which is too many; convert it with VMware's tools",
					   (unsigned long long)grains);
	do {
		host_offset = next;
		err = foreign_read(f, e->file, m, sizeof(m), host_offset);
		if (!err)
			err = index_marker(f, e, &room, m, host_offset, &next);
		if (err)
			return err;
		f->host->progress(f->arg, host_offset, size);
	} while (get_le32(m + 8) || get_le32(m + 12) != VMDK_MARKER_END);
	return sort_grains(f, e);
}

static u64 number_of(const void *element)
{
	const struct vmdk_grain *grain = element;

	return grain->number;
}

/* The first grain whose number is not below @number. */
static size_t first_grain(const struct vmdk_extent *e, u64 number)
{
	return foreign_search(e->grains, e->nr_grains, sizeof(*e->grains), number, number_of);
}

/**
 * vmdk_find_in_stream() - look up a part of a stream without tables
 * @f: the image
 * @e: the extent
 * @in_extent: offset in it
 * @p: set to the part
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_find_in_stream(struct foreign *f, const struct vmdk_extent *e, u64 in_extent,
			struct foreign_piece *p)
{
	u64 number = in_extent / e->grain, host_offset;
	size_t i = first_grain(e, number);
	u8 marker[VMDK_MARKER_BYTES];
	int err;

	p->kind = QCOW_MAP_HOLE;
	if (i == e->nr_grains)
		return 0;
	p->length = e->grains[i].number * e->grain - in_extent;
	if (e->grains[i].number != number)
		return 0;
	host_offset = (u64)e->grains[i].sector * SZ_512;
	err = foreign_read(f, e->file, marker, sizeof(marker), host_offset);
	if (err)
		return err;
	/* The file may change, so this is not what the index saw for certain. */
	if (!get_le32(marker + 8) || get_le32(marker + 8) > 2 * e->grain - VMDK_MARKER_BYTES)
		return fail_marker(f, host_offset);
	return vmdk_set_compressed(f, e, host_offset + VMDK_MARKER_BYTES, get_le32(marker + 8),
				   in_extent, p);
}
