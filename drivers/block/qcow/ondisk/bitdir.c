// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps on disk: decoding and encoding the header extension, the directory, the
 * tables. meta/bitmap*.c and the tools call it. Pure: no I/O, no allocation.
 *
 * Section "Bitmaps" of the specification. As in QEMU, unknown flags and extra data
 * count as damage.
 */
#include "ondisk/bitdir.h"

/**
 * qcow_bitdir_extension() - decode the bitmaps extension of a header
 * @lay: the image's layout
 * @disk: the extension's data
 * @len: bytes at @disk
 * @dir: the result
 *
 * Context: any.
 *
 * Return: 0, or -EUCLEAN if it is damaged.
 */
int qcow_bitdir_extension(const struct qcow_layout *lay,
			  const struct qcow_disk_bitmaps *disk, u32 len,
			  struct qcow_bitmap_dir *dir)
{
	if (len != sizeof(*disk) || disk->reserved)
		return -EUCLEAN;
	dir->nr = be32_to_cpu(disk->nb_bitmaps);
	dir->bytes = be64_to_cpu(disk->bitmap_directory_size);
	dir->host_offset = be64_to_cpu(disk->bitmap_directory_offset);
	if (!dir->nr || dir->nr > QCOW_DISK_MAX_BITMAPS ||
	    !dir->bytes || dir->bytes > QCOW_DISK_MAX_BITMAP_DIRECTORY ||
	    !dir->host_offset || dir->host_offset > S64_MAX / 2 ||
	    !IS_ALIGNED(dir->host_offset, 1ULL << lay->cluster_bits))
		return -EUCLEAN;
	return 0;
}

/**
 * qcow_bitdir_put_extension() - encode the bitmaps extension
 * @disk: the result
 * @dir: the directory
 *
 * Context: any.
 */
void qcow_bitdir_put_extension(struct qcow_disk_bitmaps *disk,
			       const struct qcow_bitmap_dir *dir)
{
	disk->nb_bitmaps = cpu_to_be32(dir->nr);
	disk->reserved = 0;
	disk->bitmap_directory_size = cpu_to_be64(dir->bytes);
	disk->bitmap_directory_offset = cpu_to_be64(dir->host_offset);
}

static bool entry_valid(const struct qcow_layout *lay, u64 size,
			const struct qcow_bitmap_entry *e)
{
	u64 bytes = (u64)e->table_size << lay->cluster_bits;

	if (!bytes || bytes > QCOW_DISK_MAX_BITMAP_BYTES ||
	    !e->table_host_offset || e->table_host_offset > S64_MAX / 2 ||
	    !IS_ALIGNED(e->table_host_offset, 1ULL << lay->cluster_bits) ||
	    e->flags & ~QCOW_DISK_BITMAP_KNOWN ||
	    !e->name_len || e->name_len > QCOW_DISK_MAX_BITMAP_NAME ||
	    e->granularity_bits < QCOW_DISK_MIN_GRANULARITY_BITS ||
	    e->granularity_bits > QCOW_DISK_MAX_GRANULARITY_BITS)
		return false;
	/* An inconsistent bitmap may date from another size of the disk. */
	return e->flags & QCOW_DISK_BITMAP_IN_USE ||
	       qcow_bitdir_bits(size, e->granularity_bits) <= bytes * 8;
}

/**
 * qcow_bitdir_entry() - decode an entry of the bitmap directory
 * @lay: the image's layout
 * @size: bytes of the disk
 * @at: the entry, aligned to 8 bytes
 * @left: bytes of the directory from there on
 * @e: the result; its name is inside the entry at @at
 *
 * Context: any.
 *
 * Return: 0, or -EUCLEAN if it is damaged.
 */
int qcow_bitdir_entry(const struct qcow_layout *lay, u64 size, const void *at,
		      u64 left, struct qcow_bitmap_entry *e)
{
	const struct qcow_disk_bitmap *d = at;

	if (left < sizeof(*d))
		return -EUCLEAN;
	e->table_host_offset = be64_to_cpu(d->bitmap_table_offset);
	e->table_size = be32_to_cpu(d->bitmap_table_size);
	e->flags = be32_to_cpu(d->flags);
	e->granularity_bits = d->granularity_bits;
	e->name_len = be16_to_cpu(d->name_size);
	e->name = (const char *)(d + 1);
	e->bytes = qcow_bitdir_entry_bytes(e->name_len);
	if (d->extra_data_size || d->type != QCOW_DISK_BITMAP_DIRTY_TRACKING ||
	    e->bytes > left || !entry_valid(lay, size, e) ||
	    memchr(e->name, 0, e->name_len))
		return -EUCLEAN;
	return 0;
}

/**
 * qcow_bitdir_put_entry() - encode an entry of the bitmap directory
 * @at: memory for qcow_bitdir_entry_bytes()
 * @e: the entry; its @bytes is not used
 *
 * Context: any.
 *
 * Return: bytes written.
 */
u32 qcow_bitdir_put_entry(void *at, const struct qcow_bitmap_entry *e)
{
	u32 bytes = qcow_bitdir_entry_bytes(e->name_len);
	struct qcow_disk_bitmap *d = at;

	memset(at, 0, bytes);
	d->bitmap_table_offset = cpu_to_be64(e->table_host_offset);
	d->bitmap_table_size = cpu_to_be32(e->table_size);
	d->flags = cpu_to_be32(e->flags);
	d->type = QCOW_DISK_BITMAP_DIRTY_TRACKING;
	d->granularity_bits = e->granularity_bits;
	d->name_size = cpu_to_be16(e->name_len);
	memcpy(d + 1, e->name, e->name_len);
	return bytes;
}

/**
 * qcow_bitdir_table_entry() - decode an entry of a bitmap table
 * @lay: the image's layout
 * @raw: the entry in the CPU's byte order
 * @host_offset: out: host offset of a cluster of the bitmap; 0: it has none
 * @ones: out: without a cluster, whether the bits are all ones, not all zeros
 *
 * Context: any.
 *
 * Return: 0, or -EUCLEAN if it is damaged.
 */
int qcow_bitdir_table_entry(const struct qcow_layout *lay, u64 raw, u64 *host_offset,
			    bool *ones)
{
	*host_offset = raw & QCOW_DISK_BITMAP_E_OFFSET_MASK;
	*ones = raw & QCOW_DISK_BITMAP_E_ALL_ONES;
	if (raw & QCOW_DISK_BITMAP_E_RESERVED || (*host_offset && *ones) ||
	    !IS_ALIGNED(*host_offset, 1ULL << lay->cluster_bits))
		return -EUCLEAN;
	return 0;
}
