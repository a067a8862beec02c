/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VMDK_H
#define _QCOWCTL_VMDK_H

#include "foreign/foreign.h"

/* A CID in a descriptor that says that there is no parent */
#define VMDK_CID_NONE		0xffffffffU

/* Bytes of a descriptor that are read, as QEMU does */
#define VMDK_TEXT_MAX		SZ_1M

/* Most sectors of a disk, of a grain, and entries of a grain directory, as in QEMU */
#define VMDK_SECTORS_MAX	((u64)S64_MAX / SZ_512 - 1)
#define VMDK_GRAIN_SECTORS_MAX	0x200000U
#define VMDK_GD_ENTRIES_MAX	SZ_32M

/* Offset of a grain directory: it is told at the end of the file */
#define VMDK_GD_AT_END		(~0ULL)

/* In a header of the kind KDMV: the first sector of the descriptor */
#define VMDK_TEXT_AT		28

/* First bytes of sparse extents, as little-endian numbers */
#define VMDK_MAGIC_KDMV		0x564d444b
#define VMDK_MAGIC_COWD		0x44574f43
#define VMDK_MAGIC_SESPARSE	0xcafebabe

/* Bytes before the compressed data of a grain with a marker: its sector and the length */
#define VMDK_MARKER_BYTES	12

/* Types of markers that are no grain's; 1 is a grain table, 2 a grain directory */
#define VMDK_MARKER_END		0
#define VMDK_MARKER_FOOTER	3

/**
 * struct vmdk_text - a descriptor
 * @bytes: its lines, each ends in a NUL
 * @len: bytes of them
 * @version: of its format
 * @cid: changes when the disk is written for the first time after an open
 * @parent_cid: the CID that the parent has to have; VMDK_CID_NONE: there is no parent
 * @create_type: kind of the disk, for people; NULL: not there
 * @parent: name of the parent; NULL: none
 * @encoding: of names; NULL: not there
 * @encrypted: it says that the disk is encrypted
 * @extents: lines about extents
 * @nr_extents: of them
 */
struct vmdk_text {
	char *bytes;
	size_t len;
	u32 version;
	u32 cid;
	u32 parent_cid;
	const char *create_type;
	const char *parent;
	const char *encoding;
	bool encrypted;
	char **extents;
	u32 nr_extents;
};

/**
 * struct vmdk_line - a line of a descriptor about an extent
 * @access: RW, RDONLY, NOACCESS
 * @sectors: of the extent
 * @type: FLAT, SPARSE, ...
 * @name: of the file; NULL: none
 * @first_sector: of a flat extent in its file
 */
struct vmdk_line {
	const char *access;
	u64 sectors;
	const char *type;
	const char *name;
	u64 first_sector;
};

/**
 * enum vmdk_kind - the way in which an extent stores its part of the disk
 * @VMDK_ZERO: not at all, it reads as zeros
 * @VMDK_FLAT: all bytes in their order
 * @VMDK_KDMV: grains, tables of 32-bit sector numbers
 * @VMDK_COWD: the same with other numbers in the header, made by ESX
 * @VMDK_SESPARSE: grains, tables of 64-bit numbers
 * @VMDK_STREAM: compressed grains without tables, found by their markers
 */
enum vmdk_kind {
	VMDK_ZERO,
	VMDK_FLAT,
	VMDK_KDMV,
	VMDK_COWD,
	VMDK_SESPARSE,
	VMDK_STREAM,
};

/**
 * struct vmdk_grain - a grain of a VMDK_STREAM
 * @number: of the grain in the extent
 * @sector: in the file, of its marker
 */
struct vmdk_grain {
	u32 number;
	u32 sector;
};

/**
 * struct vmdk_extent - a part of the disk
 * @guest_offset: of the part
 * @size: bytes of it
 * @file: number of the file
 * @kind: &enum vmdk_kind
 * @zeros: an entry of 1 in a grain table is a grain of zeros
 * @compressed: grains are zlib streams
 * @markers: a marker is before each of them
 * @unclean: its program did not close it
 * @gt_entries: entries of a grain table
 * @grain: bytes of a grain
 * @host_offset: of the data of a flat extent
 * @gd_host_offset: of the grain directory
 * @second_gd_host_offset: of its copy; 0: none
 * @overhead: bytes of metadata at the start of the file
 * @gts_host_offset: seSparse: of grain tables
 * @grains_host_offset: seSparse: of grains
 * @text_host_offset: of the embedded descriptor
 * @text_bytes: of it; 0: none
 * @grains: VMDK_STREAM: by number
 * @nr_grains: of them
 */
struct vmdk_extent {
	u64 guest_offset;
	u64 size;
	u32 file;
	u8 kind;
	bool zeros;
	bool compressed;
	bool markers;
	bool unclean;
	u32 gt_entries;
	u64 grain;
	u64 host_offset;
	u64 gd_host_offset;
	u64 second_gd_host_offset;
	u64 overhead;
	u64 gts_host_offset;
	u64 grains_host_offset;
	u64 text_host_offset;
	u64 text_bytes;
	struct vmdk_grain *grains;
	size_t nr_grains;
};

/**
 * struct vmdk - a disk
 * @extents: in the order of the disk
 * @nr_extents: of them
 * @current: number of the extent that was asked for last
 * @text: the descriptor
 * @visited_extent: the extent of @visited
 * @visited: grain tables of an extent that a walk has looked at
 * @gd: the part of a grain directory that is in memory
 * @gt: the part of a grain table that is in memory
 */
struct vmdk {
	struct vmdk_extent *extents;
	u32 nr_extents;
	u32 current;
	struct vmdk_text text;
	const struct vmdk_extent *visited_extent;
	struct foreign_visits visited;
	struct foreign_window gd;
	struct foreign_window gt;
};

int __must_check vmdk_read_text(struct foreign *f, struct vmdk_text *t, u32 file,
				u64 host_offset, u64 bytes);
int __must_check vmdk_parse_extent(struct foreign *f, struct vmdk_text *t, u32 number,
				   struct vmdk_line *line);
const char *__must_check vmdk_name(struct foreign *f, const struct vmdk_text *t,
				   const char *name);
bool vmdk_text_seems(const u8 *start, size_t len);

int __must_check vmdk_open_sparse(struct foreign *f, struct vmdk *v, struct vmdk_extent *e);
int __must_check vmdk_find_grain(struct foreign *f, struct vmdk *v,
				 const struct vmdk_extent *e, u64 in_extent,
				 struct foreign_piece *p);
u64 vmdk_gd_entries(const struct vmdk_extent *e);
int __must_check vmdk_find_gt(struct foreign *f, struct vmdk *v, const struct vmdk_extent *e,
			      u64 gd_host_offset, u64 number, u64 *host_offset);

int __must_check vmdk_set_compressed(struct foreign *f, const struct vmdk_extent *e,
				     u64 host_offset, u32 stored, u64 in_extent,
				     struct foreign_piece *p);
int __must_check vmdk_index_stream(struct foreign *f, struct vmdk_extent *e);
int __must_check vmdk_find_in_stream(struct foreign *f, const struct vmdk_extent *e,
				     u64 in_extent, struct foreign_piece *p);

int __must_check vmdk_check(struct foreign *f);

/* Bytes of an entry of a grain directory or grain table. */
static inline u32 vmdk_entry_bytes(const struct vmdk_extent *e)
{
	return e->kind == VMDK_SESPARSE ? 8 : 4;
}

/* Bytes of the disk that a grain table is for. */
static inline u64 vmdk_gt_span(const struct vmdk_extent *e)
{
	return e->gt_entries * e->grain;
}

#endif /* _QCOWCTL_VMDK_H */
