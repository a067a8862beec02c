// SPDX-License-Identifier: GPL-2.0
/*
 * Steps of opening and closing an image that all versions of the format share. fmt_v1.c
 * and fmt_v2.c call them.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "file/comp.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/life.h"

/* Bytes of the first read: the fixed header, with any cluster size. */
#define FMT_FIRST_READ	SZ_512

/* Bytes of an L1 table that are read, and lost, together in a salvage. */
#define FMT_SALVAGE_READ	SZ_4K

/**
 * qcow_fmt_read_error() - set the message for a piece of an image that cannot be read
 * @msg: the message
 * @err: negative errno
 * @what: the piece
 *
 * Return: @err.
 */
int qcow_fmt_read_error(struct qcow_msg *msg, int err, const char *what)
{
	if (err == -ENOMEM)
		return qcow_fail(msg, err, "not enough memory for its %s", what);
	return qcow_fail(msg, err, "cannot read its %s (error %d)", what, -err);
}

/**
 * qcow_fmt_read_header() - read and parse an image's header
 * @img: the image, its file open
 * @h: the result
 * @msg: says why it failed
 *
 * In a strict file, the header only has to have the parts that reads need.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_fmt_read_header(struct qcow_image *img, struct qcow_header *h,
			 struct qcow_msg *msg)
{
	u64 file_size = img->file.size;
	size_t len = min_t(u64, FMT_FIRST_READ, file_size);
	void *buf;
	int err, bytes;

	buf = kzalloc(FMT_FIRST_READ, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = qcow_file_pread(&img->file, 0, buf, len);
	bytes = err ?: qcow_header_cluster_size(buf, len, msg);
	kfree(buf);
	if (err)
		return qcow_fmt_read_error(msg, err, "header");
	if (bytes < 0)
		return bytes;

	len = min_t(u64, bytes, file_size);
	buf = kvmalloc(len, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = qcow_file_pread(&img->file, 0, buf, len);
	if (err)
		err = qcow_fmt_read_error(msg, err, "header");
	else if (img->file.strict)
		err = qcow_header_salvage(h, buf, len, msg);
	else
		err = qcow_header_parse(h, buf, len, file_size, msg);
	kvfree(buf);
	return err;
}

/* Read as much of the table as possible. Missing entries stay all ones. */
static int fmt_salvage_l1(struct qcow_image *img, u64 host_offset, size_t len)
{
	size_t in_table, n;
	int err;

	memset(img->l1, 0xff, (size_t)img->l1_size * sizeof(u64));
	for (in_table = 0; in_table < len; in_table += n) {
		n = min_t(size_t, len - in_table, FMT_SALVAGE_READ);
		err = qcow_file_pread_table(&img->file, host_offset + in_table,
					    (void *)img->l1 + in_table, n, sizeof(u64));
		if (err == -ENOMEM)
			return err;
		if (err)
			memset((void *)img->l1 + in_table, 0xff, n);
		cond_resched();
	}
	return 0;
}

static int fmt_read_l1(struct qcow_image *img, const struct qcow_header *h,
		       struct qcow_msg *msg)
{
	size_t len = (size_t)h->l1_size * sizeof(u64);
	u64 need = qcow_layout_l1_entries(&img->layout, h->size);
	u32 i;
	int err;

	/* Only a damaged image, which is salvaged, has a table that is too small. */
	img->l1_size = max_t(u64, h->l1_size, need);
	if (!img->l1_size)
		return 0;
	img->l1 = kvmalloc_array(img->l1_size, sizeof(u64), GFP_KERNEL);
	if (!img->l1)
		return qcow_fmt_read_error(msg, -ENOMEM, "L1 table");
	if (img->file.strict)
		err = fmt_salvage_l1(img, h->l1_table_offset, len);
	else
		err = qcow_file_pread(&img->file, h->l1_table_offset, img->l1, len);
	if (err)
		return qcow_fmt_read_error(msg, err, "L1 table");
	for (i = 0; i < img->l1_size; i++)
		img->l1[i] = be64_to_cpu(((__force __be64 *)img->l1)[i]);
	return 0;
}

static int fmt_open_cache(struct qcow_image *img,
			  const struct qcow_params *params)
{
	/* A slice is inside one table. */
	u32 slice_bits = min_t(u32, img->layout.align_bits,
			       QCOW_CACHE_MAX_SLICE_BITS);
	struct qcow_cache *cache;

	cache = qcow_cache_create(&img->file, slice_bits, params->cache_bytes);
	if (IS_ERR(cache))
		return PTR_ERR(cache);
	img->cache = cache;
	img->slice_entries = 1U << (slice_bits - img->layout.entry_bits);
	return 0;
}

static int fmt_open_comp(struct qcow_image *img, const struct qcow_header *h,
			 const struct qcow_params *params)
{
	img->codec = qcow_comp_codec(h->compression);
	img->comp = qcow_comp_create(params->comp_wq, params->stats);
	return img->comp ? 0 : -ENOMEM;
}

/**
 * qcow_fmt_open_reading() - set up the parts of an image that reads need
 * @img: the image, with its layout
 * @h: its header
 * @params: of the chain
 * @msg: says why it failed
 *
 * They are its L1 table, the cache of L2 tables, and compressed clusters.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno; qcow_fmt_close() frees it in any case.
 */
int qcow_fmt_open_reading(struct qcow_image *img, const struct qcow_header *h,
			  const struct qcow_params *params,
			  struct qcow_msg *msg)
{
	int err;

	err = fmt_read_l1(img, h, msg);
	if (!err)
		err = fmt_open_cache(img, params);
	if (!err)
		err = fmt_open_comp(img, h, params);
	return err;
}

/**
 * qcow_fmt_finish() - flush an image for the last time
 * @img: the image; no I/O is under way
 *
 * Context: may sleep.
 *
 * Return: 0, or the error by which some data is not durable.
 */
int qcow_fmt_finish(struct qcow_image *img)
{
	int err;

	if (!img->alloc)
		return 0;
	err = qcow_flush_close(img->alloc);
	/* The flush may have queued the work that marks the image corrupt. */
	qcow_flush_stop(img->alloc);
	if (err)
		pr_err("%s: was not closed cleanly: error %d; see qcowctl check\n",
		       img->label, err);
	return err;
}

/**
 * qcow_fmt_close() - free an image's parts
 * @img: the image, finished
 *
 * Context: may sleep.
 */
void qcow_fmt_close(struct qcow_image *img)
{
	/*
	 * A read may have met damage after the image was finished, and queued the mark.
	 */
	if (img->alloc)
		qcow_flush_stop(img->alloc);
	qcow_life_end(img->alloc);
	qcow_comp_destroy(img->comp);
	qcow_cache_destroy(img->cache);
	kvfree(img->l1);
}
