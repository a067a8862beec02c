// SPDX-License-Identifier: GPL-2.0
/*
 * Storing bitmaps: own, write, publish, release. bitmap_life.c and jobs/bitmap_ops.c
 * call it.
 *
 * Changed bits and tables and a new directory are written to new clusters. When all of
 * that is durable, one write of the header extension publishes the directory; then the
 * old clusters are released. Where a power cut could tear such a write, the autoclear
 * bit is off meanwhile. So after a power cut each bitmap is either marked in use, or
 * right.
 */
#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "meta/alloc.h"
#include "meta/bitmap.h"
#include "meta/bitmap_store.h"
#include "meta/flush.h"
#include "meta/header_write.h"
#include "meta/release.h"
#include "meta/writeback.h"

/* Most attempts to find clusters in a row. */
#define STORE_MAX_TRIES		4096

/* Most clusters of a bitmap that are written at once. */
#define STORE_MAX_RUN		256

static int store_sync(struct qcow_image *img)
{
	int err;

	mutex_lock(&img->alloc->store_lock);
	err = __qcow_writeback_flush(img->alloc, &img->file);
	mutex_unlock(&img->alloc->store_lock);
	return err;
}

/* --- The header --- */

/* Set or clear the autoclear bit, which says that the extension on disk is valid. */
static int __header_set_valid(struct qcow_image *img, bool valid)
{
	u64 bit = QCOW_DISK_AUTOCLEAR_BITMAPS;
	int err;

	err = __qcow_header_set_features(img->alloc, QCOW_FEATURES_AUTOCLEAR,
					 valid ? bit : 0, valid ? 0 : bit);
	if (!err)
		img->bitmaps->valid = valid;
	return err;
}

static int __header_publish(struct qcow_image *img,
			    const struct qcow_bitmap_dir *dir)
{
	struct qcow_bitmaps *all = img->bitmaps;
	struct qcow_disk_bitmaps disk;
	int err = 0;

	if (all->valid && (!dir->nr || qcow_header_torn(all->extension, sizeof(disk))))
		err = __header_set_valid(img, false);
	if (err)
		return err;
	if (!dir->nr)
		return __qcow_header_drop_extension(img->alloc, sizeof(disk),
						    &all->extension);
	qcow_bitdir_put_extension(&disk, dir);
	err = __qcow_header_put_extension(img->alloc, QCOW_DISK_EXT_BITMAPS, &disk,
					  sizeof(disk), &all->extension);
	if (!err && !all->valid)
		err = __header_set_valid(img, true);
	return err;
}

static int header_publish(struct qcow_image *img,
			  const struct qcow_bitmap_dir *dir)
{
	int err;

	mutex_lock(&img->alloc->store_lock);
	err = __header_publish(img, dir);
	mutex_unlock(&img->alloc->store_lock);
	return err;
}

/* --- Clusters --- */

static int store_note(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	int err;

	err = qcow_register_new(&a->reg, QCOW_META_BITMAP, first << bits,
				(u64)nr << bits);
	if (err)
		qcow_release(a, first, nr);
	return err;
}

/* Allocate @want clusters in a row. @host_offset: out: their host offset. */
static int store_alloc(struct qcow_alloc *a, u32 want, u64 *host_offset)
{
	u32 have = 0, got, tries;
	u64 first = 0, next;
	bool fresh;
	int err = 0;

	for (tries = 0; !err && have < want && tries < STORE_MAX_TRIES; tries++) {
		err = qcow_alloc_clusters(a, want - have, &next, &got, &fresh);
		if (err)
			break;
		if (have && first + have != next) {
			qcow_release(a, first, have);
			have = 0;
		}
		if (!have)
			first = next;
		have += got;
	}
	if (!err && have == want) {
		err = store_note(a, first, want);
		if (!err)
			*host_offset = first << qcow_alloc_cluster_bits(a);
		return err;
	}
	if (have)
		qcow_release(a, first, have);
	return err ?: -ENOSPC;
}

static void store_release(struct qcow_alloc *a, u64 host_offset, u64 bytes)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	if (host_offset)
		qcow_release(a, host_offset >> bits,
			     DIV_ROUND_UP_ULL(bytes, 1ULL << bits));
}

static void store_release_table(struct qcow_alloc *a, const u64 *table, u32 nr,
				u64 table_host_offset)
{
	u64 cluster;
	u32 i;

	for (i = 0; table && i < nr; i++) {
		cluster = table[i] & QCOW_DISK_BITMAP_E_OFFSET_MASK;
		store_release(a, cluster, 1);
	}
	store_release(a, table_host_offset, nr * sizeof(u64));
}

/**
 * __qcow_bitmap_release() - release the clusters of a bitmap
 * @img: the image
 * @b: the bitmap, which no directory on disk has any more
 *
 * Context: under the bitmaps' lock. May sleep.
 */
void __qcow_bitmap_release(struct qcow_image *img, struct qcow_bitmap *b)
{
	store_release_table(img->alloc, b->table, b->e.table_size,
			    b->e.table_host_offset);
}

/* --- One bitmap --- */

/* Return: number of clusters in a row from @i on that are not all zeros. */
static u32 store_run(const struct qcow_image *img, const struct qcow_bitmap *b,
		     u32 i)
{
	size_t cluster = 1UL << img->layout.cluster_bits;
	u32 end = min(b->e.table_size, i + STORE_MAX_RUN), n;

	for (n = 0; i + n < end; n++)
		if (!memchr_inv(b->bits + (i + n) * cluster, 0, cluster))
			break;
	return n;
}

static int store_bits(struct qcow_image *img, struct qcow_bitmap *b)
{
	u32 bits = img->layout.cluster_bits, i, k, got;
	u64 first;
	bool fresh;
	int err = 0;

	for (i = 0; !err && i < b->e.table_size; i += got) {
		cond_resched();
		got = store_run(img, b, i);
		if (!got) {
			got = 1;
			continue;
		}
		err = qcow_alloc_clusters(img->alloc, got, &first, &got, &fresh);
		if (!err)
			err = store_note(img->alloc, first, got);
		if (err)
			break;
		for (k = 0; k < got; k++)
			b->new_table[i + k] = (first + k) << bits;
		err = qcow_file_pwrite(&img->file, first << bits,
				       b->bits + ((size_t)i << bits),
				       (size_t)got << bits);
	}
	return err;
}

static int store_table(struct qcow_image *img, struct qcow_bitmap *b)
{
	u32 cluster = 1U << img->layout.cluster_bits;
	u32 nr = DIV_ROUND_UP(b->e.table_size * sizeof(u64), cluster), i;
	__be64 *disk;
	int err;

	disk = kvcalloc(nr, cluster, GFP_KERNEL);
	if (!disk)
		return -ENOMEM;
	for (i = 0; i < b->e.table_size; i++)
		disk[i] = cpu_to_be64(b->new_table[i]);
	err = store_alloc(img->alloc, nr, &b->new_host_offset);
	if (!err)
		err = qcow_file_pwrite(&img->file, b->new_host_offset, disk,
				       (size_t)nr * cluster);
	kvfree(disk);
	return err;
}

/* Write a bitmap to new clusters, if it has to be stored. */
static int store_bitmap(struct qcow_image *img, struct qcow_bitmap *b, bool final)
{
	int err;

	if (b->inconsistent ||
	    (b->table && !(b->changed && (final || !qcow_bitmap_tracks(b)))))
		return 0;
	b->new_table = kvcalloc(b->e.table_size, sizeof(u64), GFP_KERNEL);
	if (!b->new_table)
		return -ENOMEM;
	err = store_bits(img, b);
	return err ?: store_table(img, b);
}

/* Release the old clusters of a bitmap, or, if @undo, the new ones. */
static void store_finish(struct qcow_image *img, struct qcow_bitmap *b, bool undo)
{
	if (!b->new_table)
		return;
	if (!undo) {
		swap(b->table, b->new_table);
		swap(b->e.table_host_offset, b->new_host_offset);
		b->changed = false;
	}
	store_release_table(img->alloc, b->new_table, b->e.table_size,
			    b->new_host_offset);
	kvfree(b->new_table);
	b->new_table = NULL;
	b->new_host_offset = 0;
}

/* --- The directory --- */

/* Flags of a bitmap in the new directory. */
static u32 store_flags(const struct qcow_bitmap *b, bool final)
{
	if (!qcow_bitmap_tracks(b))
		return b->e.flags;
	return QCOW_DISK_BITMAP_AUTO | (final ? 0 : QCOW_DISK_BITMAP_IN_USE);
}

static void store_fill(const struct qcow_bitmaps *all, void *to, bool final)
{
	struct qcow_bitmap_entry e;
	struct qcow_bitmap *b;

	list_for_each_entry(b, &all->list, list) {
		e = b->e;
		e.flags = store_flags(b, final);
		if (b->new_table)
			e.table_host_offset = b->new_host_offset;
		to += qcow_bitdir_put_entry(to, &e);
	}
}

static int store_directory(struct qcow_image *img, struct qcow_bitmap_dir *dir,
			   bool final)
{
	u32 cluster = 1U << img->layout.cluster_bits;
	struct qcow_bitmap *b;
	void *buf;
	u32 nr;
	int err;

	list_for_each_entry(b, &img->bitmaps->list, list) {
		dir->nr++;
		dir->bytes += qcow_bitdir_entry_bytes(b->e.name_len);
	}
	if (!dir->nr)
		return 0;
	nr = DIV_ROUND_UP(dir->bytes, cluster);
	buf = kvcalloc(nr, cluster, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	store_fill(img->bitmaps, buf, final);
	err = store_alloc(img->alloc, nr, &dir->host_offset);
	if (!err)
		err = qcow_file_pwrite(&img->file, dir->host_offset, buf,
				       (size_t)nr * cluster);
	kvfree(buf);
	return err;
}

/* --- All of them --- */

/* Own and write: make all durable before anything on disk refers to it. */
static int store_write(struct qcow_image *img, struct qcow_bitmap_dir *dir,
		       bool final)
{
	struct qcow_bitmap *b;
	int err = 0;

	list_for_each_entry(b, &img->bitmaps->list, list) {
		err = store_bitmap(img, b, final);
		if (err)
			return err;
	}
	err = store_directory(img, dir, final);
	if (!err)
		err = qcow_flush(img->alloc);
	return err ?: store_sync(img);
}

/**
 * __qcow_bitmap_store() - store the bitmaps and their directory
 * @img: the image
 * @final: nothing is written any more; else enabled bitmaps stay marked in use
 *
 * Context: no I/O is under way; under the bitmaps' lock. May sleep.
 *
 * Return: 0; or an error: all is unchanged on disk, or, if that is not certain,
 * qcow_bitmaps.failed is set.
 */
int __qcow_bitmap_store(struct qcow_image *img, bool final)
{
	struct qcow_bitmaps *all = img->bitmaps;
	struct qcow_bitmap_dir dir = { };
	struct qcow_bitmap *b;
	int err;

	if (all->failed || img->alloc->failed || qcow_image_stopped(img))
		return -EIO;
	err = store_write(img, &dir, final);
	if (!err) {
		err = header_publish(img, &dir);
		if (err)
			all->failed = err;
	}
	/* Keep clusters that the directory on disk may or may not refer to. */
	if (all->failed)
		return err;
	list_for_each_entry(b, &all->list, list)
		store_finish(img, b, err);
	if (err) {
		store_release(img->alloc, dir.host_offset, dir.bytes);
	} else {
		store_release(img->alloc, all->dir.host_offset, all->dir.bytes);
		all->dir = dir;
	}
	qcow_writeback_soon(img->alloc);
	return err;
}

/* --- In use --- */

/*
 * Write the flags in place, as each lies inside one sector. @old: write the old flags,
 * and go on after errors. Return: 0 or the file's first error.
 */
static int __mark_all(struct qcow_image *img, bool old)
{
	u64 host_offset =
		img->bitmaps->dir.host_offset + offsetof(struct qcow_disk_bitmap, flags);
	struct qcow_bitmap *b;
	__be32 flags;
	int err = 0, ret;

	list_for_each_entry(b, &img->bitmaps->list, list) {
		flags = cpu_to_be32(old ? b->e.flags : store_flags(b, false));
		ret = 0;
		if (qcow_bitmap_tracks(b))
			ret = qcow_file_pwrite(&img->file, host_offset, &flags,
					       sizeof(flags));
		err = err ?: ret;
		if (err && !old)
			return err;
		host_offset += qcow_bitdir_entry_bytes(b->e.name_len);
	}
	return err;
}

/**
 * struct mark - work that marks bitmaps in use
 * @work: does the marking
 * @img: the image
 * @err: the result
 */
struct mark {
	struct work_struct work;
	struct qcow_image *img;
	int err;
};

static void mark_work(struct work_struct *work)
{
	struct mark *m = container_of(work, struct mark, work);
	struct qcow_alloc *a = m->img->alloc;

	mutex_lock(&a->store_lock);
	m->err = __mark_all(m->img, false) ?: __qcow_writeback_flush(a, &m->img->file);
	/* If this fails, some of the bitmaps stay inconsistent. */
	if (m->err && !__mark_all(m->img, true))
		m->err = __qcow_writeback_flush(a, &m->img->file) ?: m->err;
	mutex_unlock(&a->store_lock);
}

/**
 * __qcow_bitmap_mark_in_use() - mark bitmaps in use in the directory on disk
 * @img: the image
 *
 * As long as nothing is written to the disk, any mix of flags is right; but after a
 * failure nothing will be written, so the old flags are put back. A worker does it,
 * since a task that is being killed could write neither the new flags nor the old ones.
 *
 * Context: under the bitmaps' lock. May sleep.
 *
 * Return: 0, or the file's error.
 */
int __qcow_bitmap_mark_in_use(struct qcow_image *img)
{
	struct mark m = { .img = img };

	INIT_WORK_ONSTACK(&m.work, mark_work);
	qcow_writeback_queue(img->alloc, &m.work);
	flush_work(&m.work);
	destroy_work_on_stack(&m.work);
	return m.err;
}
