// SPDX-License-Identifier: GPL-2.0
/*
 * Streaming: copying the data of backing files into an image until it needs them no
 * more. dev/job.c calls it.
 *
 * It goes from the start of the disk to its end while the disk is in use. A range that
 * it has passed never comes from below again, since nothing makes a hole over a backing
 * file. The header names the backing file until all data is copied and durable, so a
 * power cut at any moment leaves a disk that reads the same.
 */
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "data/cow.h"
#include "jobs/stream.h"
#include "meta/flush.h"
#include "meta/header_write.h"
#include "meta/image.h"
#include "meta/map.h"
#include "meta/reclaim.h"
#include "meta/snapshot.h"
#include "meta/writeback.h"

/* Most bytes that are read and written at once. */
#define STREAM_CHUNK	SZ_1M

/**
 * struct stream - the copying of a stretch of the disk
 * @io: reads and writes, to and from @buf
 * @buf: STREAM_CHUNK bytes
 */
struct stream {
	struct qcow_io io;
	struct qcow_buf buf;
};

static void stream_free(struct stream *s)
{
	if (!s)
		return;
	qcow_buf_free(&s->buf);
	kfree(s);
}

static struct stream *stream_alloc(struct qcow_image *img)
{
	struct stream *s = kzalloc(sizeof(*s), GFP_NOIO);

	if (!s)
		return NULL;
	if (qcow_buf_alloc(&s->buf, STREAM_CHUNK)) {
		stream_free(s);
		return NULL;
	}
	s->io.image = img;
	s->io.bvec = s->buf.bvec;
	s->io.nr_bvec = s->buf.nr_bvec;
	return s;
}

/* Copy one extent. Return: bytes done, or a negative errno. */
static s64 stream_extent(struct stream *s, u64 guest_offset, u64 len)
{
	struct qcow_image *img = s->io.image;
	struct qcow_extent ext;
	int err;

	err = qcow_map(img, guest_offset, len, 0, &ext);
	if (err)
		return err;
	len = min(len, ext.len);
	if (ext.type != QCOW_EXTENT_HOLE || guest_offset >= img->backing->size)
		return len;
	err = qcow_image_map(img->backing, guest_offset,
			     min(len, img->backing->size - guest_offset), 0, &ext);
	if (err)
		return err;
	/* A hole in all images reads as zeros. */
	if (ext.type == QCOW_EXTENT_ZERO)
		return ext.len;
	s->io.guest_offset = guest_offset;
	return qcow_cow_copy_up(&s->io, guest_offset, min_t(u64, ext.len, STREAM_CHUNK),
				s->buf.mem);
}

static s64 stream_counted(struct stream *s, u64 guest_offset, u64 len)
{
	struct qcow_inflight *inflight = &s->io.image->alloc->inflight;
	s64 n;

	s->io.epoch = qcow_inflight_begin(inflight);
	n = stream_extent(s, guest_offset, len);
	qcow_inflight_end(inflight, s->io.epoch);
	return n;
}

static int stream_stretch(struct stream *s, u64 guest_end)
{
	struct qcow_image *img = s->io.image;
	int err;
	s64 n;

	while (img->filled < guest_end) {
		qcow_flush_throttle(img->alloc);
		n = stream_counted(s, img->filled, guest_end - img->filled);
		if (n == -ENOSPC)
			n = qcow_reclaim_any(img->alloc) ?:
			    stream_counted(s, img->filled, guest_end - img->filled);
		if (n < 0)
			return n;
		img->filled += n;
		err = qcow_image_interrupted(img);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/**
 * qcow_stream_check() - check that an image may be streamed
 * @img: the image, which is written
 * @msg: says why not
 *
 * Context: any.
 *
 * Return: 0 or a negative errno.
 */
int qcow_stream_check(const struct qcow_image *img, struct qcow_msg *msg)
{
	if (!img->backing)
		return qcow_fail_as(msg, QCOW_MSG_NO_BACKING, -EINVAL, "has no backing file");
	if (qcow_snapshot_nr(img))
		return qcow_advise(msg, -EOPNOTSUPP, "has snapshots, which need the backing file; delete them first, or keep it");
	return 0;
}

/**
 * qcow_stream_some() - go on copying from the backing files
 * @img: the image, which is written and has a backing file
 * @bytes: most bytes of the disk to look at
 *
 * @img->filled has the progress. Other I/O may go on.
 *
 * Context: may sleep.
 *
 * Return: 0; as qcow_image_interrupted(), with some progress; or an error.
 */
int qcow_stream_some(struct qcow_image *img, u64 bytes)
{
	u64 left = img->size - min(img->filled, img->size);
	struct stream *s = stream_alloc(img);
	int err;

	if (!s)
		return -ENOMEM;
	err = stream_stretch(s, img->filled + min(left, bytes));
	stream_free(s);
	qcow_writeback_soon(img->alloc);
	return err;
}

/**
 * qcow_stream_cut_loose() - remove the backing file's name from an image
 * @img: the image, filled to its end
 *
 * Flushes, then writes the header once. Other I/O may go on: it makes no hole over the
 * backing file, which is part of the chain in memory until the caller changes that.
 *
 * Context: may sleep.
 *
 * Return: 0, or an error: the header still names the backing file.
 */
int qcow_stream_cut_loose(struct qcow_image *img)
{
	return qcow_flush(img->alloc) ?: qcow_header_drop_backing(img->alloc);
}
