/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The table of an image of the format QCOW_FORMAT_MAP: for each piece of the disk, where
 * its bytes are. A program that knows an image format makes the table, so the driver need
 * not know the format.
 *
 * A table is a file: a header of QCOW_MAP_HEADER_BYTES, then entries, sorted by the start
 * of their pieces. The first piece starts at 0; a piece ends where the next one starts, and
 * the last one at the end of the disk. Numbers are in the byte order of the CPU.
 */
#ifndef _UAPI_LINUX_QCOW_MAP_H
#define _UAPI_LINUX_QCOW_MAP_H

#include <linux/types.h>

/* First bytes of a table, without a NUL. */
#define QCOW_MAP_MAGIC		"QCOW-MAP"
#define QCOW_MAP_VERSION	1

/* Bytes of a table before its first entry. */
#define QCOW_MAP_HEADER_BYTES	4096U

/* Most bytes of all entries. */
#define QCOW_MAP_ENTRIES_BYTES_MAX	(1ULL << 32)

/* Bytes of a chunk of compressed data: decompressed, and stored, at most. */
#define QCOW_MAP_CHUNK_MAX	(2U << 20)
#define QCOW_MAP_STORED_MAX	(4U << 20)

/* Files that entries refer to, at most. */
#define QCOW_MAP_FILES_MAX	4096U

/* The table has pieces of the kind QCOW_MAP_HOLE, so the image needs a backing file. */
#define QCOW_MAP_HAS_HOLES	(1U << 0)

/**
 * struct qcow_map_header - the first bytes of a table
 * @magic: QCOW_MAP_MAGIC
 * @version: QCOW_MAP_VERSION
 * @flags: QCOW_MAP_HAS_HOLES
 * @disk_size: bytes of the disk, a multiple of 512, not 0
 * @nr_entries: entries, at least 1
 * @nr_files: files that entries refer to, 1 to QCOW_MAP_FILES_MAX
 * @sector_size: bytes of a logical sector of the disk, a power of two from 512 to 4096.
 *	The device has such sectors, unless the attach asks for others
 * @chunk_max: bytes of the largest chunk, decompressed; 0: none is compressed
 * @pad: must be 0
 * @format: name of the image's format for people, NUL-terminated: lower case letters,
 *	digits and ``-``
 *
 * The bytes between this structure and the first entry are 0.
 */
struct qcow_map_header {
	__u8 magic[8];
	__u32 version;
	__u32 flags;
	__u64 disk_size;
	__u64 nr_entries;
	__u32 nr_files;
	__u32 sector_size;
	__u32 chunk_max;
	__u32 pad;
	char format[16];
};

/**
 * enum qcow_map_kind - content of a piece of the disk
 * @QCOW_MAP_HOLE: the content of the backing file
 * @QCOW_MAP_ZERO: zeros
 * @QCOW_MAP_DATA: bytes of a file
 * @QCOW_MAP_COMPRESSED: bytes of a chunk that is compressed in a file
 */
enum qcow_map_kind {
	QCOW_MAP_HOLE		= 0,
	QCOW_MAP_ZERO		= 1,
	QCOW_MAP_DATA		= 2,
	QCOW_MAP_COMPRESSED	= 3,
};

/**
 * enum qcow_map_codec - compression of a chunk
 * @QCOW_MAP_NONE: not compressed
 * @QCOW_MAP_ZLIB: deflate in the format of RFC 1950
 * @QCOW_MAP_DEFLATE: deflate without a header (RFC 1951)
 * @QCOW_MAP_XZ: an xz stream without an integrity check or with CRC32
 * @QCOW_MAP_LZ4: an LZ4 block
 * @QCOW_MAP_LZO: LZO1X
 * @QCOW_MAP_ZSTD: one or more Zstandard frames
 *
 * The size of an LZ4 block is exact; data of other codecs may be followed by other bytes.
 */
enum qcow_map_codec {
	QCOW_MAP_NONE		= 0,
	QCOW_MAP_ZLIB		= 1,
	QCOW_MAP_DEFLATE	= 2,
	QCOW_MAP_XZ		= 3,
	QCOW_MAP_LZ4		= 4,
	QCOW_MAP_LZO		= 5,
	QCOW_MAP_ZSTD		= 6,
};

/**
 * struct qcow_map_entry - a piece of the disk
 * @start: guest offset of the piece, a multiple of 512
 * @host: host offset: data: of the first byte; compressed: of the stored chunk; any
 *	alignment
 * @stored: compressed: bytes of the stored chunk, an upper bound, not 0
 * @plain: compressed: bytes of the decompressed chunk, up to the header's chunk_max
 * @skip: compressed: bytes of the decompressed chunk before the piece
 * @file: data, compressed: number of the file
 * @kind: &enum qcow_map_kind
 * @codec: compressed: &enum qcow_map_codec
 *
 * Members that the kind does not use are 0.
 */
struct qcow_map_entry {
	__u64 start;
	__u64 host;
	__u32 stored;
	__u32 plain;
	__u32 skip;
	__u16 file;
	__u8 kind;
	__u8 codec;
};

#endif /* _UAPI_LINUX_QCOW_MAP_H */
