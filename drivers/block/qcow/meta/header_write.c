// SPDX-License-Identifier: GPL-2.0
/*
 * Writing the header of an image that is attached for writing.
 *
 * This file makes all writes to the header, under qcow_alloc.store_lock, and each of
 * them in one of two orders of durability:
 *
 *	header_publish(): fields that lead to tables, or that bound the disk
 *		flush	the tables that the new fields lead to
 *		write	the fields, all in one sector and by one write
 *		flush	the fields; after that the caller may release the old tables
 *
 *	header_mark(): feature bits and extensions
 *		write	the bytes
 *		flush	the bytes, before the next step relies on them
 *
 * A power cut leaves the old fields or the new ones, and the image is right with either.
 * If a write fails, header_publish() puts the old fields back. If that fails as well, or
 * if a flush fails, nobody knows which fields are on disk: qcow_alloc.failed is set, and
 * no metadata is written any more.
 *
 * Sections "Header" and "Header extensions" of the specification.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/header_write.h"
#include "meta/writeback.h"
#include "ondisk/header.h"

/* Bytes of fields, or of an extension's data, that are written at once, at most. */
#define HEADER_MAX_FIELDS	32

#define header_offset(field)	offsetof(struct qcow_disk_header, field)

/* --- The two orders of durability --- */

static int header_unknown(struct qcow_alloc *a, int err)
{
	a->failed = -EIO;
	pr_err("%s: its header could not be written: error %d; flushes fail from now on\n",
	       a->img->label, err);
	return -EIO;
}

/* Write @fields in place of @old. After an error @old is there again. */
static int header_replace(struct qcow_alloc *a, u32 host_offset, void *fields, void *old,
			  u32 len)
{
	struct qcow_file *f = &a->img->file;
	int err = qcow_file_pwrite(f, host_offset, fields, len), ret;

	if (!err)
		return 0;
	ret = qcow_file_pwrite(f, host_offset, old, len);
	if (ret)
		return header_unknown(a, ret);
	return __qcow_writeback_flush(a, f) ?: err;
}

/*
 * Return: 0: the fields are durable; or an error: the old fields are, unless a->failed
 * is set.
 */
static int header_publish(struct qcow_alloc *a, u32 host_offset, void *fields, u32 len)
{
	struct qcow_file *f = &a->img->file;
	u8 old[HEADER_MAX_FIELDS];
	int err;

	lockdep_assert_held(&a->store_lock);
	if (WARN_ON_ONCE(len > sizeof(old)))
		return -EINVAL;
	err = __qcow_writeback_over(a);
	if (!err)
		err = qcow_file_pread(f, host_offset, old, len);
	if (!err)
		err = __qcow_writeback_flush(a, f);
	if (!err)
		err = header_replace(a, host_offset, fields, old, len);
	return err ?: __qcow_writeback_flush(a, f);
}

/* Return: 0: the bytes are durable; or an error: they may be there or not. */
static int header_mark(struct qcow_alloc *a, u32 host_offset, void *bytes, u32 len)
{
	lockdep_assert_held(&a->store_lock);
	return qcow_file_pwrite(&a->img->file, host_offset, bytes, len) ?:
	       __qcow_writeback_flush(a, &a->img->file);
}

/* --- Fields --- */

/* The fields from the disk's size to the active L1 table, which change together. */
struct l1_fields {
	__be64 size;
	__be32 crypt_method;
	__be32 l1_size;
	__be64 l1_table_offset;
} __packed;

static_assert(sizeof(struct l1_fields) ==
	      offsetofend(struct qcow_disk_header, l1_table_offset) - header_offset(size));

/**
 * __qcow_header_set_l1() - publish an L1 table as the active one
 * @a: of the image
 * @entries: of the table
 * @host_offset: of the table, bytes into the file; it is written
 * @disk_size: bytes of the disk from then on
 *
 * The refcounts of all that the table leads to are durable.
 *
 * Context: under a->store_lock. May sleep.
 *
 * Return: 0: the table is durably the active one; or an error: the old table is,
 * unless a->failed is set.
 */
int __qcow_header_set_l1(struct qcow_alloc *a, u32 entries, u64 host_offset,
			 u64 disk_size)
{
	struct l1_fields f;
	int err;

	err = qcow_file_pread(&a->img->file, header_offset(size), &f, sizeof(f));
	if (err)
		return err;
	/* A size that is no multiple of 512 stays: the disk only shows less. */
	if (disk_size != a->img->size)
		f.size = cpu_to_be64(disk_size);
	f.l1_size = cpu_to_be32(entries);
	f.l1_table_offset = cpu_to_be64(host_offset);
	return header_publish(a, header_offset(size), &f, sizeof(f));
}

/**
 * __qcow_header_set_refcount_table() - publish a refcount table
 * @a: of the image
 * @host_offset: of the table, bytes into the file; it and its blocks are written
 * @clusters: of the table
 *
 * Context: under a->store_lock. May sleep.
 *
 * Return: 0: the table is durably the refcount table; or an error: the old table is,
 * unless a->failed is set.
 */
int __qcow_header_set_refcount_table(struct qcow_alloc *a, u64 host_offset,
				     u32 clusters)
{
	struct {
		__be64 host_offset;
		__be32 clusters;
	} __packed fields = { cpu_to_be64(host_offset), cpu_to_be32(clusters) };

	static_assert(header_offset(refcount_table_clusters) ==
		      header_offset(refcount_table_offset) + 8);
	return header_publish(a, header_offset(refcount_table_offset), &fields,
			      sizeof(fields));
}

/**
 * qcow_header_set_size() - publish another size of the disk
 * @a: of the image
 * @disk_size: bytes, which the L1 table covers; the disk is flushed up to there
 *
 * Context: takes a->store_lock. May sleep.
 *
 * Return: 0: the size is durable; or an error: the old size is, unless a->failed is set.
 */
int qcow_header_set_size(struct qcow_alloc *a, u64 disk_size)
{
	__be64 field = cpu_to_be64(disk_size);
	int err;

	mutex_lock(&a->store_lock);
	err = header_publish(a, header_offset(size), &field, sizeof(field));
	mutex_unlock(&a->store_lock);
	return err;
}

/**
 * qcow_header_set_snapshots() - publish a snapshot table
 * @a: of the image
 * @nr: entries of the table
 * @host_offset: of the table, bytes into the file; it is written
 *
 * The refcounts of all that the table leads to are durable.
 *
 * Context: takes a->store_lock. May sleep.
 *
 * Return: 0: the table is durably the snapshot table; or an error: the old table is,
 * unless a->failed is set.
 */
int qcow_header_set_snapshots(struct qcow_alloc *a, u32 nr, u64 host_offset)
{
	struct {
		__be32 nr;
		__be64 host_offset;
	} __packed fields = { cpu_to_be32(nr), cpu_to_be64(host_offset) };
	int err;

	static_assert(header_offset(snapshots_offset) == header_offset(nb_snapshots) + 4);
	mutex_lock(&a->store_lock);
	err = header_publish(a, header_offset(nb_snapshots), &fields, sizeof(fields));
	mutex_unlock(&a->store_lock);
	return err;
}

/**
 * qcow_header_drop_backing() - have the header name no backing file
 * @a: of the image, of any version; it has all data of the backing file, durably
 *
 * Context: takes a->store_lock. May sleep.
 *
 * Return: 0: durably no backing file is named; or an error: it still is, unless
 * a->failed is set.
 */
int qcow_header_drop_backing(struct qcow_alloc *a)
{
	struct {
		__be64 host_offset;
		__be32 size;
	} __packed none = { };
	int err;

	static_assert(header_offset(backing_file_size) ==
		      header_offset(backing_file_offset) + 8);
	static_assert(header_offset(backing_file_offset) ==
		      offsetof(struct qcow_disk_v1_header, backing_file_offset));
	mutex_lock(&a->store_lock);
	err = header_publish(a, header_offset(backing_file_offset), &none, sizeof(none));
	mutex_unlock(&a->store_lock);
	return err;
}

/* --- Feature bits --- */

/**
 * __qcow_header_set_features() - set and clear feature bits
 * @a: of the image
 * @field: the bits' field
 * @set: bits to set
 * @clear: bits to clear
 *
 * Versions before 3 have no such bits: nothing is done. Neither is anything if all bits
 * are as they should be.
 *
 * Context: under a->store_lock. May sleep.
 *
 * Return: 0: the bits are durably so; or the file's error.
 */
int __qcow_header_set_features(struct qcow_alloc *a, enum qcow_feature_field field,
			       u64 set, u64 clear)
{
	u32 host_offset = header_offset(incompatible_features) + field * sizeof(__be64);
	__be64 old, new;
	int err;

	if (a->img->layout.version < 3)
		return 0;
	err = qcow_file_pread(&a->img->file, host_offset, &old, sizeof(old));
	if (err)
		return err;
	new = (old & ~cpu_to_be64(clear)) | cpu_to_be64(set);
	return new == old ? 0 : header_mark(a, host_offset, &new, sizeof(new));
}

/**
 * qcow_header_set_features() - set and clear feature bits
 * @a: as of __qcow_header_set_features()
 * @field: likewise
 * @set: likewise
 * @clear: likewise
 *
 * Context: takes a->store_lock. May sleep.
 *
 * Return: as __qcow_header_set_features().
 */
int qcow_header_set_features(struct qcow_alloc *a, enum qcow_feature_field field,
			     u64 set, u64 clear)
{
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_header_set_features(a, field, set, clear);
	mutex_unlock(&a->store_lock);
	return err;
}

/* --- Extensions --- */

static int header_read(struct qcow_image *img, struct qcow_header *h, void *buf,
		       size_t len)
{
	int err = qcow_file_pread(&img->file, 0, buf, len);

	return err ?: qcow_header_parse(h, buf, len, qcow_file_size(&img->file), NULL);
}

/* Make room for @need bytes from the mark behind the last extension on. */
static int extension_make_room(struct qcow_alloc *a, const struct qcow_header *h,
			       void *buf, u32 need)
{
	u32 cluster = 1U << h->cluster_bits, host_offset;
	__be64 on_disk;
	int err;

	if (!h->extensions_end || h->extensions_end % 8)
		return -ENOSPC;
	if (h->extensions_end + need <= (h->backing_in_header ?: cluster))
		return 0;
	if (!h->backing_in_header)
		return -ENOSPC;
	/* The backing file's name moves to behind the place where it is. */
	host_offset = max(h->extensions_end + need, h->backing_in_header + h->backing_len);
	host_offset = round_up(host_offset, 8);
	if (host_offset + h->backing_len > cluster)
		return -ENOSPC;
	err = header_mark(a, host_offset, buf + h->backing_in_header, h->backing_len);
	if (err)
		return err;
	on_disk = cpu_to_be64(host_offset);
	return header_mark(a, header_offset(backing_file_offset), &on_disk,
			   sizeof(on_disk));
}

/* Find the place of another extension with @need bytes, and make room there. */
static int extension_place(struct qcow_alloc *a, u32 need, u32 *host_offset)
{
	size_t cluster = 1UL << qcow_alloc_cluster_bits(a);
	struct qcow_header h;
	void *buf;
	int err;

	buf = kvmalloc(cluster, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = header_read(a->img, &h, buf, cluster);
	if (!err)
		err = extension_make_room(a, &h, buf, need);
	kvfree(buf);
	if (!err)
		*host_offset = h.extensions_end;
	return err;
}

/* The mark that ends the extensions becomes another one, with a new mark behind it. */
static int extension_add(struct qcow_alloc *a, u32 type, const void *data, u32 len,
			 u32 *host_offset)
{
	u8 body[HEADER_MAX_FIELDS + sizeof(struct qcow_disk_extension)] = { };
	u32 bytes = round_up(len, 8) + sizeof(struct qcow_disk_extension);
	u32 mark_host_offset;
	struct qcow_disk_extension ext = { cpu_to_be32(type), cpu_to_be32(len) };
	int err;

	memcpy(body, data, len);
	err = extension_place(a, sizeof(ext) + bytes, &mark_host_offset);
	if (!err)
		err = header_mark(a, mark_host_offset + sizeof(ext), body, bytes);
	if (!err)
		err = header_mark(a, mark_host_offset, &ext, sizeof(ext));
	if (!err)
		*host_offset = mark_host_offset + sizeof(ext);
	return err;
}

/**
 * __qcow_header_put_extension() - write the data of a header extension
 * @a: of the image, which is of version 3
 * @type: QCOW_DISK_EXT_*
 * @data: as on disk; all that it leads to is durable
 * @len: bytes of it, HEADER_MAX_FIELDS at most; as many as the extension has already
 * @host_offset: bytes into the file of the data that the extension has, 0: there is
 *	no such extension yet, and one is added; the result: where @data is
 *
 * If qcow_header_torn() says so, the extension's feature bit is cleared before.
 *
 * Context: under a->store_lock. May sleep.
 *
 * Return: 0: @data is durable; -ENOSPC: the header's cluster has no room for it; or
 * another error, and the extension may be as it was or not.
 */
int __qcow_header_put_extension(struct qcow_alloc *a, u32 type, const void *data,
				u32 len, u32 *host_offset)
{
	u8 copy[HEADER_MAX_FIELDS];

	if (WARN_ON_ONCE(len > sizeof(copy)))
		return -EINVAL;
	if (!*host_offset)
		return extension_add(a, type, data, len, host_offset);
	memcpy(copy, data, len);
	return header_mark(a, *host_offset, copy, len);
}

/**
 * __qcow_header_drop_extension() - end the extensions before one of them
 * @a: of the image, which is of version 3
 * @len: bytes of the extension's data
 * @host_offset: bytes into the file of that data; the result: 0 if the extension is gone
 *
 * If another extension follows, the extension stays. Its feature bit was cleared, so
 * it counts for nothing.
 *
 * Context: under a->store_lock. May sleep.
 *
 * Return: 0, or the file's error.
 */
int __qcow_header_drop_extension(struct qcow_alloc *a, u32 len, u32 *host_offset)
{
	u32 data_host_offset = *host_offset;
	struct qcow_disk_extension ext;
	int err;

	err = qcow_file_pread(&a->img->file, data_host_offset + round_up(len, 8), &ext,
			      sizeof(ext));
	if (err || ext.type || data_host_offset % 8)
		return err;
	memset(&ext, 0, sizeof(ext));
	err = header_mark(a, data_host_offset - sizeof(ext), &ext, sizeof(ext));
	if (!err)
		*host_offset = 0;
	return err;
}
