// SPDX-License-Identifier: GPL-2.0
/*
 * L1, L2, refcount and snapshot entries: decode, validate, encode. meta/ and the tools
 * call it. Pure: no I/O, no allocation.
 *
 * Section "Cluster mapping" of the specification. It ignores reserved bits that QEMU
 * ignores.
 */
#include "ondisk/entry.h"

/* Bits that no plain entry has, see &struct qcow_layout. */
static u64 layout_odd_bits(const struct qcow_layout *lay)
{
	u64 in_cluster = (1ULL << lay->cluster_bits) - 1;

	if (lay->version == 1 || lay->extended_l2 || lay->data_file)
		return ~0ULL;
	return ~(QCOW_DISK_E_COPIED | (QCOW_DISK_L2E_OFFSET_MASK & ~in_cluster));
}

/**
 * qcow_layout_init() - derive the layout from a validated header
 * @lay: the result
 * @h: from qcow_header_parse()
 */
void qcow_layout_init(struct qcow_layout *lay, const struct qcow_header *h)
{
	lay->cluster_bits = h->cluster_bits;
	lay->l2_bits = qcow_header_l2_bits(h);
	lay->version = h->version;
	lay->extended_l2 = h->incompatible & QCOW_DISK_INCOMPAT_EXTL2;
	lay->entry_bits = lay->extended_l2 ? 4 : 3;
	lay->data_file = h->incompatible & QCOW_DISK_INCOMPAT_DATA_FILE;
	/* 32 subclusters: five bits. */
	lay->grain_bits = h->cluster_bits - (lay->extended_l2 ? 5 : 0);
	lay->align_bits = h->version == 1 ? QCOW_DISK_V1_ALIGN_BITS :
					    h->cluster_bits;
	lay->csize_shift = (h->version == 1 ? 63 : 70) - h->cluster_bits;
	lay->odd_bits = layout_odd_bits(lay);
}

/**
 * qcow_entry_make_l1() - make the L1 entry of a table that is not shared
 * @lay: the image's layout
 * @l2_host_offset: host offset of the L2 table
 *
 * Return: the entry in the CPU's byte order.
 */
u64 qcow_entry_make_l1(const struct qcow_layout *lay, u64 l2_host_offset)
{
	return lay->version == 1 ? l2_host_offset : l2_host_offset | QCOW_DISK_E_COPIED;
}

static int entry_fault(struct qcow_entry *e, const char *fault)
{
	e->fault = fault;
	return -EIO;
}

/* Section "Compressed Clusters Descriptor". */
static int entry_compressed(const struct qcow_layout *lay, u64 raw,
			    struct qcow_entry *e)
{
	u64 sectors = (raw & ~(QCOW_DISK_E_COPIED | QCOW_DISK_L2E_COMPRESSED)) >>
		      lay->csize_shift;

	if (lay->data_file)
		return entry_fault(e, "compressed cluster in an image with a data file");
	e->type = QCOW_EXTENT_COMPRESSED;
	e->copied = false;
	e->host_offset = raw & ((1ULL << lay->csize_shift) - 1);
	e->csize = (sectors + 1) * SZ_512 - (e->host_offset & (SZ_512 - 1));
	return 0;
}

/* Section "Extended L2 Entries": @sub is the subcluster's number. */
static int entry_subcluster(u64 bitmap, u32 sub, struct qcow_entry *e)
{
	u32 allocated = bitmap, zero = bitmap >> 32;

	if (allocated & zero)
		return entry_fault(e, "subcluster both allocated and zero");
	if (allocated && e->type == QCOW_EXTENT_HOLE)
		return entry_fault(e, "subcluster allocated without a cluster");
	if (zero >> sub & 1)
		e->type = QCOW_EXTENT_ZERO;
	else if (!(allocated >> sub & 1))
		e->type = QCOW_EXTENT_HOLE;
	return 0;
}

/* Check the host offset of a cluster. */
static int entry_check_host(const struct qcow_layout *lay, u64 guest_offset,
			    struct qcow_entry *e)
{
	u64 in_cluster = guest_offset & ((1ULL << lay->cluster_bits) - 1);

	if (!qcow_layout_aligned(lay, e->host_offset))
		return entry_fault(e, "cluster offset is not aligned");
	if (lay->data_file && e->host_offset != guest_offset - in_cluster)
		return entry_fault(e, "cluster offset in the data file differs from the disk's");
	e->host_offset += in_cluster;
	return 0;
}

/* Decode an entry of version 1, in which the length of compressed data is exact. */
static int entry_v1(const struct qcow_layout *lay, u64 raw, u64 guest_offset,
		    struct qcow_entry *e)
{
	e->mapped = false;
	e->copied = false;
	e->csize = 0;
	e->host_offset = raw;
	e->type = QCOW_EXTENT_HOLE;
	if (raw & QCOW_DISK_V1_L2E_COMPRESSED) {
		raw &= ~QCOW_DISK_V1_L2E_COMPRESSED;
		e->type = QCOW_EXTENT_COMPRESSED;
		e->host_offset = raw & ((1ULL << lay->csize_shift) - 1);
		e->csize = raw >> lay->csize_shift;
		return e->csize ? 0 :
		       entry_fault(e, "compressed cluster without data");
	}
	if (!raw)
		return 0;
	if (qcow_entry_v1_bad(lay, raw))
		return entry_fault(e, "cluster offset is not aligned or out of range");
	e->type = QCOW_EXTENT_DATA;
	e->mapped = true;
	e->copied = true;
	e->host_offset += guest_offset & ((1ULL << lay->cluster_bits) - 1);
	return 0;
}

/**
 * qcow_entry_l2() - decode an L2 entry for one byte of the disk
 * @lay: the image's layout
 * @raw: the entry in the CPU's byte order
 * @bitmap: the second half of an extended entry, else ignored
 * @guest_offset: guest offset; with a data file the host offset must be the same
 * @e: the result: @e->host_offset is the host offset of the byte at @guest_offset
 *
 * Return: 0, or -EIO if the entry is damaged, with @e->fault.
 */
int qcow_entry_l2(const struct qcow_layout *lay, u64 raw, u64 bitmap, u64 guest_offset,
		  struct qcow_entry *e)
{
	u64 in_cluster = guest_offset & ((1ULL << lay->cluster_bits) - 1);
	int err;

	if (lay->version == 1)
		return entry_v1(lay, raw, guest_offset, e);
	e->mapped = false;
	if (unlikely(raw & QCOW_DISK_L2E_COMPRESSED))
		return entry_compressed(lay, raw, e);

	e->host_offset = raw & QCOW_DISK_L2E_OFFSET_MASK;
	e->copied = raw & QCOW_DISK_E_COPIED;
	e->csize = 0;
	/* With a data file, 0 is an offset like any other. */
	e->mapped = e->host_offset || (lay->data_file && e->copied);
	e->type = e->mapped ? QCOW_EXTENT_DATA : QCOW_EXTENT_HOLE;

	if (lay->extended_l2) {
		err = entry_subcluster(bitmap, in_cluster >> lay->grain_bits, e);
		if (err)
			return err;
	} else if (raw & QCOW_DISK_L2E_ZERO) {
		if (lay->version < 3)
			return entry_fault(e, "zero cluster in a version 2 image");
		e->type = QCOW_EXTENT_ZERO;
	}
	return e->mapped ? entry_check_host(lay, guest_offset, e) : 0;
}

/**
 * qcow_entry_clusters() - get the clusters that an L2 entry refers to
 * @lay: the image's layout; clusters of a data file are not counted
 * @raw: the entry in the CPU's byte order
 * @guest_offset: as for qcow_entry_l2()
 * @first: out: number of the first cluster
 * @nr: out: number of clusters
 * @fault: after -EIO, the fault
 *
 * Return: 0, or -EIO if the entry is damaged.
 */
int qcow_entry_clusters(const struct qcow_layout *lay, u64 raw, u64 guest_offset,
			u64 *first, u32 *nr, const char **fault)
{
	struct qcow_entry e;
	int err;

	*first = 0;
	*nr = 0;
	/* Without refcounts no cluster is ever freed. */
	if (!qcow_layout_has_refcounts(lay))
		return 0;
	/* An entry refers to its cluster with any subclusters. */
	err = qcow_entry_l2(lay, raw, 0, guest_offset, &e);
	if (err) {
		*fault = e.fault;
		return err;
	}
	if (lay->data_file)
		return 0;
	*first = e.host_offset >> lay->cluster_bits;
	if (e.type == QCOW_EXTENT_COMPRESSED)
		*nr = ((e.host_offset + e.csize - 1) >> lay->cluster_bits) - *first + 1;
	else if (e.mapped)
		*nr = 1;
	return 0;
}

/* --- Changing L2 entries --- */

/* Subclusters of [@guest_offset, @guest_offset + @len), which is inside one cluster. */
static u32 subcluster_mask(const struct qcow_layout *lay, u64 guest_offset, u64 len)
{
	u32 first = (guest_offset & ((1ULL << lay->cluster_bits) - 1)) >> lay->grain_bits;
	u32 nr = len >> lay->grain_bits;

	return (u32)GENMASK_ULL(first + nr - 1, first);
}

/**
 * qcow_entry_data() - make the entry of a cluster that gets data
 * @lay: the image's layout
 * @old: its old entry
 * @guest_offset: guest offset of the data
 * @len: bytes of data, whole grains inside one cluster
 * @host_offset: host offset of the data
 *
 * With extended L2 entries the rest of the cluster keeps its content: the caller has
 * put it into the same host cluster, or it is no data.
 *
 * Return: the new entry.
 */
struct qcow_l2_entry qcow_entry_data(const struct qcow_layout *lay,
				     struct qcow_l2_entry old, u64 guest_offset, u64 len,
				     u64 host_offset)
{
	u64 in_cluster = guest_offset & ((1ULL << lay->cluster_bits) - 1);
	struct qcow_l2_entry new = {
		.raw = host_offset - in_cluster,
	};
	u64 mask;

	if (lay->version == 1)
		return new;
	new.raw |= QCOW_DISK_E_COPIED;
	if (!lay->extended_l2)
		return new;
	mask = subcluster_mask(lay, guest_offset, len);
	if (!(old.raw & QCOW_DISK_L2E_COMPRESSED))
		new.bitmap = old.bitmap;
	new.bitmap &= ~(mask << 32);
	new.bitmap |= mask;
	return new;
}

/* As qcow_entry_zero(), for an extended entry. */
static int entry_zero_extended(const struct qcow_layout *lay, struct qcow_l2_entry old,
			       u64 guest_offset, u64 len, bool unmap,
			       struct qcow_l2_entry *new)
{
	u64 mask = subcluster_mask(lay, guest_offset, len);
	bool shared = !(old.raw & QCOW_DISK_E_COPIED);

	if (old.raw & QCOW_DISK_L2E_COMPRESSED) {
		if (len >> lay->cluster_bits == 0)
			return -EAGAIN;
		old.raw = 0;
		old.bitmap = 0;
	}
	new->raw = old.raw;
	new->bitmap = (old.bitmap | mask << 32) & ~mask;
	/* Without data the cluster is not needed. */
	if (!(u32)new->bitmap && (unmap || shared))
		new->raw = 0;
	return 0;
}

/**
 * qcow_entry_zero() - make the entry of a cluster that reads as zeros
 * @lay: the image's layout
 * @old: its old entry
 * @guest_offset: guest offset of the zeros
 * @len: bytes of zeros, inside one cluster: all of it, or whole subclusters
 * @unmap: release the host cluster; a shared or compressed one is released in any case
 * @new: the result
 *
 * Version 2 has no zero entries: the caller makes sure that there is no backing file.
 *
 * Return: 0, or -EAGAIN: no entry can express it, for a part of a compressed cluster,
 * or in version 1.
 */
int qcow_entry_zero(const struct qcow_layout *lay, struct qcow_l2_entry old,
		    u64 guest_offset, u64 len, bool unmap, struct qcow_l2_entry *new)
{
	bool own = old.raw & QCOW_DISK_E_COPIED &&
		   !(old.raw & QCOW_DISK_L2E_COMPRESSED);

	if (lay->version == 1)
		return -EAGAIN;
	if (lay->extended_l2)
		return entry_zero_extended(lay, old, guest_offset, len, unmap, new);
	new->bitmap = 0;
	if (lay->version < 3)
		new->raw = 0;
	else if (own && !unmap)
		new->raw = old.raw | QCOW_DISK_L2E_ZERO;
	else
		new->raw = QCOW_DISK_L2E_ZERO;
	return 0;
}

/* --- Snapshots --- */

/**
 * qcow_entry_snapshot() - decode the fixed part of a snapshot's entry
 * @lay: the image's layout
 * @disk: the fixed part on disk
 * @extra: the bytes that follow it on disk; only its extra data is used
 * @s: the result
 *
 * Return: 0, or -EUCLEAN if it is damaged.
 */
int qcow_entry_snapshot(const struct qcow_layout *lay,
			const struct qcow_disk_snapshot *disk,
			const struct qcow_disk_snapshot_extra *extra,
			struct qcow_snapshot *s)
{
	u32 extra_len = be32_to_cpu(disk->extra_data_size);

	s->l1_table_offset = be64_to_cpu(disk->l1_table_offset);
	s->l1_size = be32_to_cpu(disk->l1_size);
	if (extra_len > QCOW_DISK_MAX_SNAPSHOT_EXTRA ||
	    s->l1_size > QCOW_DISK_MAX_L1_BYTES / sizeof(u64) ||
	    !qcow_layout_aligned(lay, s->l1_table_offset) || s->l1_table_offset > S64_MAX / 2)
		return -EUCLEAN;
	s->vm_state_size = be32_to_cpu(disk->vm_state_size);
	s->vm_clock = be64_to_cpu(disk->vm_clock_nsec);
	s->date_sec = be32_to_cpu(disk->date_sec);
	s->date_nsec = be32_to_cpu(disk->date_nsec);
	s->disk_size = 0;
	s->icount = ~0ULL;
	if (extra_len >= sizeof(extra->vm_state_size))
		s->vm_state_size = be64_to_cpu(extra->vm_state_size);
	if (extra_len >= QCOW_DISK_MIN_SNAPSHOT_EXTRA)
		s->disk_size = be64_to_cpu(extra->disk_size) & ~511ULL;
	if (extra_len >= sizeof(*extra))
		s->icount = be64_to_cpu(extra->icount);
	s->id_len = be16_to_cpu(disk->id_str_size);
	s->name_len = be16_to_cpu(disk->name_size);
	s->id_in_entry = sizeof(*disk) + extra_len;
	s->entry_bytes = (s->id_in_entry + s->id_len + s->name_len + 7) & ~7U;
	return 0;
}

/**
 * qcow_entry_snapshot_bytes() - get the length of the entry of a new snapshot
 * @s: id_len and name_len are set
 *
 * Return: bytes.
 */
u32 qcow_entry_snapshot_bytes(const struct qcow_snapshot *s)
{
	u32 fixed = sizeof(struct qcow_disk_snapshot) +
		    QCOW_DISK_MIN_SNAPSHOT_EXTRA;

	return (fixed + s->id_len + s->name_len + 7) & ~7U;
}

/**
 * qcow_entry_put_snapshot() - encode the entry of a new snapshot
 * @s: all is set except @s->id_in_entry, @s->entry_bytes and @s->icount
 * @id: its id
 * @name: its name
 * @buf: qcow_entry_snapshot_bytes() of memory
 */
void qcow_entry_put_snapshot(const struct qcow_snapshot *s, const char *id,
			     const char *name, void *buf)
{
	struct qcow_disk_snapshot disk = {
		.l1_table_offset = cpu_to_be64(s->l1_table_offset),
		.l1_size = cpu_to_be32(s->l1_size),
		.id_str_size = cpu_to_be16(s->id_len),
		.name_size = cpu_to_be16(s->name_len),
		.date_sec = cpu_to_be32(s->date_sec),
		.date_nsec = cpu_to_be32(s->date_nsec),
		.vm_clock_nsec = cpu_to_be64(s->vm_clock),
		.extra_data_size = cpu_to_be32(QCOW_DISK_MIN_SNAPSHOT_EXTRA),
	};
	struct qcow_disk_snapshot_extra extra = {
		.vm_state_size = cpu_to_be64(s->vm_state_size),
		.disk_size = cpu_to_be64(s->disk_size),
	};
	u8 *at = buf;

	memset(at, 0, qcow_entry_snapshot_bytes(s));
	memcpy(at, &disk, sizeof(disk));
	at += sizeof(disk);
	memcpy(at, &extra, QCOW_DISK_MIN_SNAPSHOT_EXTRA);
	at += QCOW_DISK_MIN_SNAPSHOT_EXTRA;
	memcpy(at, id, s->id_len);
	memcpy(at + s->id_len, name, s->name_len);
}

/* --- Refcounts --- */

/**
 * qcow_entry_refcount() - decode a refcount
 * @block: a refcount block, or an aligned part of one
 * @order: log2 of the bits of a refcount, 0 to 6
 * @index: index of the refcount
 *
 * Section "Refcounts": widths below a byte begin with the low bits.
 *
 * Return: the refcount.
 */
u64 qcow_entry_refcount(const void *block, u32 order, u32 index)
{
	u32 bits = 1U << order;

	switch (order) {
	case 3:
		return ((const u8 *)block)[index];
	case 4:
		return be16_to_cpu(((const __be16 *)block)[index]);
	case 5:
		return be32_to_cpu(((const __be32 *)block)[index]);
	case 6:
		return be64_to_cpu(((const __be64 *)block)[index]);
	}
	return ((const u8 *)block)[index * bits / 8] >> (index * bits % 8) &
	       ((1U << bits) - 1);
}

/**
 * qcow_entry_set_refcount() - encode a refcount
 * @block: a refcount block, or an aligned part of one
 * @order: log2 of the bits of a refcount, 0 to 6
 * @index: index of the refcount
 * @value: up to qcow_entry_refcount_max()
 */
void qcow_entry_set_refcount(void *block, u32 order, u32 index, u64 value)
{
	u32 bits = 1U << order, shift;
	u8 *byte, mask;

	switch (order) {
	case 3:
		((u8 *)block)[index] = value;
		return;
	case 4:
		((__be16 *)block)[index] = cpu_to_be16(value);
		return;
	case 5:
		((__be32 *)block)[index] = cpu_to_be32(value);
		return;
	case 6:
		((__be64 *)block)[index] = cpu_to_be64(value);
		return;
	}
	shift = index * bits % 8;
	mask = ((1U << bits) - 1) << shift;
	byte = (u8 *)block + index * bits / 8;
	*byte = (*byte & ~mask) | (value << shift & mask);
}
