// SPDX-License-Identifier: GPL-2.0
/* qcow2, versions 2 and 3: opening and closing an image, for image.c. map.c maps it. */
#include <linux/err.h>

#include "file/crypt.h"
#include "meta/bitmap_life.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/header_write.h"
#include "meta/life.h"
#include "meta/map.h"
#include "meta/refcount.h"
#include "meta/snapshot.h"

/* Take size and L1 table from the snapshot that the device shows. */
static int v2_pick_snapshot(struct qcow_image *img, struct qcow_header *h,
			    const struct qcow_params *params,
			    struct qcow_msg *msg)
{
	struct qcow_snapshot s;
	int err;

	if (!params->snapshot)
		return 0;
	err = qcow_snapshot_find(img, h, params->snapshot, &s);
	if (err == -ENOENT)
		return qcow_fail_as(msg, QCOW_MSG_NO_SNAPSHOT, err, "has no snapshot with that id or name");
	if (err == -EUCLEAN)
		return qcow_advise(msg, -EIO, "its snapshot table is damaged; see qcowctl check");
	if (err)
		return qcow_fmt_read_error(msg, err, "snapshot table");
	if (s.disk_size)
		h->size = s.disk_size;
	if (h->size > S64_MAX ||
	    qcow_layout_l1_entries(&img->layout, h->size) > s.l1_size)
		return qcow_advise(msg, -EIO, "the snapshot's L1 table is too small for its disk; see qcowctl check");
	img->snapshot_l1 = s.l1_table_offset;
	h->l1_table_offset = s.l1_table_offset;
	h->l1_size = s.l1_size;
	return 0;
}

/* Check that there is a data file exactly if the header demands one. */
static int v2_check_data_file(struct qcow_image *img,
			      const struct qcow_header *h,
			      const struct qcow_params *params,
			      struct qcow_msg *msg)
{
	if (!img->layout.data_file && img->data_file.file)
		return qcow_fail(msg, -EINVAL, "was given a data file, but has none");
	if (!img->layout.data_file)
		return 0;
	if (params->untrusted)
		return qcow_fail(msg, -EPERM, "has an external data file, which an untrusted image must not have");
	if (!img->data_file.file)
		return qcow_fail(msg, -ENOENT, "needs its external data file");
	img->data = &img->data_file;
	img->data_raw = h->autoclear & QCOW_DISK_AUTOCLEAR_DATA_RAW;
	return 0;
}

/* User space reads the LUKS header; here only its clusters must not be allocated. */
static int v2_open_crypt(struct qcow_image *img, const struct qcow_header *h,
			 const struct qcow_params *params, struct qcow_msg *msg)
{
	if (h->crypt_method == QCOW_DISK_CRYPT_LUKS &&
	    h->crypto_host_offset + h->crypto_length > img->file.size)
		return qcow_fail_as(msg, QCOW_MSG_TRUNCATED, -EINVAL, "file is truncated: its LUKS header at %#llx lies past its end (%llu bytes)",
				    h->crypto_host_offset, img->file.size);
	return qcow_crypt_open(&img->crypt, h->crypt_method, params->key,
			       params->crypt, msg);
}

/* Refuse images whose header forbids to write them. */
static int v2_check_writable(const struct qcow_header *h, struct qcow_msg *msg)
{
	if (h->incompatible & QCOW_DISK_INCOMPAT_CORRUPT)
		return qcow_advise(msg, -EROFS, "is marked corrupt; repair it with qcowctl check --repair=all, or attach it read-only with -r");
	if (h->incompatible & QCOW_DISK_INCOMPAT_DIRTY)
		return qcow_advise(msg, -EROFS, "was not closed cleanly (dirty); repair it with qcowctl check --repair=all, or attach it read-only with -r");
	return 0;
}

static int v2_alloc_error(struct qcow_msg *msg, int err)
{
	if (err == -EUCLEAN)
		return qcow_advise(msg, -EROFS, "has tables that overlap or lie where they cannot; repair it with qcowctl check --repair=all, or attach it read-only with -r");
	if (err == -E2BIG)
		return qcow_advise(msg, -EROFS, "has snapshots whose L1 tables take more than 1 GiB together; delete some with qemu-img snapshot -d, or attach it read-only with -r");
	if (err == -EFBIG)
		return qcow_advise(msg, -EROFS, "has more tables than this machine has the memory to write; attach it read-only with -r");
	return qcow_fmt_read_error(msg, err, "refcounts or snapshots");
}

/*
 * Check that all registered metadata has refcounts above 0, or it would be allocated.
 */
static int v2_check_counted(struct qcow_alloc *a, struct qcow_msg *msg)
{
	int err;

	err = qcow_refcount_check_meta(a);
	if (!err)
		err = qcow_snapshot_check_counted(a);
	if (err == -EUCLEAN)
		return qcow_advise(msg, -EROFS, "has tables that its refcounts say are free; repair it with qcowctl check --repair=all, or attach it read-only with -r");
	if (err == -EFBIG)
		return v2_alloc_error(msg, err);
	return err ? qcow_fmt_read_error(msg, err, "refcounts") : 0;
}

static int v2_open_alloc(struct qcow_image *img, const struct qcow_header *h,
			 const struct qcow_params *params, struct qcow_msg *msg)
{
	struct qcow_alloc *a;
	int err;

	if (!params->writable)
		return 0;
	err = v2_check_writable(h, msg);
	if (err)
		return err;
	/* Direct writes of metadata would overwrite their neighbours. */
	if (img->file.dio_mask >> h->cluster_bits)
		qcow_file_use_cache(&img->file);
	a = qcow_life_begin(img, h, params);
	if (IS_ERR(a))
		return v2_alloc_error(msg, PTR_ERR(a));
	qcow_flush_init(a);
	img->alloc = a;
	err = qcow_bitmap_open(img, h, msg);
	return err ?: v2_check_counted(a, msg);
}

/*
 * The first write clears autoclear bits of features that the driver does not keep up to
 * date. It keeps up data_file_raw and bitmaps.
 */
static int v2_start(struct qcow_image *img, struct qcow_msg *msg)
{
	u64 keep = img->data_raw ? QCOW_DISK_AUTOCLEAR_DATA_RAW : 0;
	int err;

	if (!img->alloc)
		return 0;
	if (qcow_bitmap_kept(img))
		keep |= QCOW_DISK_AUTOCLEAR_BITMAPS;
	err = qcow_header_set_features(img->alloc, QCOW_FEATURES_AUTOCLEAR, 0, ~keep);
	err = err ?: qcow_bitmap_start(img);
	return err ? qcow_fail(msg, err, "cannot be written (error %d)", -err) : 0;
}

static int v2_finish(struct qcow_image *img)
{
	int err = 0, ret;

	if (img->alloc)
		err = qcow_bitmap_close(img);
	ret = qcow_fmt_finish(img);
	return ret ?: err;
}

static void v2_close(struct qcow_image *img)
{
	qcow_fmt_close(img);
	qcow_bitmap_destroy(img);
}

/*
 * Read the header of an image that is open for writing, too. It is not half written, and
 * leads to no table past the end that the file had when it was opened. Requests wait for
 * the lock, so memory that is reclaimed must not wait for requests.
 */
static int v2_read_shared_header(struct qcow_image *img, struct qcow_header *h,
				 struct qcow_alloc *a, struct qcow_msg *msg)
{
	unsigned int noio = memalloc_noio_save();
	int err;

	mutex_lock(&a->store_lock);
	qcow_file_measure(&img->file);
	err = qcow_fmt_read_header(img, h, msg);
	mutex_unlock(&a->store_lock);
	memalloc_noio_restore(noio);
	return err;
}

static int v2_read_header(struct qcow_image *img, struct qcow_header *h,
			  const struct qcow_params *params, struct qcow_msg *msg)
{
	if (params->same && params->same->alloc)
		return v2_read_shared_header(img, h, params->same->alloc, msg);
	return qcow_fmt_read_header(img, h, msg);
}

static int v2_open(struct qcow_image *img, const struct qcow_params *params,
		   struct qcow_msg *msg)
{
	struct qcow_header h;
	int err;

	err = v2_read_header(img, &h, params, msg);
	if (!err && h.version == 1)
		err = qcow_advise(msg, -EINVAL, "is qcow version 1, not qcow2; attach it with -f qcow");
	if (!err)
		err = qcow_header_supported(&h, msg);
	if (!err)
		err = v2_open_crypt(img, &h, params, msg);
	if (err)
		return err;
	qcow_layout_init(&img->layout, &h);
	err = v2_pick_snapshot(img, &h, params, msg);
	if (err)
		return err;
	img->size = h.size;
	img->wants_backing = h.backing_len;
	err = v2_check_data_file(img, &h, params, msg);
	if (!err)
		err = qcow_fmt_open_reading(img, &h, params, msg);
	if (!err)
		err = v2_open_alloc(img, &h, params, msg);
	return err;
}

const struct qcow_format_ops qcow_fmt_v2 = {
	.name = "qcow2",
	.open = v2_open,
	.start = v2_start,
	.finish = v2_finish,
	.close = v2_close,
	.map = qcow_map,
	.mark_corrupt = qcow_flush_mark_corrupt,
};
