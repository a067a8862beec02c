// SPDX-License-Identifier: GPL-2.0
/*
 * Giving a disk another size, while it may be in use. dev/job.c calls it, and a commit
 * for its backing file.
 *
 * Larger: tables and zeros of the new part are durable before the header has the new
 * size. Smaller: the header has the new size before any cluster is released. A power
 * cut leaves one size or the other.
 *
 * I/O is held up only while img->size or the L1 table in memory is exchanged. While
 * the two sizes differ, requests end at the smaller one.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "data/zero.h"
#include "file/space.h"
#include "jobs/resize.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/header_write.h"
#include "meta/l1.h"
#include "meta/l2.h"
#include "meta/map.h"
#include "meta/snapshot.h"
#include "meta/tree.h"
#include "meta/writeback.h"

/* Most bytes that one I/O makes zeros. */
#define RESIZE_ZERO_STEP	SZ_16M

static u64 round_to_cluster(const struct qcow_image *img, u64 guest_offset)
{
	u64 mask = (1ULL << img->layout.cluster_bits) - 1;

	return (guest_offset + mask) & ~mask;
}

/* --- The end of a disk --- */

/* Make one extent a hole. Return: bytes done, or a negative errno. */
static s64 drop_some(struct qcow_image *img, u64 guest_offset, u64 len)
{
	struct qcow_range range = {
		.first = guest_offset >> img->layout.cluster_bits,
		.last = (guest_offset + len - 1) >> img->layout.cluster_bits,
	};
	u8 epoch = qcow_inflight_begin(&img->alloc->inflight);
	struct qcow_extent ext;
	int err;

	qcow_inflight_lock(&img->alloc->inflight, &range);
	err = qcow_map(img, guest_offset, len, 0, &ext);
	if (!err) {
		len = min(len, round_to_cluster(img, ext.len));
		if (ext.type != QCOW_EXTENT_HOLE || ext.mapped) {
			err = qcow_l2_prepare(img->alloc, guest_offset, len);
			err = err ?: qcow_l2_set_hole(img->alloc, guest_offset, len);
		}
	}
	qcow_inflight_unlock(&img->alloc->inflight, &range);
	qcow_inflight_end(&img->alloc->inflight, epoch);
	return err ? err : (s64)len;
}

/*
 * Make a hole from @guest_offset to @guest_end, or to the end of the L1 table. Return: 0;
 * as qcow_image_interrupted(), and a part is left; or another error.
 */
static int drop_range(struct qcow_image *img, u64 guest_offset, u64 guest_end)
{
	u64 covered = qcow_tree_bytes(img->alloc, img->l1_size);
	int err = 0;
	s64 n;

	guest_end = min(guest_end, covered);
	for (; !err && guest_offset < guest_end; guest_offset += n) {
		n = drop_some(img, guest_offset, guest_end - guest_offset);
		if (n < 0)
			return n;
		qcow_image_advance(img, n);
		qcow_flush_throttle(img->alloc);
		cond_resched();
		err = qcow_image_interrupted(img);
	}
	return err;
}

/* Return: as drop_range(). */
static int zero_range(struct qcow_image *img, u64 guest_offset, u64 guest_end)
{
	struct qcow_io *io = kzalloc(sizeof(*io), GFP_NOIO);
	int err = io ? 0 : -ENOMEM;

	for (; !err && guest_offset < guest_end; guest_offset += io->len) {
		io->image = img;
		io->op = QCOW_OP_UNMAP;
		io->guest_offset = guest_offset;
		io->len = min_t(u64, guest_end - guest_offset, RESIZE_ZERO_STEP);
		err = qcow_zero_sync(io) ?: qcow_image_interrupted(img);
		qcow_image_advance(img, io->len);
	}
	kfree(io);
	return err;
}

/* --- Size of the device --- */

/* Change the size while no I/O is under way, since an I/O knows one size only. */
static int set_size(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops)
{
	int err = ops->pause->stop(ops->pause);

	if (err)
		return err;
	WRITE_ONCE(img->size, size);
	ops->pause->go(ops->pause);
	return 0;
}

/* Show a size that is not smaller, which the device cannot refuse. */
static void show_again(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops)
{
	if (ops->show(ops, size))
		qcow_img_err_ratelimited(img, "the device does not show all of its disk of %llu bytes\n",
					 size);
}

/* --- qcow2 --- */

/* Make the L1 table cover @size. */
static int grow_l1(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops,
		   struct qcow_msg *msg)
{
	u64 want = qcow_layout_l1_entries(&img->layout, size);
	int err;

	if (want <= img->l1_size)
		return 0;
	if (want > QCOW_DISK_MAX_L1_BYTES / sizeof(u64))
		return qcow_fail(msg, -EFBIG, "its clusters are too small for a disk of that size");
	/* The header gets the size later, when the new part is in order. */
	err = qcow_l1_grow(img->alloc, want, ops->pause);
	if (err == -EFBIG)
		return qcow_fail(msg, err, "its clusters are too small to hold an L1 table for that size in a row");
	return err;
}

/*
 * Clear the new part: old data in the last cluster, clusters that an interrupted resize
 * left behind the end, and data of the backing file must not show.
 */
static int clear_new_part(struct qcow_image *img, u64 old, u64 size)
{
	u64 backed = img->backing ? img->backing->size : 0;
	u64 zeros = min(size, max(round_to_cluster(img, old), backed));
	u64 hole = round_to_cluster(img, zeros), end = round_to_cluster(img, size);
	int err = 0;

	qcow_image_expect(img, zeros - old + end - hole);
	if (zeros > old)
		err = zero_range(img, old, zeros);
	if (!err && size > zeros)
		err = drop_range(img, hole, end);
	return err;
}

/* Go back to the old size. Entries behind it stay. */
static int grow_undo(struct qcow_image *img, u64 old, struct qcow_resize_ops *ops,
		     int err, struct qcow_msg *msg)
{
	int ret = set_size(img, old, ops);

	if (!ret && img->layout.data_file)
		ret = qcow_space_truncate(img->data, old);
	if (ret)
		pr_warn("%s: keeps its size, but not its data file: error %d\n",
			img->label, ret);
	if (err == -EINTR)
		return qcow_fail(msg, err, "was interrupted, and keeps its size of %llu bytes",
				 old);
	return err;
}

static int grow(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops,
		struct qcow_msg *msg)
{
	u64 old = img->size;
	int err;

	err = grow_l1(img, size, ops, msg);
	if (!err && img->layout.data_file)
		err = qcow_space_truncate(img->data, size);
	if (!err)
		err = set_size(img, size, ops);
	if (err)
		return err;
	err = clear_new_part(img, old, size);
	if (!err)
		err = qcow_flush(img->alloc);
	if (!err)
		err = qcow_header_set_size(img->alloc, size);
	if (err)
		return grow_undo(img, old, ops, err, msg);
	show_again(img, size, ops);
	return 0;
}

/*
 * Release all clusters behind the end, also those that an interrupted resize left
 * there. A failure only keeps their space.
 */
static int drop_behind(struct qcow_image *img, struct qcow_msg *msg)
{
	u64 end = round_to_cluster(img, img->size);
	u64 covered = qcow_tree_bytes(img->alloc, img->l1_size);
	int err, ret = 0;

	qcow_image_expect(img, covered > end ? covered - end : 0);
	err = drop_range(img, end, covered);
	if (img->layout.data_file)
		ret = qcow_space_truncate(img->data, img->size);
	qcow_writeback_soon(img->alloc);
	if (err == -EINTR)
		return qcow_advise(msg, err, "was interrupted: it has its size of %llu bytes, but not all space behind its end was given back; the same resize goes on with that",
				   img->size);
	if (err || ret)
		pr_warn("%s: has its size, but not all behind its end could be freed: error %d\n",
			img->label, err ?: ret);
	return 0;
}

static int shrink(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops,
		  struct qcow_msg *msg)
{
	u64 old = img->size;
	int err;

	err = qcow_flush(img->alloc);
	if (!err)
		err = ops->show(ops, size);
	if (err)
		return err;
	/* The last cluster is used as before until the size is durable. */
	err = qcow_header_set_size(img->alloc, size);
	if (!err)
		err = set_size(img, size, ops);
	if (err) {
		show_again(img, old, ops);
		return err;
	}
	return drop_behind(img, msg);
}

static int resize_qcow2(struct qcow_image *img, u64 size,
			struct qcow_resize_ops *ops, struct qcow_msg *msg)
{
	if (size > img->size)
		return grow(img, size, ops, msg);
	if (size < img->size)
		return shrink(img, size, ops, msg);
	return drop_behind(img, msg);
}

/* --- raw --- */

/* Size of a disk that fits the file, which another program may have resized. */
static u64 raw_size(const struct qcow_image *img)
{
	return (qcow_file_size(&img->file) + 511) & ~511ULL;
}

/* Give the file the size of a disk of @size bytes. */
static int raw_fit(struct qcow_image *img, u64 size)
{
	int err = 0;

	if (size != raw_size(img))
		err = qcow_space_truncate(&img->file, size);
	/* Bytes that another program cut off do not count as lost any more. */
	if (!err)
		atomic64_set(&img->file.end, qcow_file_size(&img->file));
	return err;
}

static int grow_raw(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops)
{
	int err;

	err = raw_fit(img, size);
	if (!err)
		err = set_size(img, size, ops);
	if (err)
		return err;
	show_again(img, size, ops);
	return qcow_raw_sync(img);
}

static int shrink_raw(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops)
{
	u64 old = img->size;
	int err;

	err = ops->show(ops, size);
	if (err)
		return err;
	err = raw_fit(img, size);
	if (!err)
		err = set_size(img, size, ops);
	if (err) {
		show_again(img, old, ops);
		return err;
	}
	return qcow_raw_sync(img);
}

static int resize_raw(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops,
		      struct qcow_msg *msg)
{
	u64 there = raw_size(img);

	if (size != there && !qcow_file_regular(&img->file))
		return qcow_advise(msg, -EOPNOTSUPP, "is a block device of %llu bytes, whose size is not the driver's to change; change it first, then give max",
				   there);
	if (size == img->size && size == there)
		return 0;
	/* The caller did not ask to cut the file off. */
	if (size >= img->size && size < there)
		return qcow_advise(msg, -EINVAL, "has a file of %llu bytes by now, more than that; give max to show all of it, or cut the file off first",
				   there);
	return size < img->size ? shrink_raw(img, size, ops) :
				  grow_raw(img, size, ops);
}

/**
 * qcow_resize_max() - get the size of a disk that fits an image's file
 * @img: the image
 * @size: the result, in bytes
 * @msg: says why it failed
 *
 * Context: any.
 *
 * Return: 0, -EOPNOTSUPP: the image is not raw; or -EINVAL: the file is empty.
 */
int qcow_resize_max(const struct qcow_image *img, u64 *size, struct qcow_msg *msg)
{
	if (img->ops != &qcow_fmt_raw)
		return qcow_advise(msg, -EOPNOTSUPP, "is no raw image, so its disk does not end where its file does; give a size, such as +10G");
	*size = raw_size(img);
	if (*size)
		return 0;
	return qcow_advise(msg, -EINVAL, "its file is empty now; give it a size first");
}

/**
 * qcow_resize() - give a disk another size
 * @img: the image, which is written; its I/O may go on
 * @size: bytes, a multiple of 512, at least 512; the disk's own size: go on releasing
 *	clusters that an interrupted resize left behind its end
 * @ops: the device of the disk
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0; as qcow_image_interrupted(); or another error. After an error the image
 * has the old size, unless releasing clusters was interrupted, or a raw file could not
 * be synced.
 */
int qcow_resize(struct qcow_image *img, u64 size, struct qcow_resize_ops *ops,
		struct qcow_msg *msg)
{
	int err;

	if (!img->alloc)
		return resize_raw(img, size, ops, msg);
	if (img->layout.version == 1)
		return size == img->size ? 0 :
		       qcow_advise(msg, -EOPNOTSUPP, "is qcow version 1, whose disks keep their size; convert it with qemu-img convert -O qcow2");
	if (img->layout.version < 3 && qcow_snapshot_nr(img) && size != img->size)
		return qcow_advise(msg, -EOPNOTSUPP, "has snapshots, and version 2 knows one size for all of them; delete them first");
	err = resize_qcow2(img, size, ops, msg);
	if (err && err != -EBUSY && !msg->text[0])
		return qcow_fail(msg, err, "could not be resized (error %d)", -err);
	return err;
}
