/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITDIR_H
#define _QCOW_BITDIR_H

#include "ondisk/entry.h"

/**
 * struct qcow_bitmap_dir - the bitmaps extension, decoded
 * @nr: bitmaps in the directory
 * @host_offset: host offset of the directory
 * @bytes: bytes of the directory
 */
struct qcow_bitmap_dir {
	u32 nr;
	u64 host_offset;
	u64 bytes;
};

/**
 * struct qcow_bitmap_entry - a decoded entry of the bitmap directory
 * @table_host_offset: host offset of the bitmap table
 * @table_size: entries in it
 * @flags: QCOW_DISK_BITMAP_*
 * @granularity_bits: log2 of the bytes of the disk that a bit stands for
 * @name_len: bytes of the name
 * @name: the name, inside the directory, not NUL-terminated
 * @bytes: bytes from this entry to the next one
 */
struct qcow_bitmap_entry {
	u64 table_host_offset;
	u32 table_size;
	u32 flags;
	u8 granularity_bits;
	u32 name_len;
	const char *name;
	u32 bytes;
};

int __must_check qcow_bitdir_extension(const struct qcow_layout *lay,
				       const struct qcow_disk_bitmaps *disk,
				       u32 len, struct qcow_bitmap_dir *dir);
void qcow_bitdir_put_extension(struct qcow_disk_bitmaps *disk,
			       const struct qcow_bitmap_dir *dir);

int __must_check qcow_bitdir_entry(const struct qcow_layout *lay, u64 size,
				   const void *at, u64 left,
				   struct qcow_bitmap_entry *e);
u32 qcow_bitdir_put_entry(void *at, const struct qcow_bitmap_entry *e);

int __must_check qcow_bitdir_table_entry(const struct qcow_layout *lay, u64 raw,
					 u64 *host_offset, bool *ones);

/* Bytes of a directory's entry with a name of @name_len bytes. */
static inline u32 qcow_bitdir_entry_bytes(u32 name_len)
{
	return (sizeof(struct qcow_disk_bitmap) + name_len + 7) & ~7U;
}

/* Bits of a bitmap of a disk of @size bytes. */
static inline u64 qcow_bitdir_bits(u64 size, u32 granularity_bits)
{
	return (size >> granularity_bits) +
	       !!(size & ((1ULL << granularity_bits) - 1));
}

/* Clusters of such a bitmap, which are the entries of its table; at least 1. */
static inline u64 qcow_bitdir_clusters(const struct qcow_layout *lay, u64 size,
				       u32 granularity_bits)
{
	u64 bits = qcow_bitdir_bits(size, granularity_bits);
	u64 per_cluster = 8ULL << lay->cluster_bits;

	return bits ? (bits + per_cluster - 1) / per_cluster : 1;
}

#endif /* _QCOW_BITDIR_H */
