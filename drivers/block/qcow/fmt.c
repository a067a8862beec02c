// SPDX-License-Identifier: GPL-2.0
/*
 * What the formats with tables share: opening what a header leads to, and
 * closing all of it.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "cache.h"
#include "commit.h"
#include "comp.h"
#include "fmt.h"

/**
 * qcow_fmt_read_error() - say that something of an image could not be read
 * @msg: where to say it
 * @err: negative errno
 * @what: it, in the image's possession
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
 * qcow_fmt_read_l1() - read the L1 table
 * @img: the image
 * @h: its header
 * @msg: says why it failed
 *
 * May sleep. Return: 0 or a negative errno.
 */
int qcow_fmt_read_l1(struct qcow_image *img, const struct qcow_header *h,
		     struct qcow_msg *msg)
{
	size_t len = (size_t)h->l1_size * sizeof(u64);
	u32 i;
	int err;

	img->l1_size = h->l1_size;
	if (!len)
		return 0;
	img->l1 = kvmalloc(len, GFP_KERNEL);
	if (!img->l1)
		return qcow_fmt_read_error(msg, -ENOMEM, "L1 table");
	err = qcow_file_pread(&img->file, h->l1_offset, img->l1, len);
	if (err)
		return qcow_fmt_read_error(msg, err, "L1 table");
	for (i = 0; i < img->l1_size; i++)
		img->l1[i] = be64_to_cpu(((__force __be64 *)img->l1)[i]);
	return 0;
}

/**
 * qcow_fmt_open_cache() - get ready to read L2 tables
 * @img: the image, with its layout
 * @slice_bits: log2 of the bytes of a slice, which no table shares with another
 * @params: cache_bytes
 *
 * May sleep. Return: 0 or -ENOMEM.
 */
int qcow_fmt_open_cache(struct qcow_image *img, u32 slice_bits,
			const struct qcow_params *params)
{
	struct qcow_cache *cache;

	cache = qcow_cache_create(&img->file, slice_bits, params->cache_bytes);
	if (IS_ERR(cache))
		return PTR_ERR(cache);
	img->cache = cache;
	img->slice_entries = 1U << (slice_bits - img->layout.entry_bits);
	return 0;
}

/**
 * qcow_fmt_open_comp() - get ready to read compressed clusters
 * @img: the image
 * @h: its header
 * @params: comp_wq, stats
 *
 * May sleep. Return: 0 or -ENOMEM.
 */
int qcow_fmt_open_comp(struct qcow_image *img, const struct qcow_header *h,
		       const struct qcow_params *params)
{
	img->comp = qcow_comp_create(&img->file, qcow_comp_codec(h->compression),
				     h->cluster_bits, params->comp_wq,
				     &params->stats->decompressed);
	return img->comp ? 0 : -ENOMEM;
}

/**
 * qcow_fmt_close() - close an image with tables
 * @img: the image, also if it was not opened entirely; no I/O is under way
 *
 * May sleep. Return: 0, or why what was written is not all durable.
 */
int qcow_fmt_close(struct qcow_image *img)
{
	int err = 0;

	if (img->alloc) {
		err = qcow_commit_close(img->alloc);
		/* It may have been marked corrupt on the way. */
		qcow_commit_stop(img->alloc);
	}
	if (err)
		pr_err("%s: was not closed cleanly: error %d; %s\n",
		       img->label, err, qcow_image_advice(img));
	qcow_alloc_destroy(img->alloc);
	qcow_comp_destroy(img->comp);
	qcow_cache_destroy(img->cache);
	kvfree(img->l1);
	return err;
}
