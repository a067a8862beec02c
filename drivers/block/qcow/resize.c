// SPDX-License-Identifier: GPL-2.0
/*
 * Another size of a disk.
 *
 * Larger: all that the new part needs is durable before the header tells its
 * size, and the new part reads as zeros, whatever lay there. Smaller: the header
 * tells the size before anything is let go of. A power cut leaves one size or
 * the other.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "commit.h"
#include "l1.h"
#include "link.h"
#include "map.h"
#include "resize.h"
#include "space.h"
#include "zero.h"

/* Bytes that are made zeros by one I/O. */
#define RESIZE_ZERO_STEP	BIT_ULL(30)

static u64 round_to_cluster(const struct qcow_image *img, u64 pos)
{
	u64 mask = (1ULL << img->layout.cluster_bits) - 1;

	return (pos + mask) & ~mask;
}

/* --- What lies behind the end of a disk --- */

/* Let go of the clusters of what one extent covers. Return: bytes, or errno. */
static s64 drop_some(struct qcow_image *img, u64 pos, u64 len)
{
	struct qcow_range range = {
		.first = pos >> img->layout.cluster_bits,
		.last = (pos + len - 1) >> img->layout.cluster_bits,
	};
	struct qcow_extent ext;
	int err;

	qcow_inflight_lock(&img->alloc->inflight, &range);
	err = qcow_map(img, pos, len, false, &ext);
	if (!err) {
		len = min(len, round_to_cluster(img, ext.len));
		if (ext.type != QCOW_EXTENT_HOLE || ext.mapped) {
			err = qcow_link_prepare(img->alloc, pos, len);
			err = err ?: qcow_link_hole(img->alloc, pos, len);
		}
	}
	qcow_inflight_unlock(&img->alloc->inflight, &range);
	return err ? err : (s64)len;
}

/* Clusters from @pos on, up to @end, as far as the L1 table goes. */
static int drop_range(struct qcow_image *img, u64 pos, u64 end)
{
	u64 covered = (u64)img->l1_size << qcow_layout_l1_shift(&img->layout);
	s64 n;

	for (end = min(end, covered); pos < end; pos += n) {
		n = drop_some(img, pos, end - pos);
		if (n < 0)
			return n;
		qcow_commit_throttle(img->alloc);
		cond_resched();
	}
	return 0;
}

/* @like: where from to take what an I/O needs */
static int zero_range(const struct qcow_io *like, u64 pos, u64 end)
{
	struct qcow_io *io = kmalloc(sizeof(*io), GFP_NOIO);
	int err = io ? 0 : -ENOMEM;

	for (; !err && pos < end; pos += io->len) {
		qcow_io_init(io, like->image, like);
		io->op = QCOW_OP_UNMAP;
		io->pos = pos;
		io->len = min(end - pos, RESIZE_ZERO_STEP);
		err = qcow_zero_sync(io);
	}
	kfree(io);
	return err;
}

/* --- qcow2 --- */

static int write_size(struct qcow_alloc *a, u64 size)
{
	__be64 disk = cpu_to_be64(size);

	return qcow_commit_header(a, offsetof(struct qcow_disk_header, size),
				  &disk, sizeof(disk));
}

/* An L1 table that covers @size. */
static int grow_l1(struct qcow_image *img, u64 size, struct qcow_msg *msg)
{
	u64 want = qcow_layout_l1_entries(&img->layout, size);
	u64 *table;
	int err;

	if (want <= img->l1_size)
		return 0;
	if (want > QCOW_DISK_MAX_L1_BYTES / sizeof(u64))
		return qcow_fail(msg, -EFBIG, "its clusters are too small for a disk of that size");
	table = kvcalloc(want, sizeof(u64), GFP_NOIO);
	if (!table)
		return -ENOMEM;
	memcpy(table, img->l1, (size_t)img->l1_size * sizeof(u64));
	/* The size follows when what is behind the old end is in order. */
	err = qcow_l1_switch(img->alloc, table, want, img->size);
	kvfree(table);
	if (err == -EFBIG)
		return qcow_fail(msg, err, "its clusters are too small to hold an L1 table for that size in a row");
	return err;
}

/*
 * What the disk has behind its end is nobody's: what remains of a larger disk
 * in the last cluster, what an interrupted change of size left; and what the
 * backing file holds there must not show.
 */
static int clear_new_part(const struct qcow_io *like, u64 old, u64 size)
{
	struct qcow_image *img = like->image;
	u64 backed = img->backing ? img->backing->size : 0;
	u64 zeros = min(size, max(round_to_cluster(img, old), backed));
	int err = 0;

	if (zeros > old)
		err = zero_range(like, old, zeros);
	if (!err && size > zeros)
		err = drop_range(img, round_to_cluster(img, zeros),
				 round_to_cluster(img, size));
	return err;
}

static int grow(const struct qcow_io *like, u64 size, struct qcow_msg *msg)
{
	struct qcow_image *img = like->image;
	u64 old = img->size;
	int err;

	err = qcow_commit(img->alloc);
	if (!err)
		err = grow_l1(img, size, msg);
	if (!err && img->layout.data_file)
		err = qcow_space_truncate(img->data, size);
	if (err)
		return err;
	img->size = size;
	err = clear_new_part(like, old, size);
	if (!err)
		err = qcow_commit(img->alloc);
	if (!err)
		err = write_size(img->alloc, size);
	if (err)
		img->size = old;
	return err;
}

static int shrink(const struct qcow_io *like, u64 size)
{
	struct qcow_image *img = like->image;
	u64 old = img->size;
	int err;

	err = qcow_commit(img->alloc);
	if (!err)
		err = write_size(img->alloc, size);
	if (err)
		return err;
	img->size = size;
	/* It has that size now. Nobody sees the rest: what fails keeps its space. */
	err = drop_range(img, round_to_cluster(img, size),
			 round_to_cluster(img, old));
	if (!err && img->layout.data_file)
		err = qcow_space_truncate(img->data, size);
	err = qcow_commit(img->alloc) ?: err;
	if (err)
		pr_warn("%s: is smaller, but not all behind its end could be freed: error %d\n",
			img->label, err);
	return 0;
}

/* --- raw --- */

/* The disk that the file holds now: others may have changed its size. */
static u64 raw_size(const struct qcow_image *img)
{
	return (qcow_file_size(&img->file) + 511) & ~511ULL;
}

static int resize_raw(struct qcow_image *img, u64 size, struct qcow_msg *msg)
{
	u64 there = raw_size(img);
	int err = 0;

	if (size != there && !qcow_file_regular(&img->file))
		return qcow_fail(msg, -EOPNOTSUPP, "is a block device of %llu bytes, whose size is not the driver's to change; change it first, then give max",
				 there);
	if (size != there)
		err = qcow_space_truncate(&img->file, size);
	if (err)
		return err;
	/* What others cut off is not missed any more. */
	atomic64_set(&img->file.end, qcow_file_size(&img->file));
	img->size = size;
	return qcow_file_sync(&img->file);
}

/**
 * qcow_resize_max() - how large is the disk that an image's file holds now?
 * @img: the image
 * @size: the result, in bytes
 * @msg: says why that cannot be told
 *
 * Does not sleep. Return: 0, -EOPNOTSUPP: the image is not raw; or -EINVAL: the file
 * is empty.
 */
int qcow_resize_max(const struct qcow_image *img, u64 *size, struct qcow_msg *msg)
{
	if (img->ops != &qcow_fmt_raw)
		return qcow_fail(msg, -EOPNOTSUPP, "is no raw image, so its disk does not end where its file does; give a size, such as +10G");
	*size = raw_size(img);
	if (*size)
		return 0;
	return qcow_fail(msg, -EINVAL, "its file is empty now; give it a size first");
}

/**
 * qcow_resize() - give a disk another size
 * @like: whose image, wq, write_wq and parts are used
 * @size: bytes, a multiple of 512, at least 512
 * @msg: says why it failed
 *
 * The image is written. Context: no I/O of it is under way. May sleep.
 * Return: 0, or a negative errno. Which size the disk has then, the image says: the
 * old one, unless it is a raw file that could not be synced.
 */
int qcow_resize(const struct qcow_io *like, u64 size, struct qcow_msg *msg)
{
	struct qcow_image *img = like->image;
	int err;

	if (!img->alloc)
		return resize_raw(img, size, msg);
	if (size == img->size)
		return 0;
	if (img->layout.version == 1)
		return qcow_fail(msg, -EOPNOTSUPP, "is qcow version 1, whose disks keep their size; convert it with qemu-img convert -O qcow2");
	if (img->layout.version < 3 && img->alloc->snapshots)
		return qcow_fail(msg, -EOPNOTSUPP, "has snapshots, and version 2 knows one size for all of them; delete them first");
	err = size > img->size ? grow(like, size, msg) : shrink(like, size);
	if (err && !msg->text[0])
		return qcow_fail(msg, err, "could not be resized (error %d)", -err);
	return err;
}
