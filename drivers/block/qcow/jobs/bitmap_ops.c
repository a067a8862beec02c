// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on bitmaps: add, remove, enable, disable, clear. dev/ctl_bitmap.c calls
 * them.
 *
 * The block layer holds back all I/O meanwhile, so each write comes wholly before or
 * after the operation. An operation is durable when its function returns.
 */
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "jobs/bitmap_ops.h"
#include "meta/bitmap.h"
#include "meta/bitmap_store.h"
#include "meta/state.h"

#define OPS_DEFAULT_GRANULARITY	SZ_64K

static int ops_begin(struct qcow_image *img, struct qcow_msg *msg)
{
	if (!img->layout.cluster_bits)
		return qcow_advise(msg, -EROFS, "a raw image has no bitmaps; convert it with qemu-img convert -O qcow2");
	if (!img->alloc)
		return qcow_fail(msg, -EROFS, "is not written: attach it writable, without -r");
	if (!img->bitmaps)
		return qcow_advise(msg, -EOPNOTSUPP, "is older than qcow2 version 3, and has no bitmaps; convert it with qemu-img amend -o compat=1.1");
	mutex_lock(&img->bitmaps->lock);
	return 0;
}

static int ops_end(struct qcow_image *img, int err, struct qcow_msg *msg)
{
	__qcow_bitmap_track(img);
	mutex_unlock(&img->bitmaps->lock);
	if (err == -ENOSPC)
		return qcow_fail(msg, err, "there is no space for its bitmaps in the file");
	return err ? qcow_advise(msg, err, "its bitmaps cannot be stored (error %d); see the kernel log",
				 -err) : 0;
}

/* Return: the bitmap, or an ERR_PTR with @msg set. */
static struct qcow_bitmap *ops_find(struct qcow_image *img, const char *name,
				    bool consistent, struct qcow_msg *msg)
{
	struct qcow_bitmap *b;
	int err = 0;

	b = __qcow_bitmap_find(img->bitmaps, name, strlen(name));
	if (!b)
		err = qcow_advise(msg, -ENOENT, "has no bitmap of that name; see qcowctl bitmap list");
	else if (consistent && b->inconsistent)
		err = qcow_advise(msg, -EUCLEAN, "that bitmap is inconsistent, since it was not stored; it can only be removed");
	return err ? ERR_PTR(err) : b;
}

/* --- Add --- */

static int ops_new_entry(struct qcow_image *img, const char *name,
			 u64 granularity, struct qcow_bitmap_entry *e,
			 struct qcow_msg *msg)
{
	u64 clusters;

	granularity = granularity ?: OPS_DEFAULT_GRANULARITY;
	if (!is_power_of_2(granularity) ||
	    granularity < BIT_ULL(QCOW_DISK_MIN_GRANULARITY_BITS) ||
	    granularity > BIT_ULL(QCOW_DISK_MAX_GRANULARITY_BITS))
		return qcow_fail(msg, -EINVAL, "the granularity of a bitmap is a power of two from 512 to 2G");
	*e = (struct qcow_bitmap_entry) {
		.flags = QCOW_DISK_BITMAP_AUTO,
		.granularity_bits = ilog2(granularity),
		.name_len = strlen(name),
		.name = name,
	};
	if (!e->name_len || e->name_len > QCOW_DISK_MAX_BITMAP_NAME)
		return qcow_fail(msg, -EINVAL, "the name of a bitmap has 1 to %u bytes",
				 QCOW_DISK_MAX_BITMAP_NAME);
	clusters = qcow_bitdir_clusters(&img->layout, img->size,
					e->granularity_bits);
	if (clusters > (u64)QCOW_BITMAP_MAX_MEMORY >> img->layout.cluster_bits)
		return qcow_advise(msg, -EFBIG, "the disk is too large for so fine a bitmap; give a larger granularity");
	e->table_size = clusters;
	return 0;
}

static int __ops_add(struct qcow_image *img, const char *name, u64 granularity,
		     struct qcow_msg *msg)
{
	struct qcow_bitmaps *all = img->bitmaps;
	struct qcow_bitmap_entry e;
	struct qcow_bitmap *b;
	int err;

	err = ops_new_entry(img, name, granularity, &e, msg);
	if (err)
		return err;
	if (all->foreign)
		return qcow_advise(msg, -EOPNOTSUPP, "has a bitmaps extension that is damaged; remove it with qemu-img");
	if (__qcow_bitmap_find(all, name, e.name_len))
		return qcow_advise(msg, -EEXIST, "has a bitmap of that name already; see qcowctl bitmap list");
	if (all->dir.nr >= QCOW_BITMAP_MAX_NR)
		return qcow_fail(msg, -EFBIG, "has %u bitmaps already, and no more are kept",
				 QCOW_BITMAP_MAX_NR);
	b = __qcow_bitmap_new(img, &e);
	if (PTR_ERR_OR_ZERO(b) == -EFBIG)
		return qcow_advise(msg, -EFBIG, "its bitmaps would take too much memory; give a larger granularity");
	if (IS_ERR(b))
		return PTR_ERR(b);
	list_add_tail(&b->list, &all->list);
	err = __qcow_bitmap_store(img, false);
	if (err)
		__qcow_bitmap_free(img, b);
	return err;
}

/**
 * qcow_bitmap_add() - add a bitmap, which tracks changes of the disk from now on
 * @img: the image
 * @name: name of the new bitmap
 * @granularity: bytes of the disk that a bit stands for; 0: 64 KiB
 * @msg: says why it failed
 *
 * Context: no I/O is under way. May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_bitmap_add(struct qcow_image *img, const char *name, u64 granularity,
		    struct qcow_msg *msg)
{
	int err = ops_begin(img, msg);

	if (err)
		return err;
	err = __ops_add(img, name, granularity, msg);
	return ops_end(img, err, msg);
}

/* --- Remove, enable, clear --- */

static int __ops_remove(struct qcow_image *img, const char *name,
			struct qcow_msg *msg)
{
	struct qcow_bitmap *b = ops_find(img, name, false, msg);
	struct list_head *before;
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	before = b->list.prev;
	list_del_init(&b->list);
	err = __qcow_bitmap_store(img, false);
	if (err) {
		list_add(&b->list, before);
		return err;
	}
	__qcow_bitmap_release(img, b);
	__qcow_bitmap_free(img, b);
	return 0;
}

/**
 * qcow_bitmap_remove() - remove a bitmap, inconsistent or not
 * @img: the image
 * @name: name of the bitmap
 * @msg: says why it failed
 *
 * Context: no I/O is under way. May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_bitmap_remove(struct qcow_image *img, const char *name,
		       struct qcow_msg *msg)
{
	int err = ops_begin(img, msg);

	if (err)
		return err;
	err = __ops_remove(img, name, msg);
	return ops_end(img, err, msg);
}

static int __ops_enable(struct qcow_image *img, const char *name, bool enable,
			struct qcow_msg *msg)
{
	struct qcow_bitmap *b = ops_find(img, name, true, msg);
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	if (qcow_bitmap_tracks(b) == enable)
		return 0;
	b->e.flags ^= QCOW_DISK_BITMAP_AUTO;
	err = __qcow_bitmap_store(img, false);
	if (err)
		b->e.flags ^= QCOW_DISK_BITMAP_AUTO;
	return err;
}

/**
 * qcow_bitmap_enable() - begin or end to keep a bitmap up to date
 * @img: the image
 * @name: name of the bitmap
 * @enable: whether to keep it up to date
 * @msg: says why it failed
 *
 * Context: no I/O is under way. May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_bitmap_enable(struct qcow_image *img, const char *name, bool enable,
		       struct qcow_msg *msg)
{
	int err = ops_begin(img, msg);

	if (err)
		return err;
	err = __ops_enable(img, name, enable, msg);
	return ops_end(img, err, msg);
}

static int __ops_clear(struct qcow_image *img, const char *name,
		       struct qcow_msg *msg)
{
	struct qcow_bitmap *b = ops_find(img, name, true, msg);
	bool changed;
	void *clean;
	int err;

	if (IS_ERR(b))
		return PTR_ERR(b);
	/* A bitmap that is in use on disk is stored when the image is closed. */
	if (qcow_bitmap_tracks(b)) {
		memset(b->bits, 0, qcow_bitmap_bytes(img, b));
		b->changed = true;
		return 0;
	}
	clean = kvzalloc(qcow_bitmap_bytes(img, b), GFP_KERNEL);
	if (!clean)
		return -ENOMEM;
	changed = b->changed;
	swap(b->bits, clean);
	b->changed = true;
	err = __qcow_bitmap_store(img, false);
	if (err) {
		swap(b->bits, clean);
		b->changed = changed;
	}
	kvfree(clean);
	return err;
}

/**
 * qcow_bitmap_clear() - clear all bits of a bitmap
 * @img: the image
 * @name: name of the bitmap
 * @msg: says why it failed
 *
 * Context: no I/O is under way. May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_bitmap_clear(struct qcow_image *img, const char *name,
		      struct qcow_msg *msg)
{
	int err = ops_begin(img, msg);

	if (err)
		return err;
	err = __ops_clear(img, name, msg);
	return ops_end(img, err, msg);
}
