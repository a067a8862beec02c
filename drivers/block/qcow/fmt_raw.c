// SPDX-License-Identifier: GPL-2.0
/*
 * Raw: the disk's bytes, one by one.
 */
#include "qcow.h"

/* QEMU rounds a size that is no multiple of a sector up; zeros fill it. */
static int raw_open(struct qcow_image *img, const struct qcow_params *params,
		    struct qcow_msg *msg)
{
	if (params->snapshot)
		return qcow_fail(msg, -EINVAL, "has no snapshots, being raw");
	if (img->file.size > S64_MAX - 511)
		return qcow_fail(msg, -EFBIG, "is too large");
	img->size = (img->file.size + 511) & ~511ULL;
	return 0;
}

static int raw_finish(struct qcow_image *img)
{
	return img->file.file->f_mode & FMODE_WRITE ?
	       qcow_file_sync(&img->file) : 0;
}

static int raw_map(struct qcow_image *img, u64 pos, u64 len, bool nowait,
		   struct qcow_extent *ext)
{
	ext->type = QCOW_EXTENT_DATA;
	ext->len = len;
	ext->copied = true;
	ext->mapped = true;
	ext->host = pos;
	ext->file = &img->file;
	return 0;
}

const struct qcow_format_ops qcow_fmt_raw = {
	.name = "raw",
	.open = raw_open,
	.finish = raw_finish,
	.map = raw_map,
};
