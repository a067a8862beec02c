// SPDX-License-Identifier: GPL-2.0
/*
 * qcow, version 1: opening an image. Mapping is map.c, as for qcow2.
 *
 * There are no refcounts, no snapshots, no features, and no way to say that
 * something is zeros. L2 tables and data lie anywhere, by the sector; append.c
 * says where new ones go.
 */
#include <linux/err.h>

#include "commit.h"
#include "fmt.h"
#include "map.h"

static int v1_read_header(struct qcow_image *img, struct qcow_header *h,
			  struct qcow_msg *msg)
{
	struct qcow_disk_v1_header disk;
	size_t len = min_t(u64, sizeof(disk), img->file.size);
	int err;

	err = qcow_file_pread(&img->file, 0, &disk, sizeof(disk));
	if (err)
		return qcow_fmt_read_error(msg, err, "header");
	return qcow_header_v1_parse(h, &disk, len, img->file.size, msg);
}

static int v1_check_params(const struct qcow_image *img,
			   const struct qcow_params *params,
			   struct qcow_msg *msg)
{
	if (params->snapshot)
		return qcow_fail(msg, -EINVAL, "has no snapshots, being of qcow version 1");
	if (img->data_file.file)
		return qcow_fail(msg, -EINVAL, "was given a data file, but has none");
	return 0;
}

static int v1_alloc_error(struct qcow_msg *msg, int err)
{
	if (err == -EUCLEAN)
		return qcow_fail(msg, -EROFS, "has tables that overlap or lie where they cannot; attach it read-only with -r");
	return qcow_fail(msg, err, "cannot be written (error %d)", -err);
}

static int v1_open_alloc(struct qcow_image *img, const struct qcow_header *h,
			 const struct qcow_params *params, struct qcow_msg *msg)
{
	struct qcow_alloc *a;
	int err;

	if (!params->writable)
		return 0;
	err = qcow_header_v1_writable(h, msg);
	if (err)
		return err;
	if (!qcow_file_regular(&img->file))
		return qcow_fail(msg, -EROFS, "is of qcow version 1, which grows at its end, and on a block device; attach it read-only with -r");
	/* Direct writes of metadata would hit their neighbours. */
	if (img->file.dio_mask >> QCOW_DISK_V1_ALIGN_BITS)
		qcow_file_use_cache(&img->file);
	a = qcow_alloc_create(img, h, params);
	if (IS_ERR(a))
		return v1_alloc_error(msg, PTR_ERR(a));
	qcow_commit_init(a);
	img->alloc = a;
	return 0;
}

static int v1_open(struct qcow_image *img, const struct qcow_params *params,
		   struct qcow_msg *msg)
{
	struct qcow_header h;
	int err;

	err = v1_check_params(img, params, msg);
	if (!err)
		err = v1_read_header(img, &h, msg);
	if (!err)
		err = qcow_header_supported(&h, msg);
	if (err)
		return err;
	qcow_layout_init(&img->layout, &h);
	img->size = h.size;
	img->wants_backing = h.backing_len;
	err = qcow_fmt_read_l1(img, &h, msg);
	if (!err)
		err = qcow_fmt_open_cache(img, QCOW_DISK_V1_ALIGN_BITS, params);
	if (!err)
		err = qcow_fmt_open_comp(img, &h, params);
	if (!err)
		err = v1_open_alloc(img, &h, params, msg);
	return err;
}

const struct qcow_format_ops qcow_fmt_v1 = {
	.name = "qcow",
	.open = v1_open,
	.close = qcow_fmt_close,
	.map = qcow_map,
};
