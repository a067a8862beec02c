// SPDX-License-Identifier: GPL-2.0
/*
 * L1 tables as a whole: one that is written to a new place, and another one that
 * becomes the active table.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "commit.h"
#include "l1.h"
#include "release.h"

/* What is written at once. */
#define L1_STEP		(64U << 10)

/* The fields of the header that say how large the disk is and where it lies. */
struct l1_fields {
	__be64 size;
	__be32 crypt_method;
	__be32 l1_size;
	__be64 l1_table_offset;
} __packed;

#define L1_FIELDS	offsetof(struct qcow_disk_header, size)

static_assert(sizeof(struct l1_fields) ==
	      offsetofend(struct qcow_disk_header, l1_table_offset) - L1_FIELDS);

static int l1_store(struct qcow_alloc *a, const u64 *table, u32 size, u64 offset)
{
	u32 step = min_t(u32, L1_STEP / sizeof(u64), size), i, n, from;
	__be64 *disk;
	int err = 0;

	disk = kvmalloc_array(step, sizeof(*disk), GFP_NOIO);
	if (!disk)
		return -ENOMEM;
	for (from = 0; !err && from < size; from += n) {
		n = min(size - from, step);
		for (i = 0; i < n; i++)
			disk[i] = cpu_to_be64(table[from + i]);
		err = qcow_file_pwrite(&a->img->file,
				       offset + from * sizeof(u64), disk,
				       n * sizeof(u64));
	}
	kvfree(disk);
	return err;
}

/**
 * qcow_l1_write() - write an L1 table to clusters of its own
 * @a: of the image
 * @kind: QCOW_META_L1 or QCOW_META_INACTIVE_L1
 * @table: in the CPU's byte order
 * @size: entries, at least 1
 * @offset: the result: bytes into the file
 *
 * Nothing refers to it yet, and it is not synced. May sleep.
 * Return: 0 or an error; then it takes no space.
 */
int qcow_l1_write(struct qcow_alloc *a, enum qcow_meta kind, const u64 *table,
		  u32 size, u64 *offset)
{
	u32 nr = qcow_l1_clusters(a, size);
	u64 first;
	int err;

	err = qcow_alloc_run(a, kind, nr, &first);
	if (err)
		return err;
	*offset = first << qcow_alloc_cluster_bits(a);
	err = l1_store(a, table, size, *offset);
	if (err)
		qcow_release(a, first, nr);
	return err;
}

/* One write of the header makes it the active table. */
static int l1_publish(struct qcow_alloc *a, u32 size, u64 offset, u64 disk_size)
{
	struct l1_fields f;
	int err;

	err = qcow_file_pread(&a->img->file, L1_FIELDS, &f, sizeof(f));
	if (err)
		return err;
	/* What QEMU rounds down stays as it is. */
	if (disk_size != a->img->size)
		f.size = cpu_to_be64(disk_size);
	f.l1_size = cpu_to_be32(size);
	f.l1_table_offset = cpu_to_be64(offset);
	return qcow_commit_header(a, L1_FIELDS, &f, sizeof(f));
}

/* No commit that began with the old table may go on with the new one. */
static void l1_replace(struct qcow_alloc *a, u64 **table, u32 size, u64 offset,
		       u64 disk_size)
{
	struct qcow_image *img = a->img;

	mutex_lock(&a->store_lock);
	mutex_lock(&a->lock);
	__qcow_release(a, a->l1_offset >> qcow_alloc_cluster_bits(a),
		       qcow_l1_clusters(a, img->l1_size));
	swap(img->l1, *table);
	img->l1_size = size;
	img->size = disk_size;
	a->l1_offset = offset;
	a->l1_dirty = (struct qcow_dirty_range) { };
	mutex_unlock(&a->lock);
	mutex_unlock(&a->store_lock);
}

/**
 * qcow_l1_switch() - make another table the active L1 table
 * @a: of the image
 * @table: in the CPU's byte order; what it leads to is counted for it, and
 *	remembered as metadata as far as it is that
 * @size: entries, at least 1; they cover @disk_size
 * @disk_size: bytes of the disk from then on
 *
 * All that is in memory is committed; the table goes to clusters of its own, and
 * one write of the header publishes it with the size. The clusters of the old
 * table are released, but not what it leads to.
 *
 * Context: no I/O of the image is under way or begins, for readers use the table
 * without a lock. May sleep.
 *
 * Return: 0; or an error: the old table is the active one, in memory, and on disk
 * as well unless a->failed is set.
 */
int qcow_l1_switch(struct qcow_alloc *a, const u64 *table, u32 size,
		   u64 disk_size)
{
	u64 offset, *copy;
	int err;

	copy = kvmalloc_array(size, sizeof(*copy), GFP_NOIO);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, table, size * sizeof(*copy));
	err = qcow_l1_write(a, QCOW_META_L1, copy, size, &offset);
	if (err)
		goto free;
	err = qcow_commit(a);
	if (!err)
		err = l1_publish(a, size, offset, disk_size);
	if (!err)
		l1_replace(a, &copy, size, offset, disk_size);
	else if (!a->failed)
		qcow_release(a, offset >> qcow_alloc_cluster_bits(a),
			     qcow_l1_clusters(a, size));
free:
	kvfree(copy);
	return err;
}
