/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Structures on disk of qcow2, in the terms of QEMU's docs/interop/qcow2, and of qcow
 * version 1. All integers are big-endian. ondisk/ decodes them; other files use its
 * results.
 */
#ifndef _QCOW_FORMAT_H
#define _QCOW_FORMAT_H

#include "ondisk/pure.h"

#define QCOW_DISK_MAGIC			0x514649fbU /* "QFI\xfb" */

/* Section "Header". */
struct qcow_disk_header {
	__be32 magic;
	__be32 version;
	__be64 backing_file_offset;
	__be32 backing_file_size;
	__be32 cluster_bits;
	__be64 size;
	__be32 crypt_method;
	__be32 l1_size;
	__be64 l1_table_offset;
	__be64 refcount_table_offset;
	__be32 refcount_table_clusters;
	__be32 nb_snapshots;
	__be64 snapshots_offset;
	/* Version 3 and later. */
	__be64 incompatible_features;
	__be64 compatible_features;
	__be64 autoclear_features;
	__be32 refcount_order;
	__be32 header_length;
	/* Present if header_length says so. */
	u8 compression_type;
	u8 padding[7];
};

static_assert(sizeof(struct qcow_disk_header) == 112);

#define QCOW_DISK_V2_HEADER_LENGTH	72
#define QCOW_DISK_V3_HEADER_LENGTH	104

#define QCOW_DISK_CRYPT_NONE		0
#define QCOW_DISK_CRYPT_AES		1
#define QCOW_DISK_CRYPT_LUKS		2

#define QCOW_DISK_INCOMPAT_DIRTY	BIT_ULL(0)
#define QCOW_DISK_INCOMPAT_CORRUPT	BIT_ULL(1)
#define QCOW_DISK_INCOMPAT_DATA_FILE	BIT_ULL(2)
#define QCOW_DISK_INCOMPAT_COMPRESSION	BIT_ULL(3)
#define QCOW_DISK_INCOMPAT_EXTL2	BIT_ULL(4)
#define QCOW_DISK_INCOMPAT_KNOWN	GENMASK_ULL(4, 0)

#define QCOW_DISK_COMPAT_LAZY_REFCOUNTS	BIT_ULL(0)

#define QCOW_DISK_AUTOCLEAR_BITMAPS	BIT_ULL(0)
#define QCOW_DISK_AUTOCLEAR_DATA_RAW	BIT_ULL(1)

#define QCOW_DISK_MIN_CLUSTER_BITS	9
#define QCOW_DISK_MAX_CLUSTER_BITS	21
#define QCOW_DISK_MIN_EXTL2_CLUSTER_BITS 14
#define QCOW_DISK_MAX_REFCOUNT_ORDER	6
#define QCOW_DISK_MAX_BACKING_NAME	1023
#define QCOW_DISK_MAX_L1_BYTES		SZ_32M
#define QCOW_DISK_MAX_REFTABLE_BYTES	SZ_8M
#define QCOW_DISK_MAX_SNAPSHOTS		65536
#define QCOW_DISK_MIN_SNAPSHOT_BYTES	40
#define QCOW_DISK_MAX_SNAPSHOT_TABLE	SZ_64M
#define QCOW_DISK_MAX_SNAPSHOT_EXTRA	SZ_1K

/* Section "Header extensions": padded to a multiple of 8 bytes. */
struct qcow_disk_extension {
	__be32 type;
	__be32 length;
};

#define QCOW_DISK_EXT_END		0x00000000U
#define QCOW_DISK_EXT_BACKING_FORMAT	0xe2792acaU
#define QCOW_DISK_EXT_FEATURE_NAMES	0x6803f857U
#define QCOW_DISK_EXT_BITMAPS		0x23852875U
#define QCOW_DISK_EXT_LUKS		0x0537be77U
#define QCOW_DISK_EXT_DATA_FILE		0x44415441U

/* Section "Feature name table". */
struct qcow_disk_feature_name {
	u8 type;	/* 0 incompatible, 1 compatible, 2 autoclear */
	u8 bit;
	char name[46];	/* NUL-padded, not always NUL-terminated */
};

static_assert(sizeof(struct qcow_disk_feature_name) == 48);

/* Section "Full disk encryption header pointer". */
struct qcow_disk_crypto_header {
	__be64 host_offset;
	__be64 length;
};

static_assert(sizeof(struct qcow_disk_crypto_header) == 16);

/* LUKS headers of version 1 are much smaller: their key slots have 2 MiB. */
#define QCOW_DISK_MAX_LUKS_HEADER	SZ_16M

/* Section "Cluster mapping": L1 and L2 entries. */
#define QCOW_DISK_L1E_OFFSET_MASK	GENMASK_ULL(55, 9)
#define QCOW_DISK_L2E_OFFSET_MASK	GENMASK_ULL(55, 9)
#define QCOW_DISK_L2E_ZERO		BIT_ULL(0)
#define QCOW_DISK_L2E_COMPRESSED	BIT_ULL(62)
#define QCOW_DISK_E_COPIED		BIT_ULL(63)

/* Section "Extended L2 entries": subclusters of a cluster. */
#define QCOW_DISK_SUBCLUSTERS		32

/* Section "Refcounts". */
#define QCOW_DISK_REFTABLE_OFFSET_MASK	GENMASK_ULL(63, 9)

/* Section "Snapshots": extra data, id and name follow, padded to 8 bytes. */
struct qcow_disk_snapshot {
	__be64 l1_table_offset;
	__be32 l1_size;
	__be16 id_str_size;
	__be16 name_size;
	__be32 date_sec;
	__be32 date_nsec;
	__be64 vm_clock_nsec;
	__be32 vm_state_size;
	__be32 extra_data_size;
};

static_assert(sizeof(struct qcow_disk_snapshot) == QCOW_DISK_MIN_SNAPSHOT_BYTES);

/* The known part of the extra data; an image may have less of it. */
struct qcow_disk_snapshot_extra {
	__be64 vm_state_size;
	__be64 disk_size;
	__be64 icount;
};

/* The part of it that version 3 demands. */
#define QCOW_DISK_MIN_SNAPSHOT_EXTRA	16

/* Section "Bitmaps extension": the data of the header extension. */
struct qcow_disk_bitmaps {
	__be32 nb_bitmaps;
	__be32 reserved;
	__be64 bitmap_directory_size;
	__be64 bitmap_directory_offset;
};

static_assert(sizeof(struct qcow_disk_bitmaps) == 24);

/* Section "Bitmap directory": extra data and name follow, padded to 8 bytes. */
struct qcow_disk_bitmap {
	__be64 bitmap_table_offset;
	__be32 bitmap_table_size;
	__be32 flags;
	u8 type;
	u8 granularity_bits;
	__be16 name_size;
	__be32 extra_data_size;
};

static_assert(sizeof(struct qcow_disk_bitmap) == 24);

#define QCOW_DISK_BITMAP_IN_USE		BIT(0)
#define QCOW_DISK_BITMAP_AUTO		BIT(1)
#define QCOW_DISK_BITMAP_KNOWN		3U
#define QCOW_DISK_BITMAP_DIRTY_TRACKING	1

/* The first four are QEMU's, where the specification says nothing. */
#define QCOW_DISK_MAX_BITMAPS		65535U
#define QCOW_DISK_MAX_BITMAP_ENTRY	1024U
#define QCOW_DISK_MAX_BITMAP_DIRECTORY	\
	(QCOW_DISK_MAX_BITMAPS * QCOW_DISK_MAX_BITMAP_ENTRY)
#define QCOW_DISK_MAX_BITMAP_BYTES	SZ_512M
#define QCOW_DISK_MAX_BITMAP_NAME	1023U
#define QCOW_DISK_MIN_GRANULARITY_BITS	9
#define QCOW_DISK_MAX_GRANULARITY_BITS	31

/* Section "Bitmap table". */
#define QCOW_DISK_BITMAP_E_OFFSET_MASK	GENMASK_ULL(55, 9)
#define QCOW_DISK_BITMAP_E_ALL_ONES	BIT_ULL(0)
#define QCOW_DISK_BITMAP_E_RESERVED	(GENMASK_ULL(63, 56) | GENMASK_ULL(8, 1))

/*
 * qcow version 1. The L1 table's length follows from the disk's size. There are
 * no refcounts, flags or zero clusters: an L1 entry is an L2 table's offset, an
 * L2 entry a cluster's, or compressed data with its length in bytes.
 */
struct qcow_disk_v1_header {
	__be32 magic;
	__be32 version;
	__be64 backing_file_offset;
	__be32 backing_file_size;
	__be32 mtime;
	__be64 size;
	u8 cluster_bits;
	u8 l2_bits;
	__be16 padding;
	__be32 crypt_method;
	__be64 l1_table_offset;
};

static_assert(sizeof(struct qcow_disk_v1_header) == 48);

#define QCOW_DISK_V1_HEADER_LENGTH	48
#define QCOW_DISK_V1_MAX_CLUSTER_BITS	16
#define QCOW_DISK_V1_MIN_L2_BITS	6
#define QCOW_DISK_V1_MAX_L2_BITS	13
/* Alignment of clusters and L2 tables of any size, as log2. */
#define QCOW_DISK_V1_ALIGN_BITS		9
#define QCOW_DISK_V1_L2E_COMPRESSED	BIT_ULL(63)

#endif /* _QCOW_FORMAT_H */
