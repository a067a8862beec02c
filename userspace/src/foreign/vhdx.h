/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VHDX_H
#define _QCOWCTL_VHDX_H

#include "foreign/bytes.h"
#include "foreign/formats.h"

#define VHDX_HEADER_BYTES	SZ_4K
#define VHDX_TABLE_BYTES	SZ_64K
#define VHDX_LOG_SECTOR		SZ_4K
#define VHDX_GUID_BYTES		16

/* Host offsets of the two headers, and of the two tables of regions */
#define VHDX_HEADER_HOST_OFFSET(n)	(SZ_64K * ((n) + 1ULL))
#define VHDX_REGIONS_HOST_OFFSET(n)	(SZ_64K * ((n) + 3ULL))

/* Places of blocks and regions are multiples of this, and not below it. */
#define VHDX_ALIGN		SZ_1M

#define VHDX_BITMAP_BYTES	SZ_1M

/* States of blocks in the table; of a bitmap: none and full */
#define VHDX_NONE		0
#define VHDX_UNDEFINED		1
#define VHDX_ZERO		2
#define VHDX_UNMAPPED		3
#define VHDX_UNMAPPED_OLD	5
#define VHDX_FULL		6
#define VHDX_PARTIAL		7

/**
 * struct vhdx_range - a part of the file
 * @host_offset: of its start
 * @bytes: of it
 */
struct vhdx_range {
	u64 host_offset;
	u64 bytes;
};

/**
 * struct vhdx_patch - a part of the file to which the log has other content
 * @start: host offset of its start
 * @end: host offset of its end
 * @descriptor: host offset of the descriptor in the log that has the first and last bytes
 *	of a sector; 0: the content is zeros
 * @data: host offset of the sector in the log that has the bytes between them
 * @copied: the sector is in the scratch file
 */
struct vhdx_patch {
	u64 start;
	u64 end;
	u64 descriptor;
	u64 data;
	bool copied;
};

/**
 * struct vhdx - the numbers that find blocks
 * @header: the header that counts
 * @headers_valid: by number: it is whole
 * @log: the log, if there is one
 * @table: the table of blocks
 * @metadata: the region with metadata
 * @size: bytes of the file when the log is replayed
 * @patches: the content of the log, by host offset, without overlaps
 * @nr_patches: how many
 * @has_scratch: there is a scratch file for sectors of blocks that the log has
 * @scratch: number of that file
 * @block: bytes of a block
 * @ratio: blocks whose sectors have their bits in one bitmap
 * @has_parent: it is a differencing disk
 * @is_fixed: blocks keep their places
 * @table_window: the part of the table that is in memory
 * @bitmap_window: the part of a bitmap that is in memory
 * @visited: blocks of the file that a walk has looked at
 */
struct vhdx {
	u8 header[VHDX_HEADER_BYTES];
	bool headers_valid[2];
	struct vhdx_range log;
	struct vhdx_range table;
	struct vhdx_range metadata;
	u64 size;
	struct vhdx_patch *patches;
	u32 nr_patches;
	bool has_scratch;
	u32 scratch;
	u32 block;
	u32 ratio;
	bool has_parent;
	bool is_fixed;
	struct foreign_window table_window;
	struct foreign_window bitmap_window;
	struct foreign_visits visited;
};

/* vhdx_log.c */
int __must_check vhdx_replay(struct foreign *f, struct vhdx *v);

/* vhdx_read.c */
int __must_check vhdx_read(struct foreign *f, struct vhdx *v, void *buf, size_t len,
			   u64 host_offset);
const u8 *__must_check vhdx_peek(struct foreign *f, struct vhdx *v, struct foreign_window *w,
				 u64 host_offset, size_t len, size_t *available);
int __must_check vhdx_place_data(struct foreign *f, struct vhdx *v, struct foreign_piece *p);

/* vhdx_regions.c */
int __must_check vhdx_read_regions(struct foreign *f, struct vhdx *v, u32 number, u8 *table,
				   bool *valid);
int __must_check vhdx_find_regions(struct foreign *f, struct vhdx *v);

/* vhdx_metadata.c */
int __must_check vhdx_read_metadata(struct foreign *f, struct vhdx *v);

/* vhdx_check.c */
int vhdx_check(struct foreign *f);

/* Host offset and state of an entry of the table. */
static inline u64 vhdx_entry_host_offset(u64 entry)
{
	return entry & ~(u64)(VHDX_ALIGN - 1);
}

static inline u32 vhdx_entry_state(u64 entry)
{
	return entry & 7;
}

/* Number of the entry of a block, and of the bitmap of its sectors. */
static inline u64 vhdx_block_index(const struct vhdx *v, u64 block)
{
	return block + block / v->ratio;
}

static inline u64 vhdx_bitmap_index(const struct vhdx *v, u64 block)
{
	return block / v->ratio * (v->ratio + 1ULL) + v->ratio;
}

/* Look up an entry of the table. */
static inline int vhdx_entry(struct foreign *f, struct vhdx *v, u64 index, u64 *entry)
{
	const u8 *bytes = vhdx_peek(f, v, &v->table_window, v->table.host_offset + index * 8, 8,
				    NULL);

	if (!bytes)
		return -EINVAL;
	*entry = get_le64(bytes);
	return 0;
}

static inline bool vhdx_overlaps(const struct vhdx_range *range, u64 host_offset, u64 bytes)
{
	return range->bytes && host_offset < range->host_offset + range->bytes &&
	       range->host_offset < host_offset + bytes;
}

#endif /* _QCOWCTL_VHDX_H */
