// SPDX-License-Identifier: GPL-2.0
/*
 * The qcow2 header: parse and validate. meta/fmt.c and the tools call it; header_v1.c
 * has version 1. Pure: no I/O, no allocation.
 *
 * Limits are those of the specification, or QEMU's where it has none. EFBIG: a table is
 * too large; EINVAL: the header is malformed; EOPNOTSUPP: it is valid, but not
 * supported.
 */
#include "ondisk/header.h"

u32 qcow_header_probe(const void *buf, size_t len)
{
	const struct qcow_disk_header *d = buf;

	if (len < QCOW_HEADER_PROBE_BYTES ||
	    be32_to_cpu(d->magic) != QCOW_DISK_MAGIC)
		return 0;
	return be32_to_cpu(d->version);
}

int qcow_header_cluster_size(const void *buf, size_t len, struct qcow_msg *msg)
{
	const struct qcow_disk_header *d = buf;
	u32 version, bits;

	if (len < QCOW_HEADER_PROBE_BYTES)
		return qcow_fail_as(msg, QCOW_MSG_FOREIGN, -EINVAL, "file is too short for a qcow2 header: truncated, or not a qcow2 image");
	if (be32_to_cpu(d->magic) != QCOW_DISK_MAGIC)
		return qcow_fail_as(msg, QCOW_MSG_FOREIGN, -EINVAL, "not a qcow2 image (no magic bytes)");
	version = be32_to_cpu(d->version);
	if (version == 1)
		return qcow_header_v1_bytes(buf, len, msg);
	if (version != 2 && version != 3)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "qcow2 version %u is not supported (only 1 to 3)",
				    version);

	if (len < QCOW_DISK_V2_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the qcow2 header");
	bits = be32_to_cpu(d->cluster_bits);
	if (bits < QCOW_DISK_MIN_CLUSTER_BITS ||
	    bits > QCOW_DISK_MAX_CLUSTER_BITS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: cluster size 2^%u is out of range (2^9 to 2^21)",
				    bits);
	return 1 << bits;
}

/* Section "Header": load the fields, without validation. */
static void header_load(struct qcow_header *h, const struct qcow_disk_header *d)
{
	memset(h, 0, sizeof(*h));
	h->version = be32_to_cpu(d->version);
	h->cluster_bits = be32_to_cpu(d->cluster_bits);
	h->crypt_method = be32_to_cpu(d->crypt_method);
	h->size = be64_to_cpu(d->size);
	h->l1_table_offset = be64_to_cpu(d->l1_table_offset);
	h->l1_size = be32_to_cpu(d->l1_size);
	h->refcount_table_offset = be64_to_cpu(d->refcount_table_offset);
	h->refcount_table_clusters = be32_to_cpu(d->refcount_table_clusters);
	h->nr_snapshots = be32_to_cpu(d->nb_snapshots);
	h->snapshots_offset = be64_to_cpu(d->snapshots_offset);
	h->refcount_order = 4;
	h->header_length = QCOW_DISK_V2_HEADER_LENGTH;
}

/* The fields that version 3 added. */
static int header_load_v3(struct qcow_header *h,
			  const struct qcow_disk_header *d, size_t len,
			  struct qcow_msg *msg)
{
	if (h->version < 3)
		return 0;
	if (len < QCOW_DISK_V3_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the qcow2 header");
	h->incompatible = be64_to_cpu(d->incompatible_features);
	h->compatible = be64_to_cpu(d->compatible_features);
	h->autoclear = be64_to_cpu(d->autoclear_features);
	h->refcount_order = be32_to_cpu(d->refcount_order);
	h->header_length = be32_to_cpu(d->header_length);
	if (h->header_length < QCOW_DISK_V3_HEADER_LENGTH)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: length %u is below %u",
				    h->header_length, QCOW_DISK_V3_HEADER_LENGTH);
	if (h->header_length > 1U << h->cluster_bits)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: length %u exceeds the cluster size",
				    h->header_length);
	if (h->header_length > len)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the qcow2 header");
	if (h->header_length > offsetof(struct qcow_disk_header, compression_type))
		h->compression = d->compression_type;
	return 0;
}

/* Check that a table is aligned and its end fits an offset. @code: the code if not. */
static int header_check_table(const struct qcow_header *h, const char *what,
			      u64 host_offset, u64 bytes, enum qcow_msg_code code,
			      struct qcow_msg *msg)
{
	u64 end;

	if (!IS_ALIGNED(host_offset, 1ULL << h->cluster_bits))
		return qcow_fail_as(msg, code, -EINVAL, "damaged header: %s offset %#llx is not cluster-aligned",
				    what, (unsigned long long)host_offset);
	if (check_add_overflow(host_offset, bytes, &end) || end > S64_MAX)
		return qcow_fail_as(msg, code, -EINVAL, "damaged header: %s offset %#llx is out of range",
				    what, (unsigned long long)host_offset);
	return 0;
}

/* A table with entries has to begin inside the file. */
static int header_check_inside(const char *what, u64 host_offset, u64 file_size,
			       struct qcow_msg *msg)
{
	if (host_offset < file_size)
		return 0;
	return qcow_fail_as(msg, QCOW_MSG_TRUNCATED_TABLE, -EINVAL, "file is truncated: its %s at %#llx lies past its end (%llu bytes)",
			    what, (unsigned long long)host_offset,
			    (unsigned long long)file_size);
}

static int header_check_refcounts(const struct qcow_header *h, u64 file_size,
				  struct qcow_msg *msg)
{
	u64 bytes = (u64)h->refcount_table_clusters << h->cluster_bits;
	int err;

	if (h->refcount_order > QCOW_DISK_MAX_REFCOUNT_ORDER)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED_TABLE, -EINVAL, "damaged header: refcount order %u is above %u",
				    h->refcount_order, QCOW_DISK_MAX_REFCOUNT_ORDER);
	if (!h->refcount_table_clusters)
		return qcow_advise(msg, -EINVAL, "damaged header: the image has no refcount table; repair it with qcowctl check --repair=all, or attach it with -r --salvage");
	if (bytes > QCOW_DISK_MAX_REFTABLE_BYTES)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED_TABLE, -EFBIG, "damaged header: refcount table is too large (%llu bytes)",
				    (unsigned long long)bytes);
	err = header_check_table(h, "refcount table", h->refcount_table_offset,
				 bytes, QCOW_MSG_DAMAGED_TABLE, msg);
	if (err)
		return err;
	return header_check_inside("refcount table", h->refcount_table_offset,
				   file_size, msg);
}

static u64 header_l1_need(const struct qcow_header *h)
{
	u32 shift = h->cluster_bits + qcow_header_l2_bits(h);

	return (h->size >> shift) + !!(h->size & ((1ULL << shift) - 1));
}

/* Check the size of the L1 table that the disk needs, and the table's offset. */
static int header_check_l1_place(const struct qcow_header *h, struct qcow_msg *msg)
{
	u64 bytes = (u64)h->l1_size * sizeof(__be64);

	if (bytes > QCOW_DISK_MAX_L1_BYTES)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED_TABLE, -EFBIG, "damaged header: L1 table is too large (%u entries)",
				    h->l1_size);
	if (header_l1_need(h) > QCOW_DISK_MAX_L1_BYTES / sizeof(__be64))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EFBIG, "damaged header: disk of %llu bytes is too large for this cluster size",
				    (unsigned long long)h->size);
	return header_check_table(h, "L1 table", h->l1_table_offset, bytes,
				  QCOW_MSG_DAMAGED, msg);
}

static int header_check_l1(const struct qcow_header *h, u64 file_size,
			   struct qcow_msg *msg)
{
	u64 bytes = (u64)h->l1_size * sizeof(__be64);
	int err;

	if (bytes <= QCOW_DISK_MAX_L1_BYTES && h->l1_size < header_l1_need(h))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED_TABLE, -EINVAL, "damaged header: L1 table of %u entries is too small for a disk of %llu bytes",
				    h->l1_size, (unsigned long long)h->size);
	err = header_check_l1_place(h, msg);
	if (err || !h->l1_size)
		return err;
	return header_check_inside("L1 table", h->l1_table_offset, file_size, msg);
}

static int header_check_snapshots(const struct qcow_header *h, u64 file_size,
				  struct qcow_msg *msg)
{
	u64 least = (u64)h->nr_snapshots * QCOW_DISK_MIN_SNAPSHOT_BYTES;
	int err;

	if (h->nr_snapshots > QCOW_DISK_MAX_SNAPSHOTS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED_TABLE, -EFBIG, "damaged header: too many snapshots (%u)",
				    h->nr_snapshots);
	err = header_check_table(h, "snapshot table", h->snapshots_offset,
				 least, QCOW_MSG_DAMAGED_TABLE, msg);
	if (err || !h->nr_snapshots)
		return err;
	return header_check_inside("snapshot table", h->snapshots_offset,
				   file_size, msg);
}

const char *qcow_header_compression_name(u32 type)
{
	static const char *const names[] = {
#define QCOW_COMPRESSION(nr, name) \
		[nr] = #name,
#include "ondisk/compression.h"
	};

	return type < ARRAY_SIZE(names) ? names[type] : NULL;
}

static int header_check_compression(const struct qcow_header *h,
				    struct qcow_msg *msg)
{
	bool bit = h->incompatible & QCOW_DISK_INCOMPAT_COMPRESSION;

	if (!qcow_header_compression_name(h->compression))
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "compression type %u is not supported",
				    h->compression);
	if (bit == !h->compression)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: compression type %u and its incompatible feature bit disagree",
				    h->compression);
	return 0;
}

static int header_check_crypt(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (h->crypt_method <= QCOW_DISK_CRYPT_LUKS)
		return 0;
	return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "encryption method %u is not supported",
			    h->crypt_method);
}

/*
 * Locate the name, inside the first cluster and behind the header. User space resolves
 * it.
 */
static int header_check_backing(struct qcow_header *h,
				const struct qcow_disk_header *d, size_t len,
				struct qcow_msg *msg)
{
	u64 host_offset = be64_to_cpu(d->backing_file_offset);
	u32 size = be32_to_cpu(d->backing_file_size);
	u64 cluster = 1ULL << h->cluster_bits;

	if (!host_offset)
		return 0;
	if (host_offset > cluster)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name at %#llx lies outside the first cluster",
				    (unsigned long long)host_offset);
	if (size > QCOW_DISK_MAX_BACKING_NAME || size > cluster - host_offset)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name of %u bytes is too long",
				    size);
	if (host_offset + size > len)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: it ends inside the backing file name");
	if (size && host_offset < h->header_length)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name lies inside the header");
	if (size && memchr((const char *)d + host_offset, 0, size))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing file name holds a NUL byte");
	h->backing_in_header = host_offset;
	h->backing_len = size;
	return 0;
}

/*
 * Copy a feature bit's name from the image's own table to @name. The image's author
 * wrote it, so only printable ASCII is copied.
 */
static void header_feature_name(const void *table, u32 len, u8 type, u8 bit,
				char *name, size_t size)
{
	const struct qcow_disk_feature_name *f = table;
	u32 n = len / sizeof(*f);
	size_t i;

	for (; n; n--, f++) {
		if (f->type != type || f->bit != bit)
			continue;
		for (i = 0; i < sizeof(f->name) && i + 1 < size && f->name[i]; i++)
			name[i] = f->name[i] >= ' ' && f->name[i] <= '~' ?
				  f->name[i] : '?';
		name[i] = 0;
		return;
	}
	snprintf(name, size, "unknown");
}

static int header_check_features(const struct qcow_header *h, const void *table,
				 u32 len, struct qcow_msg *msg)
{
	u64 unknown = h->incompatible & ~QCOW_DISK_INCOMPAT_KNOWN;
	char name[sizeof_field(struct qcow_disk_feature_name, name) + 1];
	char list[160] = "";
	size_t used = 0;
	u32 bit;

	if (!unknown)
		return 0;
	for (bit = 0; bit < 64; bit++) {
		if (!(unknown & BIT_ULL(bit)) || used >= sizeof(list) - 1)
			continue;
		header_feature_name(table, len, 0, bit, name, sizeof(name));
		used += snprintf(list + used, sizeof(list) - used, "%s%s (bit %u)",
				 used ? ", " : "", name, bit);
	}
	return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "unsupported incompatible features: %s",
			    list);
}

/* The feature name table, as header_walk_extensions() found it. */
struct header_features {
	const void *table;
	u32 len;
};

static void header_load_luks(struct qcow_header *h, const u8 *buf, u32 host_offset,
			     u32 len)
{
	struct qcow_disk_crypto_header d;

	h->luks_in_header = host_offset;
	h->luks_len = len;
	if (len != sizeof(d))
		return;
	memcpy(&d, buf + host_offset, sizeof(d));
	h->crypto_host_offset = be64_to_cpu(d.host_offset);
	h->crypto_length = be64_to_cpu(d.length);
}

static int header_extension(struct qcow_header *h, u32 type, const u8 *buf,
			    u32 host_offset, u32 len, struct header_features *features,
			    struct qcow_msg *msg)
{
	switch (type) {
	case QCOW_DISK_EXT_BACKING_FORMAT:
		if (len >= sizeof(h->backing_format))
			return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: backing format name of %u bytes is too long",
					    len);
		memcpy(h->backing_format, buf + host_offset, len);
		h->backing_format[len] = 0;
		break;
	case QCOW_DISK_EXT_FEATURE_NAMES:
		features->table = buf + host_offset;
		features->len = len;
		break;
	case QCOW_DISK_EXT_BITMAPS:
		h->bitmaps_in_header = host_offset;
		h->bitmaps_len = len;
		break;
	case QCOW_DISK_EXT_LUKS:
		header_load_luks(h, buf, host_offset, len);
		break;
	case QCOW_DISK_EXT_DATA_FILE:
		if (len > QCOW_DISK_MAX_BACKING_NAME)
			return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: data file name of %u bytes is too long",
					    len);
		if (memchr(buf + host_offset, 0, len))
			return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: data file name holds a NUL byte");
		h->data_name_in_header = host_offset;
		h->data_name_len = len;
		break;
	}
	return 0;
}

/*
 * Section "Header extensions": they end at the backing file's name or the cluster's
 * end.
 */
static int header_walk_extensions(struct qcow_header *h, const u8 *buf,
				  size_t len, struct header_features *features,
				  struct qcow_msg *msg)
{
	u64 end = h->backing_in_header ? h->backing_in_header : 1ULL << h->cluster_bits;
	u64 host_offset = h->header_length;
	struct qcow_disk_extension ext;
	u32 type, size;
	int err;

	if (end > len)
		end = len;
	while (host_offset + sizeof(ext) <= end) {
		memcpy(&ext, buf + host_offset, sizeof(ext));
		type = be32_to_cpu(ext.type);
		size = be32_to_cpu(ext.length);
		host_offset += sizeof(ext);
		if (size > end - host_offset)
			return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: extension %#x of %u bytes is too large",
					    type, size);
		if (type == QCOW_DISK_EXT_END) {
			h->extensions_end = host_offset - sizeof(ext);
			return 0;
		}
		err = header_extension(h, type, buf, host_offset, size, features, msg);
		if (err)
			return err;
		host_offset += ((u64)size + 7) & ~7ULL;
	}
	return 0;
}

static int header_check_geometry(const struct qcow_header *h,
				 struct qcow_msg *msg)
{
	bool extl2 = h->incompatible & QCOW_DISK_INCOMPAT_EXTL2;
	bool data_file = h->incompatible & QCOW_DISK_INCOMPAT_DATA_FILE;

	if (extl2 && h->cluster_bits < QCOW_DISK_MIN_EXTL2_CLUSTER_BITS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: extended L2 entries need clusters of 16 KiB or more");
	if (h->size > S64_MAX)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EFBIG, "damaged header: disk of %llu bytes is too large",
				    (unsigned long long)h->size);
	if (!data_file && h->autoclear & QCOW_DISK_AUTOCLEAR_DATA_RAW)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: it says how its data file reads, but that it has none");
	if (data_file && h->nr_snapshots)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: internal snapshots and an external data file exclude each other");
	return 0;
}

/*
 * Drop damaged fields that only writes need, and entries of the L1 table behind the
 * disk's end. @h: its tables are not checked yet.
 */
static void header_forget(struct qcow_header *h)
{
	u64 need = header_l1_need(h);

	if (header_check_refcounts(h, ~0ULL, NULL)) {
		h->refcount_table_offset = 0;
		h->refcount_table_clusters = 0;
	}
	if (header_check_snapshots(h, ~0ULL, NULL)) {
		h->snapshots_offset = 0;
		h->nr_snapshots = 0;
	}
	if (h->l1_size > need)
		h->l1_size = need;
}

static int header_check_tables(const struct qcow_header *h, u64 file_size,
			       struct qcow_msg *msg)
{
	int err = header_check_refcounts(h, file_size, msg);

	if (!err)
		err = header_check_snapshots(h, file_size, msg);
	if (!err)
		err = header_check_l1(h, file_size, msg);
	return err;
}

/* As qcow_header_parse(), for a qcow2 header, without checking its tables. */
static int header_parse_fields(struct qcow_header *h, const void *buf, size_t len,
			       struct qcow_msg *msg)
{
	const struct qcow_disk_header *d = buf;
	struct header_features features = { };
	int err;

	header_load(h, d);
	err = header_load_v3(h, d, len, msg);
	if (!err)
		err = header_check_backing(h, d, len, msg);
	if (!err)
		err = header_walk_extensions(h, buf, len, &features, msg);
	if (!err)
		err = header_check_features(h, features.table, features.len, msg);
	if (!err)
		err = header_check_compression(h, msg);
	if (!err)
		err = header_check_crypt(h, msg);
	return err ?: header_check_geometry(h, msg);
}

/**
 * qcow_header_parse() - parse and validate a qcow or qcow2 header
 * @h: the result; nothing in it is meaningful after a failure
 * @buf: the start of the file: qcow_header_cluster_size() bytes, or the whole file if
 *	that is shorter
 * @len: bytes at @buf
 * @file_size: size of the file in bytes
 * @msg: says why it failed
 *
 * Sections "Header" and "Header extensions" of the specification. Does not
 * sleep.
 *
 * Return: 0; -EINVAL: malformed or truncated; -EFBIG: a table beyond its limit;
 * -EOPNOTSUPP: valid, but of a version or with a feature not supported.
 */
int qcow_header_parse(struct qcow_header *h, const void *buf, size_t len,
		      u64 file_size, struct qcow_msg *msg)
{
	const struct qcow_disk_header *d = buf;
	int err;

	err = qcow_header_cluster_size(buf, len, msg);
	if (err < 0)
		return err;
	if (be32_to_cpu(d->version) == 1)
		return qcow_header_v1_parse(h, buf, len, file_size, msg);
	err = header_parse_fields(h, buf, len, msg);
	if (!err)
		err = header_check_tables(h, file_size, msg);
	h->size &= ~511ULL;
	return err;
}

/**
 * qcow_header_salvage() - parse the header of a damaged image for reading
 * @h: the result; nothing in it is meaningful after a failure. @h->l1_size may be too
 *	small for the disk
 * @buf: as for qcow_header_parse()
 * @len: bytes at @buf
 * @msg: says why it failed
 *
 * Tables may lie past the end of the file, and fields that only writes need may be
 * damaged. Does not sleep.
 *
 * Return: as qcow_header_parse().
 */
int qcow_header_salvage(struct qcow_header *h, const void *buf, size_t len,
			struct qcow_msg *msg)
{
	const struct qcow_disk_header *d = buf;
	int err;

	err = qcow_header_cluster_size(buf, len, msg);
	if (err < 0)
		return err;
	if (be32_to_cpu(d->version) == 1)
		return qcow_header_v1_parse(h, buf, len, ~0ULL, msg);
	err = header_parse_fields(h, buf, len, msg);
	if (err)
		return err;
	header_forget(h);
	err = header_check_l1_place(h, msg);
	h->size &= ~511ULL;
	return err;
}

static int header_check_luks(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (h->luks_len != sizeof(struct qcow_disk_crypto_header))
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: it is encrypted with LUKS, but does not lead to a LUKS header");
	if (!h->crypto_host_offset || !h->crypto_length)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: LUKS header is missing");
	if (h->crypto_length > QCOW_DISK_MAX_LUKS_HEADER)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EFBIG, "damaged header: LUKS header is too large (%llu bytes)",
				    (unsigned long long)h->crypto_length);
	return header_check_table(h, "LUKS header", h->crypto_host_offset,
				  h->crypto_length, QCOW_MSG_DAMAGED, msg);
}

/**
 * qcow_header_supported() - check that the driver can read the disk of a valid image
 * @h: from qcow_header_parse()
 * @msg: says why not
 *
 * This check is apart from parsing, so that tools can describe such an image all the
 * same.
 *
 * Return: 0, -EINVAL or -EFBIG.
 */
int qcow_header_supported(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (h->luks_in_header && h->crypt_method != QCOW_DISK_CRYPT_LUKS)
		return qcow_fail_as(msg, QCOW_MSG_DAMAGED, -EINVAL, "damaged header: it leads to a LUKS header, but the image is not encrypted with LUKS");
	if (h->crypt_method == QCOW_DISK_CRYPT_LUKS)
		return header_check_luks(h, msg);
	return 0;
}
