// SPDX-License-Identifier: GPL-2.0
/*
 * L1 tables as a whole: writing one to new clusters, and replacing the active one. Jobs
 * call it: snapshots, resize, commit.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/header_write.h"
#include "meta/l1.h"
#include "meta/l2.h"
#include "meta/pause.h"
#include "meta/release.h"

/* Most bytes that are written at once. */
#define L1_STEP		SZ_64K

static int l1_store(struct qcow_alloc *a, const u64 *table, u32 size, u64 host_offset)
{
	u32 step = min_t(u32, L1_STEP / sizeof(u64), size), i, n, first;
	__be64 *disk;
	int err = 0;

	disk = kvmalloc_array(step, sizeof(*disk), GFP_NOIO);
	if (!disk)
		return -ENOMEM;
	for (first = 0; !err && first < size; first += n) {
		n = min(size - first, step);
		for (i = 0; i < n; i++)
			disk[i] = cpu_to_be64(table[first + i]);
		err = qcow_file_pwrite(&a->img->file, host_offset + first * sizeof(u64),
				       disk, n * sizeof(u64));
	}
	kvfree(disk);
	return err;
}

/**
 * qcow_l1_write() - write an L1 table to clusters of its own
 * @a: of the image
 * @kind: QCOW_META_L1 or QCOW_META_INACTIVE_L1
 * @table: its entries in the CPU's byte order
 * @size: entries, at least 1
 * @host_offset: out: host offset of the table
 *
 * Nothing refers to the table yet, and it is not synced.
 *
 * Context: may sleep.
 *
 * Return: 0; or an error, and no clusters are taken.
 */
int qcow_l1_write(struct qcow_alloc *a, enum qcow_meta kind, const u64 *table, u32 size,
		  u64 *host_offset)
{
	u32 nr = qcow_l1_clusters(a, size);
	u64 first;
	int err;

	err = qcow_alloc_run(a, kind, nr, &first);
	if (err)
		return err;
	*host_offset = first << qcow_alloc_cluster_bits(a);
	err = l1_store(a, table, size, *host_offset);
	if (err)
		qcow_release(a, first, nr);
	return err;
}

static int l1_set_header(struct qcow_alloc *a, u32 size, u64 host_offset, u64 disk_size)
{
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_header_set_l1(a, size, host_offset, disk_size);
	mutex_unlock(&a->store_lock);
	return err;
}

/*
 * Replace the table in memory. A flush that began with the old table must not go on
 * with the new one.
 */
static void l1_replace(struct qcow_alloc *a, u64 **table, u32 size, u64 host_offset,
		       u64 disk_size)
{
	struct qcow_image *img = a->img;

	mutex_lock(&a->store_lock);
	mutex_lock(&a->lock);
	__qcow_release(a, a->l1.host_offset >> qcow_alloc_cluster_bits(a),
		       qcow_l1_clusters(a, img->l1_size));
	swap(img->l1, *table);
	img->l1_size = size;
	img->size = disk_size;
	a->l1.host_offset = host_offset;
	a->l1.dirty = (struct qcow_dirty_range) { };
	qcow_l2_forget_empty(a);
	mutex_unlock(&a->lock);
	mutex_unlock(&a->store_lock);
}

/**
 * qcow_l1_prepare() - write an L1 table that will become the active one
 * @a: of the image
 * @table: its entries in the CPU's byte order; all clusters below it have a reference
 *	for it, and its L2 tables are registered
 * @size: entries, at least 1
 * @n: the result, for qcow_l1_publish() or qcow_l1_abandon()
 *
 * Flushes, and writes the table to clusters of its own. The image's I/O may go on.
 *
 * Context: may sleep.
 *
 * Return: 0; or an error, and @n need not be given back.
 */
int qcow_l1_prepare(struct qcow_alloc *a, const u64 *table, u32 size,
		    struct qcow_l1_new *n)
{
	int err;

	n->size = size;
	n->table = kvmalloc_array(size, sizeof(*n->table), GFP_NOIO);
	if (!n->table)
		return -ENOMEM;
	memcpy(n->table, table, size * sizeof(*n->table));
	err = qcow_l1_write(a, QCOW_META_L1, n->table, size, &n->host_offset);
	if (err) {
		kvfree(n->table);
		return err;
	}
	err = qcow_flush(a);
	if (err)
		qcow_l1_abandon(a, n);
	return err;
}

/**
 * qcow_l1_abandon() - release a table that does not become the active one
 * @a: of the image
 * @n: from qcow_l1_prepare()
 *
 * If the table may be the one in the header, it keeps its clusters.
 *
 * Context: may sleep.
 */
void qcow_l1_abandon(struct qcow_alloc *a, struct qcow_l1_new *n)
{
	if (!a->failed)
		qcow_release(a, n->host_offset >> qcow_alloc_cluster_bits(a),
			     qcow_l1_clusters(a, n->size));
	kvfree(n->table);
}

/*
 * Return: true if the disk's metadata is clean. Then a running flush need not be waited
 * for: it only writes refcounts of dropped references.
 */
static bool l1_flushed(struct qcow_alloc *a)
{
	bool clean;

	mutex_lock(&a->lock);
	clean = a->l1.dirty.lo >= a->l1.dirty.hi;
	mutex_unlock(&a->lock);
	return clean && !READ_ONCE(a->img->cache->nr_dirty) &&
	       !READ_ONCE(a->unsynced);
}

/**
 * qcow_l1_publish() - make a prepared table the active L1 table
 * @a: of the image
 * @n: from qcow_l1_prepare(); its entries cover @disk_size
 * @disk_size: new size of the disk in bytes
 *
 * One write of the header publishes it with the size; changes since it was prepared are
 * flushed before. The clusters of the old table are released, but not the clusters
 * below it.
 *
 * Context: no I/O of the image is under way or begins, since reads use the table
 * without a lock. May sleep.
 *
 * Return: 0: @n->table is the old table, which the caller frees by kvfree(); or an
 * error: the old table is active, in memory, and on disk as well unless a->failed is
 * set, and the caller gives @n to qcow_l1_abandon().
 */
int qcow_l1_publish(struct qcow_alloc *a, struct qcow_l1_new *n, u64 disk_size)
{
	int err = 0;

	if (!l1_flushed(a))
		err = qcow_flush(a);
	if (!err)
		err = l1_set_header(a, n->size, n->host_offset, disk_size);
	if (!err)
		l1_replace(a, &n->table, n->size, n->host_offset, disk_size);
	return err;
}

/**
 * qcow_l1_switch() - make another table the active L1 table
 * @a: of the image
 * @table: as for qcow_l1_prepare()
 * @size: entries, at least 1; they cover @disk_size
 * @disk_size: new size of the disk in bytes
 *
 * Does qcow_l1_prepare() and qcow_l1_publish().
 *
 * Context: as qcow_l1_publish().
 *
 * Return: 0; or an error: the old table is active, in memory, and on disk as well
 * unless a->failed is set.
 */
int qcow_l1_switch(struct qcow_alloc *a, const u64 *table, u32 size,
		   u64 disk_size)
{
	struct qcow_l1_new n;
	int err;

	err = qcow_l1_prepare(a, table, size, &n);
	if (err)
		return err;
	err = qcow_l1_publish(a, &n, disk_size);
	if (err)
		qcow_l1_abandon(a, &n);
	else
		kvfree(n.table);
	return err;
}

/* --- A larger table --- */

/* Copy the active table as it is on disk, with empty entries behind it. */
static int __l1_copy(struct qcow_alloc *a, u32 size, u64 host_offset)
{
	u64 bytes = (u64)size * sizeof(u64), in_table, n;
	u64 old = (u64)a->img->l1_size * sizeof(u64);
	u32 step = min_t(u64, L1_STEP, bytes);
	u8 *buf = kvmalloc(step, GFP_NOIO);
	int err = buf ? 0 : -ENOMEM;

	lockdep_assert_held(&a->store_lock);
	for (in_table = 0; !err && in_table < bytes; in_table += n) {
		n = min_t(u64, bytes - in_table, step);
		memset(buf, 0, n);
		if (in_table < old)
			err = qcow_file_pread(&a->img->file, a->l1.host_offset + in_table,
					      buf, min(n, old - in_table));
		if (!err)
			err = qcow_file_pwrite(&a->img->file, host_offset + in_table, buf,
					       n);
	}
	kvfree(buf);
	return err;
}

/*
 * Move the active table on disk. No flush runs meanwhile, so the copy is the same as
 * the old table. Changes in memory stay dirty, and go to the new table.
 */
static int __l1_move(struct qcow_alloc *a, u32 size, u64 host_offset)
{
	u64 old = a->l1.host_offset >> qcow_alloc_cluster_bits(a);
	int err;

	err = __l1_copy(a, size, host_offset);
	if (!err)
		err = __qcow_header_set_l1(a, size, host_offset, a->img->size);
	if (err)
		return err;
	mutex_lock(&a->lock);
	__qcow_release(a, old, qcow_l1_clusters(a, a->img->l1_size));
	a->l1.host_offset = host_offset;
	mutex_unlock(&a->lock);
	return 0;
}

static int l1_move(struct qcow_alloc *a, u32 size)
{
	u32 nr = qcow_l1_clusters(a, size);
	u64 first;
	int err;

	err = qcow_alloc_run(a, QCOW_META_L1, nr, &first);
	if (err)
		return err;
	err = qcow_flush(a);
	if (!err) {
		mutex_lock(&a->store_lock);
		err = __l1_move(a, size, first << qcow_alloc_cluster_bits(a));
		mutex_unlock(&a->store_lock);
	}
	if (err && !a->failed)
		qcow_release(a, first, nr);
	return err;
}

/**
 * qcow_l1_grow() - make the active L1 table larger
 * @a: of the image
 * @size: entries, more than now
 * @pause: holds the image's I/O up
 *
 * A larger copy of the table on disk is published while I/O goes on; I/O is held up
 * only while the table in memory is exchanged.
 *
 * Context: may sleep.
 *
 * Return: 0; or an error: the table is unchanged in memory, and on disk as well unless
 * a->failed is set, or it is larger on disk, which does no harm.
 */
int qcow_l1_grow(struct qcow_alloc *a, u32 size, struct qcow_pause *pause)
{
	struct qcow_image *img = a->img;
	u64 *table = kvcalloc(size, sizeof(*table), GFP_NOIO);
	int err;

	if (!table)
		return -ENOMEM;
	err = l1_move(a, size);
	if (!err)
		err = pause->stop(pause);
	if (err)
		goto free;
	mutex_lock(&a->lock);
	memcpy(table, img->l1, img->l1_size * sizeof(*table));
	swap(img->l1, table);
	img->l1_size = size;
	qcow_l2_forget_empty(a);
	mutex_unlock(&a->lock);
	pause->go(pause);
free:
	kvfree(table);
	return err;
}
