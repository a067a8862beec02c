/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VPC_H
#define _QCOWCTL_VPC_H

#include "foreign/bits.h"
#include "foreign/bytes.h"
#include "foreign/formats.h"
#include "foreign/parents.h"
#include "foreign/vpc_footer.h"

#define VPC_HEADER_BYTES	SZ_1K

/* The largest geometry, and the largest disk */
#define VPC_GEOMETRY_MAX	(65535ULL * 16 * 255 * SZ_512)
#define VPC_SIZE_MAX		(0xff000000ULL * SZ_512)

/* Entry of the table of a block that is not in the file */
#define VPC_NONE		0xffffffff

/* Names of the parent: relative and absolute in UTF-16, and a URL */
#define VPC_LOCATORS		8
#define VPC_LOCATOR_MAX		SZ_16K
#define VPC_W2RU		0x57327275
#define VPC_W2KU		0x57326b75
#define VPC_MACX		0x4d616358

/* Bytes of a block's bitmap that are read at once */
#define VPC_BITMAP_PART		SZ_4K

/**
 * struct vpc - the numbers that find blocks
 * @footer: the footer; a copy of @first_footer if it is lost
 * @first_footer: the copy at the start of the file, or other bytes
 * @last_is_valid: there is a footer at the end of the file
 * @first_is_valid: there is a copy at the start
 * @footer_host_offset: of the footer, or the end of the file
 * @header_host_offset: of the header
 * @table_host_offset: of the table of blocks
 * @type: of the disk
 * @block: bytes of a block
 * @blocks: entries of the table
 * @bitmap_bytes: bytes before the data of a block
 * @table: the part of the table that is in memory
 * @visited: blocks of the file that a walk has looked at
 * @part: part of a block's bitmap
 * @part_host_offset: of @part
 * @part_bits: bits of it; 0: there is none
 */
struct vpc {
	u8 footer[VPC_FOOTER_BYTES];
	u8 first_footer[VPC_FOOTER_BYTES];
	bool last_is_valid;
	bool first_is_valid;
	u64 footer_host_offset;
	u64 header_host_offset;
	u64 table_host_offset;
	u32 type;
	u32 block;
	u32 blocks;
	u32 bitmap_bytes;
	struct foreign_window table;
	struct foreign_visits visited;
	u8 part[VPC_BITMAP_PART];
	u64 part_host_offset;
	u32 part_bits;
};

/* Look up the sector of a block's bitmap in the file, or VPC_NONE. */
static inline int vpc_block(struct foreign *f, struct vpc *v, u64 block, u32 *sector)
{
	const u8 *entry = foreign_peek(f, &v->table, 0, v->table_host_offset + block * 4, 4,
				       NULL);

	if (!entry)
		return -EINVAL;
	*sector = get_be32(entry);
	return 0;
}

int vpc_check(struct foreign *f);

#endif /* _QCOWCTL_VPC_H */
