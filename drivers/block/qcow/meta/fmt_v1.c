// SPDX-License-Identifier: GPL-2.0
/* qcow version 1: opening an image, for image.c. map.c maps it. */
#include <linux/err.h>

#include "file/crypt.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/life.h"
#include "meta/map.h"

static int v1_read_header(struct qcow_image *img, struct qcow_header *h,
			  struct qcow_msg *msg)
{
	int err = qcow_fmt_read_header(img, h, msg);

	if (!err && h->version != 1)
		err = qcow_advise(msg, -EINVAL, "is qcow2, not qcow version 1; attach it with -f qcow2");
	return err ?: qcow_header_supported(h, msg);
}

static int v1_alloc_error(struct qcow_msg *msg, int err)
{
	if (err == -EUCLEAN)
		return qcow_advise(msg, -EROFS, "has tables that overlap or lie where they cannot; attach it read-only with -r, and copy it with qemu-img convert");
	if (err == -EFBIG)
		return qcow_advise(msg, -EROFS, "has more tables than this machine has the memory to write; attach it read-only with -r");
	return qcow_fmt_read_error(msg, err, "tables");
}

static int v1_open_alloc(struct qcow_image *img, const struct qcow_header *h,
			 const struct qcow_params *params, struct qcow_msg *msg)
{
	struct qcow_alloc *a;

	if (!params->writable)
		return 0;
	/* Direct writes of metadata or of clusters would overwrite their neighbours. */
	if (img->file.dio_mask >> img->layout.align_bits)
		qcow_file_use_cache(&img->file);
	a = qcow_life_begin(img, h, params);
	if (IS_ERR(a))
		return v1_alloc_error(msg, PTR_ERR(a));
	qcow_flush_init(a);
	img->alloc = a;
	return 0;
}

static int v1_open(struct qcow_image *img, const struct qcow_params *params,
		   struct qcow_msg *msg)
{
	struct qcow_header h;
	int err;

	if (params->snapshot)
		return qcow_fail(msg, -EINVAL, "has no snapshots, being qcow version 1");
	if (img->data_file.file)
		return qcow_fail(msg, -EINVAL, "was given a data file, but has none");
	err = v1_read_header(img, &h, msg);
	if (!err)
		err = qcow_crypt_open(&img->crypt, h.crypt_method, params->key,
				      params->crypt, msg);
	if (err)
		return err;
	qcow_layout_init(&img->layout, &h);
	img->size = h.size;
	img->wants_backing = h.backing_len;
	err = qcow_fmt_open_reading(img, &h, params, msg);
	if (!err)
		err = v1_open_alloc(img, &h, params, msg);
	return err;
}

const struct qcow_format_ops qcow_fmt_v1 = {
	.name = "qcow",
	.open = v1_open,
	.finish = qcow_fmt_finish,
	.close = qcow_fmt_close,
	.map = qcow_map,
};
