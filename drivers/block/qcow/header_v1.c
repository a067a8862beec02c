// SPDX-License-Identifier: GPL-2.0
/*
 * The header of qcow version 1: parse and validate. Pure: built into the module
 * and the tools.
 *
 * Limits are those of QEMU, but for the L1 table, which is limited as in qcow2.
 */
#include "header.h"

static int v1_check_geometry(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (h->size < QCOW_DISK_V1_MIN_SIZE)
		return qcow_fail(msg, -EINVAL, "damaged header: disk of %llu bytes is too small",
				 (unsigned long long)h->size);
	if (h->cluster_bits < QCOW_DISK_MIN_CLUSTER_BITS ||
	    h->cluster_bits > QCOW_DISK_V1_MAX_CLUSTER_BITS)
		return qcow_fail(msg, -EINVAL, "damaged header: cluster size 2^%u is out of range (2^9 to 2^16)",
				 h->cluster_bits);
	if (h->l2_bits < QCOW_DISK_V1_MIN_L2_BITS ||
	    h->l2_bits > QCOW_DISK_V1_MAX_L2_BITS)
		return qcow_fail(msg, -EINVAL, "damaged header: L2 tables of 2^%u entries are out of range (2^6 to 2^13)",
				 h->l2_bits);
	if (h->crypt_method > QCOW_DISK_CRYPT_AES)
		return qcow_fail(msg, -EOPNOTSUPP, "encryption method %u is not supported",
				 h->crypt_method);
	return 0;
}

/* The header tells no length of the L1 table: it is as long as the disk needs. */
static int v1_find_l1(struct qcow_header *h, u64 file_size,
		      struct qcow_msg *msg)
{
	u64 entries = ((h->size - 1) >> (h->cluster_bits + h->l2_bits)) + 1;
	u64 bytes = entries * sizeof(__be64);

	if (entries > QCOW_DISK_MAX_L1_BYTES / sizeof(__be64))
		return qcow_fail(msg, -EFBIG, "disk of %llu bytes is too large: its L1 table would have %llu entries",
				 (unsigned long long)h->size,
				 (unsigned long long)entries);
	h->l1_size = entries;
	if (h->l1_offset > S64_MAX - bytes)
		return qcow_fail(msg, -EINVAL, "damaged header: L1 table offset %#llx is out of range",
				 (unsigned long long)h->l1_offset);
	if (h->l1_offset >= file_size)
		return qcow_fail(msg, -EINVAL, "file is truncated: its L1 table at %#llx lies past its end (%llu bytes)",
				 (unsigned long long)h->l1_offset,
				 (unsigned long long)file_size);
	return 0;
}

/* The name may be anywhere in the file: userspace reads it. */
static int v1_find_backing(struct qcow_header *h,
			   const struct qcow_disk_v1_header *d, u64 file_size,
			   struct qcow_msg *msg)
{
	u64 offset = be64_to_cpu(d->backing_file_offset);
	u32 size = be32_to_cpu(d->backing_file_size);

	if (!offset)
		return 0;
	if (size > QCOW_DISK_MAX_BACKING_NAME)
		return qcow_fail(msg, -EINVAL, "damaged header: backing file name of %u bytes is too long",
				 size);
	if (size && offset < sizeof(*d))
		return qcow_fail(msg, -EINVAL, "damaged header: backing file name lies inside the header");
	if (size && (offset > file_size || size > file_size - offset))
		return qcow_fail(msg, -EINVAL, "file is truncated: it ends inside the backing file name");
	h->backing_offset = offset;
	h->backing_len = size;
	return 0;
}

/**
 * qcow_header_v1_parse() - parse and validate a header of qcow version 1
 * @h: the result; nothing in it is meaningful after a failure
 * @buf: the start of the file
 * @len: bytes at @buf, at least 48 unless the file is shorter
 * @file_size: size of the file in bytes
 * @msg: says why it failed
 *
 * Does not sleep. Return: as qcow_header_parse().
 */
int qcow_header_v1_parse(struct qcow_header *h, const void *buf, size_t len,
			 u64 file_size, struct qcow_msg *msg)
{
	const struct qcow_disk_v1_header *d = buf;
	int err;

	if (qcow_header_probe(buf, len) != 1)
		return qcow_fail(msg, -EINVAL, "not a qcow version 1 image; use -f qcow2 or -f raw");
	if (len < sizeof(*d))
		return qcow_fail(msg, -EINVAL, "file is truncated: it ends inside the qcow header");
	memset(h, 0, sizeof(*h));
	h->version = 1;
	h->header_length = sizeof(*d);
	h->cluster_bits = d->cluster_bits;
	h->l2_bits = d->l2_bits;
	h->crypt_method = be32_to_cpu(d->crypt_method);
	h->size = be64_to_cpu(d->size);
	h->l1_offset = be64_to_cpu(d->l1_table_offset);
	err = v1_check_geometry(h, msg);
	if (!err)
		err = v1_find_l1(h, file_size, msg);
	if (!err)
		err = v1_find_backing(h, d, file_size, msg);
	h->size &= ~511ULL;
	return err;
}

/* Whether the L1 table lies in some bytes of the file. */
static bool v1_l1_hits(const struct qcow_header *h, u64 offset, u64 len)
{
	return h->l1_offset < offset + len &&
	       offset < h->l1_offset + (u64)h->l1_size * sizeof(__be64);
}

/**
 * qcow_header_v1_writable() - can an image of version 1 be written?
 * @h: from qcow_header_v1_parse()
 * @msg: says why not
 *
 * Entries of the L1 table are written one by one: each must be inside a sector,
 * and none in what else the file begins with.
 *
 * Return: 0 or -EROFS.
 */
int qcow_header_v1_writable(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (!IS_ALIGNED(h->l1_offset, sizeof(__be64)))
		return qcow_fail(msg, -EROFS, "has an L1 table that is not aligned; attach it read-only with -r");
	if (v1_l1_hits(h, 0, h->header_length) ||
	    (h->backing_len && v1_l1_hits(h, h->backing_offset, h->backing_len)))
		return qcow_fail(msg, -EROFS, "has an L1 table that overlaps its header; attach it read-only with -r");
	return 0;
}
