// SPDX-License-Identifier: GPL-2.0
/*
 * The table of regions of a VHDX, of which there are two copies.
 */
#include "foreign/crc32c.h"
#include "foreign/sort.h"
#include "foreign/vhdx.h"

#define REGIONS_MAX		2047
#define REGION_BYTES		32
#define REGION_REQUIRED		1

/* 2DC27766-F623-4200-9D64-115E9BFD4A08 and 8B7CA206-4790-4B9A-B8FE-575F050F886E */
static const u8 table_guid[VHDX_GUID_BYTES] = {
	0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
	0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08,
};

static const u8 metadata_guid[VHDX_GUID_BYTES] = {
	0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
	0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e,
};

/**
 * vhdx_read_regions() - read a copy of the table of regions
 * @f: the image
 * @v: its numbers
 * @number: of the copy
 * @table: for its VHDX_TABLE_BYTES
 * @valid: set to whether it is whole
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_read_regions(struct foreign *f, struct vhdx *v, u32 number, u8 *table, bool *valid)
{
	int err = vhdx_read(f, v, table, VHDX_TABLE_BYTES, VHDX_REGIONS_HOST_OFFSET(number));

	*valid = !err && !memcmp(table, "regi", 4) &&
		 (FOREIGN_FUZZED ||
		  crc32c_without(table, VHDX_TABLE_BYTES, 4) == get_le32(table + 4));
	return err;
}

/* Take the place of a region into @range, where there must not be another one. */
static int take_region(struct foreign *f, const char *name, struct vhdx_range *range,
		       const struct vhdx_range *region)
{
	if (range->bytes)
		return foreign_fail(f, "has two regions for its %s", name);
	*range = *region;
	return 0;
}

static int use_region(struct foreign *f, struct vhdx *v, const u8 *entry,
		      const struct vhdx_range *region)
{
	char guid[FOREIGN_ID_SIZE];

	if (region->host_offset < VHDX_ALIGN || region->host_offset % VHDX_ALIGN ||
	    region->host_offset > (u64)S64_MAX - VHDX_ALIGN || !region->bytes)
		return foreign_fail(f, "has a region of %llu bytes at offset %llu",
				    (unsigned long long)region->bytes,
				    (unsigned long long)region->host_offset);
	if (!memcmp(entry, table_guid, VHDX_GUID_BYTES))
		return take_region(f, "table of blocks", &v->table, region);
	if (!memcmp(entry, metadata_guid, VHDX_GUID_BYTES))
		return take_region(f, "metadata", &v->metadata, region);
	if (!(get_le32(entry + 28) & REGION_REQUIRED))
		return 0;
	guid_text(guid, entry, true);
	return foreign_unsupported(f, "has a region of unknown kind %s; convert it in Windows with Convert-VHD",
				   guid);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct vhdx_range *x = a, *y = b;

	return x->host_offset < y->host_offset ? -1 : x->host_offset > y->host_offset;
}

static int check_overlaps(struct foreign *f, struct vhdx_range *ranges, u32 nr)
{
	u32 i;

	foreign_sort(ranges, nr, sizeof(*ranges), compare_ranges);
	for (i = 1; i < nr; i++)
		if (vhdx_overlaps(&ranges[i - 1], ranges[i].host_offset, ranges[i].bytes))
			return foreign_fail(f, "has regions that overlap at offset %llu",
					    (unsigned long long)ranges[i].host_offset);
	return 0;
}

static int use_regions(struct foreign *f, struct vhdx *v, const u8 *table,
		       struct vhdx_range *ranges)
{
	u32 i, nr = get_le32(table + 8);
	const u8 *entry = table + 16;
	int err;

	if (nr > REGIONS_MAX)
		return foreign_fail(f, "has %u regions", nr);
	for (i = 0; i < nr; i++, entry += REGION_BYTES) {
		ranges[i].host_offset = get_le64(entry + 16);
		ranges[i].bytes = get_le32(entry + 24);
		err = use_region(f, v, entry, &ranges[i]);
		if (err)
			return err;
	}
	if (!v->table.bytes || !v->metadata.bytes)
		return foreign_fail(f, "has no region for its %s",
				    v->table.bytes ? "metadata" : "table of blocks");
	if (v->log.bytes)
		ranges[nr++] = v->log;
	return check_overlaps(f, ranges, nr);
}

/**
 * vhdx_find_regions() - find the table of blocks and the metadata
 * @f: the image
 * @v: its numbers; gets the two places
 *
 * Return: 0, or a negative errno with a message.
 */
int vhdx_find_regions(struct foreign *f, struct vhdx *v)
{
	u8 *table = foreign_alloc(f, 1, VHDX_TABLE_BYTES);
	struct vhdx_range *ranges = foreign_alloc(f, REGIONS_MAX + 1, sizeof(*ranges));
	bool valid = false;
	u32 number;
	int err;

	if (!table || !ranges)
		return -ENOMEM;
	for (number = 0; !valid && number < 2; number++) {
		err = vhdx_read_regions(f, v, number, table, &valid);
		if (err)
			return err;
	}
	if (!valid)
		return foreign_fail(f, "has no table of regions with a right checksum");
	return use_regions(f, v, table, ranges);
}
