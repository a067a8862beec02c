// SPDX-License-Identifier: GPL-2.0
/*
 * The first cluster of a new image: its header, the header's extensions, and the name of
 * the backing file.
 */
#include <stdlib.h>

#include "create/new_header.h"
#include "lib/memory.h"

/* With clusters of that size and less, the names of features would need too much room. */
#define NO_FEATURE_NAMES	SZ_4K

/* The table for programs that do not know a feature of the image. */
static const struct qcow_disk_feature_name feature_names[] = {
	{ 0, 0, "dirty bit" },
	{ 0, 1, "corrupt bit" },
	{ 0, 2, "external data file" },
	{ 0, 3, "compression type" },
	{ 0, 4, "extended L2 entries" },
	{ 1, 0, "lazy refcounts" },
	{ 2, 0, "bitmaps" },
	{ 2, 1, "raw external data" },
};

/**
 * struct first_cluster - the first cluster as it is built
 * @buf: its bytes
 * @size: bytes of a cluster
 * @used: bytes that have their content
 */
struct first_cluster {
	char *buf;
	size_t size;
	size_t used;
};

/* Return: 0, or -ENOSPC: the cluster is full. */
static int add(struct first_cluster *c, const void *bytes, size_t len)
{
	if (c->size - c->used < len)
		return -ENOSPC;
	memcpy(c->buf + c->used, bytes, len);
	c->used += len;
	return 0;
}

static int add_extension(struct first_cluster *c, u32 type, const void *data, size_t len)
{
	const struct qcow_disk_extension e = {
		.type = cpu_to_be32(type),
		.length = cpu_to_be32(len),
	};
	size_t padded = ROUND_UP(len, (size_t)8);

	if (add(c, &e, sizeof(e)) || c->size - c->used < padded)
		return -ENOSPC;
	if (len)
		memcpy(c->buf + c->used, data, len);
	c->used += padded;
	return 0;
}

static int add_string(struct first_cluster *c, u32 type, const char *s)
{
	return s ? add_extension(c, type, s, strlen(s)) : 0;
}

static int add_luks(struct first_cluster *c, const struct new_luks *luks)
{
	const struct qcow_disk_crypto_header where = {
		.host_offset = cpu_to_be64(luks->host_offset),
		.length = cpu_to_be64(luks->len),
	};

	return luks->len ? add_extension(c, QCOW_DISK_EXT_LUKS, &where, sizeof(where)) : 0;
}

static int add_feature_names(struct first_cluster *c, const struct create_params *p)
{
	if (p->version < 3 || p->cluster_size <= NO_FEATURE_NAMES)
		return 0;
	return add_extension(c, QCOW_DISK_EXT_FEATURE_NAMES, feature_names,
			     sizeof(feature_names));
}

static int add_backing(struct first_cluster *c, const char *name)
{
	struct qcow_disk_header *h = (struct qcow_disk_header *)c->buf;

	if (!name)
		return 0;
	h->backing_file_offset = cpu_to_be64(c->used);
	h->backing_file_size = cpu_to_be32(strlen(name));
	return add(c, name, strlen(name));
}

static u64 incompatible(const struct create_params *p)
{
	return (p->data_file ? QCOW_DISK_INCOMPAT_DATA_FILE : 0) |
	       (p->compression ? QCOW_DISK_INCOMPAT_COMPRESSION : 0) |
	       (p->extended_l2 ? QCOW_DISK_INCOMPAT_EXTL2 : 0);
}

static int add_fields(struct first_cluster *c, const struct create_params *p,
		      const struct space *s, const struct tables *t)
{
	const struct qcow_disk_header h = {
		.magic = cpu_to_be32(QCOW_DISK_MAGIC),
		.version = cpu_to_be32(p->version),
		.cluster_bits = cpu_to_be32(s->cluster_bits),
		.size = cpu_to_be64(p->size),
		.crypt_method = cpu_to_be32(p->crypt_method),
		.l1_size = cpu_to_be32(t->l1_entries),
		.l1_table_offset = cpu_to_be64(t->l1_table_offset),
		.refcount_table_offset = cpu_to_be64(s->table_host_offset),
		.refcount_table_clusters =
			cpu_to_be32(s->entries * sizeof(__be64) >> s->cluster_bits),
		.incompatible_features = cpu_to_be64(incompatible(p)),
		.compatible_features =
			cpu_to_be64(p->lazy_refcounts ? QCOW_DISK_COMPAT_LAZY_REFCOUNTS : 0),
		.autoclear_features =
			cpu_to_be64(p->data_file_raw ? QCOW_DISK_AUTOCLEAR_DATA_RAW : 0),
		.refcount_order = cpu_to_be32(s->order),
		.header_length = cpu_to_be32(sizeof(h)),
		.compression_type = p->compression,
	};

	return add(c, &h, p->version < 3 ? QCOW_DISK_V2_HEADER_LENGTH : sizeof(h));
}

static int build(struct first_cluster *c, const struct create_params *p,
		 const struct space *s, const struct tables *t, const struct new_luks *luks)
{
	if (add_fields(c, p, s, t) ||
	    add_string(c, QCOW_DISK_EXT_BACKING_FORMAT, p->backing_format) ||
	    add_string(c, QCOW_DISK_EXT_DATA_FILE, p->data_file) ||
	    add_luks(c, luks) ||
	    add_feature_names(c, p) ||
	    add_extension(c, QCOW_DISK_EXT_END, NULL, 0) ||
	    add_backing(c, p->backing))
		return -ENOSPC;
	return 0;
}

/**
 * new_header_write() - write the first cluster of a new image
 * @p: properties of the image
 * @s: its space
 * @t: its tables
 * @luks: its LUKS header
 *
 * Return: 0; -ENAMETOOLONG: the cluster has no room for the names of files; or another
 * negative errno.
 */
int new_header_write(const struct create_params *p, struct space *s, const struct tables *t,
		     const struct new_luks *luks)
{
	struct first_cluster c = {
		.buf = xcalloc(1, p->cluster_size),
		.size = p->cluster_size,
	};
	int err = build(&c, p, s, t, luks);

	if (!err)
		err = space_write(s, c.buf, c.size, 0);
	else
		err = -ENAMETOOLONG;
	free(c.buf);
	return err;
}
