// SPDX-License-Identifier: GPL-2.0
/*
 * The header of qcow version 1: parse and validate. header.c calls it. Pure: no I/O, no
 * allocation.
 *
 * The limits are QEMU's, with two more: parts of a header must not overlap, and a table
 * must not be larger than in qcow2.
 */
#include "ondisk/header.h"

/* The backing file's name follows the header within these bytes. */
#define V1_HEADER_AREA	BIT(QCOW_DISK_V1_MAX_CLUSTER_BITS)

static int v1_check_geometry(const struct qcow_disk_v1_header *d,
			     struct qcow_msg *msg)
{
	if (d->cluster_bits < QCOW_DISK_MIN_CLUSTER_BITS ||
	    d->cluster_bits > QCOW_DISK_V1_MAX_CLUSTER_BITS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: cluster size 2^%u is out of range (2^9 to 2^16)",
				    d->cluster_bits);
	if (d->l2_bits < QCOW_DISK_V1_MIN_L2_BITS ||
	    d->l2_bits > QCOW_DISK_V1_MAX_L2_BITS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: L2 tables of 2^%u entries are out of range (2^6 to 2^13)",
				    d->l2_bits);
	return 0;
}

/**
 * qcow_header_v1_bytes() - get the bytes of a version 1 image to parse
 * @buf: the start of the file, with the magic and the version
 * @len: bytes at @buf
 * @msg: says why it failed
 *
 * Context: any.
 *
 * Return: bytes, or -EINVAL.
 */
int qcow_header_v1_bytes(const void *buf, size_t len, struct qcow_msg *msg)
{
	int err;

	if (len < QCOW_DISK_V1_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the qcow header");
	err = v1_check_geometry(buf, msg);
	return err ? err : (int)V1_HEADER_AREA;
}

static void v1_load(struct qcow_header *h, const struct qcow_disk_v1_header *d)
{
	memset(h, 0, sizeof(*h));
	h->version = 1;
	h->cluster_bits = d->cluster_bits;
	h->l2_bits = d->l2_bits;
	h->crypt_method = be32_to_cpu(d->crypt_method);
	h->size = be64_to_cpu(d->size);
	h->l1_table_offset = be64_to_cpu(d->l1_table_offset);
	h->header_length = QCOW_DISK_V1_HEADER_LENGTH;
}

static int v1_check_size(struct qcow_header *h, struct qcow_msg *msg)
{
	u32 shift = h->cluster_bits + h->l2_bits;
	u64 entries, most = QCOW_DISK_MAX_L1_BYTES / sizeof(__be64);

	if (h->size < 2)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: disk of %llu bytes is too small (at least 2)",
				    (unsigned long long)h->size);
	entries = ((h->size - 1) >> shift) + 1;
	if (entries > most)
		return qcow_fail(msg, -EFBIG, "disk of %llu bytes is too large for this cluster size (at most %llu)",
				 (unsigned long long)h->size,
				 (unsigned long long)(most << shift));
	h->l1_size = entries;
	return 0;
}

static int v1_check_backing(struct qcow_header *h,
			    const struct qcow_disk_v1_header *d, size_t len,
			    struct qcow_msg *msg)
{
	u64 host_offset = be64_to_cpu(d->backing_file_offset);
	u32 size = be32_to_cpu(d->backing_file_size);

	if (!host_offset || !size)
		return 0;
	if (size > QCOW_DISK_MAX_BACKING_NAME)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name of %u bytes is too long",
				    size);
	if (host_offset < QCOW_DISK_V1_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name lies inside the header");
	if (host_offset > V1_HEADER_AREA - size)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name at %#llx lies too far from it",
				    (unsigned long long)host_offset);
	if (host_offset + size > len)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the backing file name");
	if (memchr((const char *)d + host_offset, 0, size))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name holds a NUL byte");
	h->backing_in_header = host_offset;
	h->backing_len = size;
	return 0;
}

/* The table is aligned to its entries only. */
static int v1_check_l1(const struct qcow_header *h, u64 file_size,
		       struct qcow_msg *msg)
{
	u64 bytes = (u64)h->l1_size * sizeof(__be64);
	u64 name_end = h->backing_in_header + h->backing_len;

	if (!IS_ALIGNED(h->l1_table_offset, sizeof(__be64)))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: L1 table offset %#llx is not aligned",
				    (unsigned long long)h->l1_table_offset);
	if (h->l1_table_offset < QCOW_DISK_V1_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: L1 table lies inside the header");
	if (h->l1_table_offset > S64_MAX - bytes)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: L1 table offset %#llx is out of range",
				    (unsigned long long)h->l1_table_offset);
	if (h->backing_len && h->l1_table_offset < name_end &&
	    h->backing_in_header < h->l1_table_offset + bytes)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: L1 table and backing file name overlap");
	if (h->l1_table_offset >= file_size)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED_TABLE, -EINVAL, "file is truncated: its L1 table at %#llx lies past its end (%llu bytes)",
				    (unsigned long long)h->l1_table_offset,
				    (unsigned long long)file_size);
	return 0;
}

/**
 * qcow_header_v1_parse() - parse and validate the header of a version 1 image
 * @h: the result; nothing in it is meaningful after a failure
 * @buf: the start of the file: qcow_header_v1_bytes(), or the whole file if
 *	shorter
 * @len: bytes at @buf
 * @file_size: size of the file in bytes
 * @msg: says why it failed
 *
 * Context: any.
 *
 * Return: as qcow_header_parse().
 */
int qcow_header_v1_parse(struct qcow_header *h, const void *buf, size_t len,
			 u64 file_size, struct qcow_msg *msg)
{
	const struct qcow_disk_v1_header *d = buf;
	int err;

	err = qcow_header_v1_bytes(buf, len, msg);
	if (err < 0)
		return err;
	v1_load(h, d);
	if (h->crypt_method > QCOW_DISK_CRYPT_AES)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "encryption method %u is not supported",
				    h->crypt_method);
	err = v1_check_size(h, msg);
	if (!err)
		err = v1_check_backing(h, d, len, msg);
	if (!err)
		err = v1_check_l1(h, file_size, msg);
	h->size &= ~511ULL;
	return err;
}
