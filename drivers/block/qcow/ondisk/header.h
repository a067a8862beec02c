/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_HEADER_H
#define _QCOW_HEADER_H

#include "ondisk/format.h"

/**
 * struct qcow_header - a validated header in the CPU's byte order
 * @version: 1, 2 or 3
 * @cluster_bits: log2 of the cluster size in bytes, 9 to 21
 * @l2_bits: version 1: log2 of the entries of an L2 table, 6 to 13; else 0, as
 *	it follows from the cluster size
 * @refcount_order: log2 of the bits of a refcount, 0 to 6
 * @header_length: bytes of the header without extensions
 * @compression: a type of compression.h
 * @crypt_method: QCOW_DISK_CRYPT_*
 * @size: the disk's size in bytes, rounded down to 512 as QEMU does
 * @incompatible: QCOW_DISK_INCOMPAT_*
 * @compatible: QCOW_DISK_COMPAT_*
 * @autoclear: QCOW_DISK_AUTOCLEAR_*, and unknown bits
 * @l1_table_offset: host offset of the L1 table
 * @l1_size: entries of the L1 table, which covers @size
 * @refcount_table_clusters: clusters of the refcount table, at least 1; version 1: 0
 * @refcount_table_offset: host offset of the refcount table
 * @snapshots_offset: host offset of the snapshot table
 * @nr_snapshots: entries of the snapshot table
 * @backing_len: bytes of the backing file's name, 0: there is none
 * @backing_in_header: offset of that name in the parsed buffer
 * @data_name_len: bytes of the external data file's name, 0: not named
 * @data_name_in_header: offset of that name in the parsed buffer
 * @backing_format: format of the backing file, NUL-terminated, empty if not given
 * @bitmaps_in_header: offset of the bitmaps extension's data in the buffer, 0: none
 * @bitmaps_len: bytes of the bitmaps extension's data
 * @extensions_end: offset of the mark behind the last extension in the buffer, 0: none
 * @luks_in_header: offset of the LUKS extension's data in the buffer, 0: none
 * @luks_len: bytes of the LUKS extension's data
 * @crypto_host_offset: LUKS: host offset of the LUKS header; not validated yet
 * @crypto_length: LUKS: bytes of the LUKS header; not validated yet
 */
struct qcow_header {
	u32 version;
	u32 cluster_bits;
	u32 l2_bits;
	u32 refcount_order;
	u32 header_length;
	u32 compression;
	u32 crypt_method;
	u64 size;
	u64 incompatible;
	u64 compatible;
	u64 autoclear;
	u64 l1_table_offset;
	u32 l1_size;
	u32 refcount_table_clusters;
	u64 refcount_table_offset;
	u64 snapshots_offset;
	u32 nr_snapshots;
	u32 backing_len;
	u32 backing_in_header;
	u32 data_name_len;
	u32 data_name_in_header;
	u32 bitmaps_in_header;
	u32 bitmaps_len;
	u32 extensions_end;
	u32 luks_in_header;
	u32 luks_len;
	u64 crypto_host_offset;
	u64 crypto_length;
	char backing_format[16];
};

/* Bytes of a file that qcow_header_probe() and _cluster_size() look at. */
#define QCOW_HEADER_PROBE_BYTES	24

/*
 * Return: the version in a qcow or qcow2 header; 0: it is neither. @buf holds @len
 * bytes of the file's start.
 */
u32 qcow_header_probe(const void *buf, size_t len);

/*
 * Return: bytes at the start of a file that qcow_header_parse() needs (for qcow2 one
 * cluster); or a negative errno if the cluster size is out of range or @buf is no
 * header.
 */
int qcow_header_cluster_size(const void *buf, size_t len, struct qcow_msg *msg);

int __must_check qcow_header_parse(struct qcow_header *h, const void *buf,
				   size_t len, u64 file_size,
				   struct qcow_msg *msg);

int __must_check qcow_header_salvage(struct qcow_header *h, const void *buf,
				     size_t len, struct qcow_msg *msg);

int __must_check qcow_header_supported(const struct qcow_header *h,
				       struct qcow_msg *msg);

/* A compression type's name as qemu-img spells it; NULL: there is no such type. */
const char *qcow_header_compression_name(u32 type);

/* The functions above call these for version 1. */
int qcow_header_v1_bytes(const void *buf, size_t len, struct qcow_msg *msg);
int __must_check qcow_header_v1_parse(struct qcow_header *h, const void *buf,
				      size_t len, u64 file_size,
				      struct qcow_msg *msg);

/* log2 of the entries of an L2 table. */
static inline u32 qcow_header_l2_bits(const struct qcow_header *h)
{
	if (h->version == 1)
		return h->l2_bits;
	return h->cluster_bits -
	       (h->incompatible & QCOW_DISK_INCOMPAT_EXTL2 ? 4 : 3);
}

#endif /* _QCOW_HEADER_H */
