/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_ENTRY_H
#define _QCOW_ENTRY_H

#include "ondisk/header.h"

/**
 * struct qcow_layout - layout of an image's tables, from its header
 * @cluster_bits: log2 of the cluster size in bytes
 * @l2_bits: log2 of the entries of an L2 table
 * @entry_bits: log2 of the bytes of an L2 entry: 3, or 4 if extended
 * @grain_bits: log2 of the bytes that one decoded entry maps: a subcluster with
 *	extended L2 entries, else a cluster
 * @align_bits: log2 of the alignment of clusters and tables in the file
 * @csize_shift: first bit of the sector count in a compressed entry; of the byte
 *	count in version 1
 * @version: 1, 2 or 3
 * @extended_l2: entries have a subcluster bitmap
 * @data_file: guest data lies in an external data file
 * @odd_bits: bits that no plain L2 entry has, see qcow_entry_is_plain(); all of them if no
 *	entry is plain
 */
struct qcow_layout {
	u8 cluster_bits;
	u8 l2_bits;
	u8 entry_bits;
	u8 grain_bits;
	u8 align_bits;
	u8 csize_shift;
	u8 version;
	bool extended_l2;
	bool data_file;
	u64 odd_bits;
};

/**
 * enum qcow_extent_type - content of a piece of a disk
 * @QCOW_EXTENT_HOLE: the backing file's content, or zeros
 * @QCOW_EXTENT_ZERO: zeros, also over data of the backing file
 * @QCOW_EXTENT_DATA: bytes in a file
 * @QCOW_EXTENT_COMPRESSED: one cluster of compressed data in a file
 */
enum qcow_extent_type {
	QCOW_EXTENT_HOLE,
	QCOW_EXTENT_ZERO,
	QCOW_EXTENT_DATA,
	QCOW_EXTENT_COMPRESSED,
};

/**
 * struct qcow_entry - a decoded L2 entry, for one grain of the disk
 * @type: the content
 * @copied: the cluster's refcount is one
 * @csize: compressed: bytes stored, an upper bound
 * @mapped: the entry has a cluster, which a hole or zeros may have, too; false for
 *	compressed data
 * @host_offset: host offset of the grain or of the compressed data; also set for a hole or
 *	zeros if @mapped, else 0
 * @fault: after -EIO, the fault of the entry
 */
struct qcow_entry {
	enum qcow_extent_type type;
	bool copied;
	bool mapped;
	u32 csize;
	u64 host_offset;
	const char *fault;
};

/**
 * struct qcow_l2_entry - an L2 entry in the CPU's byte order
 * @raw: offset and flags
 * @bitmap: the second half of an extended entry; else 0
 */
struct qcow_l2_entry {
	u64 raw;
	u64 bitmap;
};

/**
 * struct qcow_snapshot - a decoded entry of the snapshot table
 * @l1_table_offset: host offset of its L1 table
 * @l1_size: entries of its L1 table
 * @disk_size: bytes of the disk; 0: not stored, it is the current size
 * @vm_state_size: bytes of the state of a virtual machine
 * @vm_clock: clock of the virtual machine, in nanoseconds
 * @icount: instructions that the virtual machine had executed; U64_MAX: not stored
 * @date_sec: time of the snapshot, seconds since 1970
 * @date_nsec: and nanoseconds
 * @id_len: bytes of its id
 * @name_len: bytes of its name
 * @id_in_entry: bytes into this entry of the id, which the name follows
 * @entry_bytes: bytes from this entry to the next one
 */
struct qcow_snapshot {
	u64 l1_table_offset;
	u32 l1_size;
	u64 disk_size;
	u64 vm_state_size;
	u64 vm_clock;
	u64 icount;
	u32 date_sec;
	u32 date_nsec;
	u32 id_len;
	u32 name_len;
	u32 id_in_entry;
	u32 entry_bytes;
};

void qcow_layout_init(struct qcow_layout *lay, const struct qcow_header *h);

u64 qcow_entry_make_l1(const struct qcow_layout *lay, u64 l2_host_offset);
int __must_check qcow_entry_l2(const struct qcow_layout *lay, u64 raw, u64 bitmap,
			       u64 guest_offset, struct qcow_entry *e);

struct qcow_l2_entry qcow_entry_data(const struct qcow_layout *lay,
				     struct qcow_l2_entry old, u64 guest_offset, u64 len,
				     u64 host_offset);
int __must_check qcow_entry_zero(const struct qcow_layout *lay, struct qcow_l2_entry old,
				 u64 guest_offset, u64 len, bool unmap,
				 struct qcow_l2_entry *new);

int __must_check qcow_entry_snapshot(const struct qcow_layout *lay,
				     const struct qcow_disk_snapshot *disk,
				     const struct qcow_disk_snapshot_extra *extra,
				     struct qcow_snapshot *s);

int __must_check qcow_entry_clusters(const struct qcow_layout *lay, u64 raw,
				     u64 guest_offset, u64 *first, u32 *nr,
				     const char **fault);

u32 qcow_entry_snapshot_bytes(const struct qcow_snapshot *s);
void qcow_entry_put_snapshot(const struct qcow_snapshot *s, const char *id,
			     const char *name, void *buf);

u64 qcow_entry_refcount(const void *block, u32 order, u32 index);
void qcow_entry_set_refcount(void *block, u32 order, u32 index, u64 value);

/* The largest refcount that 2^@order bits hold. */
static inline u64 qcow_entry_refcount_max(u32 order)
{
	return ~0ULL >> (64 - (1U << order));
}

/* Bytes of the disk that one L1 entry covers, as a shift: 15 to 39. */
static inline u32 qcow_layout_l1_shift(const struct qcow_layout *lay)
{
	return lay->cluster_bits + lay->l2_bits;
}

/* Return: true if clusters can be freed: not in version 1. */
static inline bool qcow_layout_has_refcounts(const struct qcow_layout *lay)
{
	return lay->version > 1;
}

/* Bytes of an L2 table. In version 1 they may be more or less than a cluster. */
static inline u64 qcow_layout_l2_bytes(const struct qcow_layout *lay)
{
	return 1ULL << (lay->l2_bits + lay->entry_bits);
}

/* L1 entries for a disk of @size bytes. */
static inline u64 qcow_layout_l1_entries(const struct qcow_layout *lay, u64 size)
{
	return size ? ((size - 1) >> qcow_layout_l1_shift(lay)) + 1 : 0;
}

static inline bool qcow_layout_aligned(const struct qcow_layout *lay, u64 host_offset)
{
	return !(host_offset & ((1ULL << lay->align_bits) - 1));
}

/*
 * Return: true if an entry of version 1 is no offset. It has no flags: all of it is an
 * offset, and no file is longer.
 */
static inline bool qcow_entry_v1_bad(const struct qcow_layout *lay, u64 raw)
{
	return lay->version == 1 && raw & ~QCOW_DISK_L1E_OFFSET_MASK;
}

/**
 * qcow_entry_l1() - decode an L1 entry
 * @lay: the image's layout
 * @raw: the entry in the CPU's byte order
 * @l2_host_offset: out: host offset of the L2 table, 0: there is none
 *
 * Return: 0, or -EIO if the table is not aligned.
 */
static inline int __must_check qcow_entry_l1(const struct qcow_layout *lay, u64 raw,
					     u64 *l2_host_offset)
{
	*l2_host_offset = raw & QCOW_DISK_L1E_OFFSET_MASK;
	if (qcow_entry_v1_bad(lay, raw))
		return -EIO;
	return qcow_layout_aligned(lay, *l2_host_offset) ? 0 : -EIO;
}

/**
 * qcow_entry_l1_own() - tell whether an L1 entry has an L2 table that is not shared
 * @lay: the image's layout
 * @raw: the L1 entry in the CPU's byte order
 *
 * Return: whether there is; without refcounts no table is shared.
 */
static inline bool qcow_entry_l1_own(const struct qcow_layout *lay, u64 raw)
{
	if (lay->version == 1)
		return raw && !qcow_entry_v1_bad(lay, raw);
	return raw & QCOW_DISK_E_COPIED && raw & QCOW_DISK_L1E_OFFSET_MASK;
}

/**
 * qcow_entry_is_plain() - tell whether an L2 entry needs no qcow_entry_l2()
 * @lay: the image's layout
 * @raw: the entry in the CPU's byte order
 *
 * A plain entry is an aligned host offset, with QCOW_DISK_E_COPIED or without, and no other
 * bits: all of its cluster is data.
 *
 * Return: whether it is plain.
 */
static inline bool qcow_entry_is_plain(const struct qcow_layout *lay, u64 raw)
{
	return !(raw & lay->odd_bits) && raw & ~QCOW_DISK_E_COPIED;
}

#endif /* _QCOW_ENTRY_H */
