// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an image's bitmaps, from opening the image to closing it. fmt_v2.c calls
 * it.
 *
 * They are read when the image is opened and kept in memory. On disk they are
 * marked in use before the first write, and stay so until bitmap_store.c has
 * stored them: after a power cut no program trusts them.
 *
 * Section "Bitmaps" of the specification.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "meta/bitmap.h"
#include "meta/bitmap_life.h"
#include "meta/bitmap_store.h"
#include "meta/flush.h"
#include "meta/state.h"
#include "meta/writeback.h"

/* Most bytes of a directory. */
#define BITMAP_MAX_DIRECTORY	(QCOW_BITMAP_MAX_NR * QCOW_DISK_MAX_BITMAP_ENTRY)

static void bitmap_free_all(struct qcow_image *img)
{
	struct qcow_bitmap *b, *next;

	list_for_each_entry_safe(b, next, &img->bitmaps->list, list)
		__qcow_bitmap_free(img, b);
}

static int bitmap_load_cluster(struct qcow_image *img, struct qcow_bitmap *b, u32 i,
			       u64 host_offset, bool ones)
{
	size_t cluster = 1UL << img->layout.cluster_bits;
	void *to = b->bits + i * cluster;
	int err;

	if (ones && b->bits)
		memset(to, 0xff, cluster);
	if (!host_offset)
		return 0;
	err = qcow_register_claim(&img->alloc->reg, QCOW_META_BITMAP, host_offset,
				  cluster);
	if (err || !b->bits)
		return err;
	return qcow_file_pread(&img->file, host_offset, to, cluster);
}

/* Clear the bits behind the last one, which mean nothing. */
static void bitmap_clear_tail(struct qcow_image *img, struct qcow_bitmap *b)
{
	u64 in_bitmap = b->nr_bits / 8;
	u8 *bytes = b->bits;

	if (in_bitmap == qcow_bitmap_bytes(img, b))
		return;
	bytes[in_bitmap] &= BIT(b->nr_bits % 8) - 1;
	memset(bytes + in_bitmap + 1, 0, qcow_bitmap_bytes(img, b) - in_bitmap - 1);
}

static int bitmap_load(struct qcow_image *img, struct qcow_bitmap *b)
{
	size_t bytes = (size_t)b->e.table_size * sizeof(u64);
	u64 host_offset;
	bool ones;
	int err;
	u32 i;

	if (!b->inconsistent &&
	    qcow_bitdir_clusters(&img->layout, img->size,
				 b->e.granularity_bits) != b->e.table_size)
		return -EUCLEAN;
	err = qcow_register_claim(&img->alloc->reg, QCOW_META_BITMAP,
				  b->e.table_host_offset, bytes);
	if (err)
		return err;
	b->table = kvmalloc(bytes, GFP_KERNEL);
	if (!b->table)
		return -ENOMEM;
	err = qcow_file_pread(&img->file, b->e.table_host_offset, b->table, bytes);
	for (i = 0; !err && i < b->e.table_size; i++) {
		b->table[i] = be64_to_cpu(((__force __be64 *)b->table)[i]);
		err = qcow_bitdir_table_entry(&img->layout, b->table[i], &host_offset,
					      &ones);
		if (!err)
			err = bitmap_load_cluster(img, b, i, host_offset, ones);
		if (!err)
			err = qcow_image_interrupted(img);
		cond_resched();
	}
	if (!err && b->bits)
		bitmap_clear_tail(img, b);
	return err;
}

static int bitmap_load_entries(struct qcow_image *img, const void *buf)
{
	struct qcow_bitmaps *all = img->bitmaps;
	struct qcow_bitmap_entry e;
	struct qcow_bitmap *b;
	u64 in_dir = 0;
	u32 i;
	int err;

	for (i = 0; i < all->dir.nr; i++, in_dir += e.bytes) {
		err = qcow_bitdir_entry(&img->layout, img->size, buf + in_dir,
					all->dir.bytes - in_dir, &e);
		if (err)
			return err;
		if (__qcow_bitmap_find(all, e.name, e.name_len))
			return -EUCLEAN;
		b = __qcow_bitmap_new(img, &e);
		if (IS_ERR(b))
			return PTR_ERR(b);
		list_add_tail(&b->list, &all->list);
		err = bitmap_load(img, b);
		if (err)
			return err;
	}
	return in_dir == all->dir.bytes ? 0 : -EUCLEAN;
}

static int bitmap_load_all(struct qcow_image *img, const struct qcow_header *h)
{
	struct qcow_bitmaps *all = img->bitmaps;
	struct qcow_disk_bitmaps disk;
	void *buf;
	int err;

	err = qcow_file_pread(&img->file, h->bitmaps_in_header, &disk, sizeof(disk));
	if (!err)
		err = qcow_bitdir_extension(&img->layout, &disk, h->bitmaps_len,
					    &all->dir);
	if (err)
		return err;
	if (all->dir.nr > QCOW_BITMAP_MAX_NR ||
	    all->dir.bytes > BITMAP_MAX_DIRECTORY)
		return -EFBIG;
	err = qcow_register_claim(&img->alloc->reg, QCOW_META_BITMAP,
				  all->dir.host_offset, all->dir.bytes);
	if (err)
		return err;
	buf = kvmalloc(all->dir.bytes, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = qcow_file_pread(&img->file, all->dir.host_offset, buf, all->dir.bytes);
	if (!err)
		err = bitmap_load_entries(img, buf);
	kvfree(buf);
	return err;
}

/* Drop damaged bitmaps, and the clusters that they registered. */
static void bitmap_give_up(struct qcow_image *img)
{
	bitmap_free_all(img);
	memset(&img->bitmaps->dir, 0, sizeof(img->bitmaps->dir));
	qcow_register_forget_kind(&img->alloc->reg, QCOW_META_BITMAP);
	pr_warn("%s: its bitmaps are damaged, and invalid from now on\n",
		img->label);
}

/**
 * qcow_bitmap_open() - read the bitmaps of an image that will be written
 * @img: the image, opened up to its alloc
 * @h: its header
 * @msg: says why it failed
 *
 * Damaged bitmaps are dropped, which is logged.
 *
 * Context: may sleep.
 *
 * Return: 0; -EROFS: they are too many or too large; or another error.
 */
int qcow_bitmap_open(struct qcow_image *img, const struct qcow_header *h,
		     struct qcow_msg *msg)
{
	struct qcow_bitmaps *all;
	int err;

	if (!img->alloc || h->version < 3)
		return 0;
	all = kzalloc(sizeof(*all), GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	mutex_init(&all->lock);
	INIT_LIST_HEAD(&all->list);
	img->bitmaps = all;
	all->foreign = h->bitmaps_in_header &&
		       h->bitmaps_len != sizeof(struct qcow_disk_bitmaps);
	if (h->bitmaps_in_header && !all->foreign)
		all->extension = h->bitmaps_in_header;
	if (!(h->autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS) || !all->extension)
		return 0;
	err = bitmap_load_all(img, h);
	if (err == -EUCLEAN) {
		bitmap_give_up(img);
		return 0;
	}
	if (err == -EFBIG)
		return qcow_advise(msg, -EROFS, "has too many bitmaps, or too fine ones, to keep them up to date; attach it read-only with -r, or remove some with qemu-img bitmap --remove");
	if (err)
		return qcow_fail(msg, err, "cannot read its bitmaps (error %d)", -err);
	all->valid = true;
	__qcow_bitmap_track(img);
	return 0;
}

/**
 * qcow_bitmap_kept() - tell whether an image's bitmaps are kept up to date
 * @img: the image
 *
 * If not, the autoclear bit has to be cleared.
 *
 * Return: whether they are.
 */
bool qcow_bitmap_kept(const struct qcow_image *img)
{
	return img->bitmaps && img->bitmaps->valid;
}

/**
 * qcow_bitmap_start() - mark bitmaps in use before the image's first write
 * @img: the image
 *
 * Context: may sleep.
 *
 * Return: 0, or the file's error.
 */
int qcow_bitmap_start(struct qcow_image *img)
{
	struct qcow_bitmaps *all = img->bitmaps;
	int err = 0;

	if (!all)
		return 0;
	mutex_lock(&all->lock);
	if (img->tracking)
		err = __qcow_bitmap_mark_in_use(img);
	all->started = !err;
	mutex_unlock(&all->lock);
	return err;
}

/**
 * qcow_bitmap_close() - store the bitmaps when nothing is written any more
 * @img: the image; its last flushes come later
 *
 * Context: may sleep.
 *
 * Return: 0; or an error: the bitmaps stay marked in use, which is logged.
 */
int qcow_bitmap_close(struct qcow_image *img)
{
	struct qcow_bitmaps *all = img->bitmaps;
	int err;

	if (!all || !all->started || !img->tracking)
		return 0;
	/* Flushes failed so far, but the file may be writable again. */
	err = qcow_writeback_refused(img->alloc) ? qcow_flush(img->alloc) : 0;
	mutex_lock(&all->lock);
	if (!err)
		err = __qcow_bitmap_store(img, true);
	mutex_unlock(&all->lock);
	if (err)
		pr_err("%s: its bitmaps could not be stored: error %d; they stay marked in use, which makes them inconsistent\n",
		       img->label, err);
	return err;
}

/**
 * qcow_bitmap_destroy() - free an image's bitmaps
 * @img: the image
 */
void qcow_bitmap_destroy(struct qcow_image *img)
{
	if (!img->bitmaps)
		return;
	img->tracking = NULL;
	bitmap_free_all(img);
	kfree(img->bitmaps);
	img->bitmaps = NULL;
}
