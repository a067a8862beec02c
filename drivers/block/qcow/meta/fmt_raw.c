// SPDX-License-Identifier: GPL-2.0
/* Raw images: guest offset and host offset are the same. */
#include "meta/fmt.h"

/* As in QEMU, a size that is no multiple of a sector is rounded up; zeros fill it. */
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

/**
 * qcow_raw_sync() - flush a raw image
 * @img: the image
 *
 * A failure is final, and logged once. The file reports it to one sync only, and not
 * the data that it lost, so a later sync that works promises nothing. Nor does a sync
 * that runs beside it, so there is one at a time.
 *
 * Context: may sleep.
 *
 * Return: 0, or -EIO.
 */
int qcow_raw_sync(struct qcow_image *img)
{
	int err = 0;

	mutex_lock(&img->sync_lock);
	if (!test_bit(QCOW_IMAGE_UNSYNCED, &img->flags))
		err = qcow_file_sync(&img->file);
	if (err && !test_and_set_bit(QCOW_IMAGE_UNSYNCED, &img->flags))
		pr_err("%s: could not be synced: error %d; flushes fail from now on\n",
		       img->label, err);
	err = test_bit(QCOW_IMAGE_UNSYNCED, &img->flags) ? -EIO : 0;
	qcow_image_flushed(img, err);
	mutex_unlock(&img->sync_lock);
	return err;
}

/**
 * qcow_raw_sync_anew() - flush a raw image whose data was all written again
 * @img: the image; a sync that failed before matters no more
 *
 * Context: may sleep.
 *
 * Return: 0, or the error of the sync.
 */
int qcow_raw_sync_anew(struct qcow_image *img)
{
	int err;

	mutex_lock(&img->sync_lock);
	err = qcow_file_sync(&img->file);
	if (!err)
		clear_bit(QCOW_IMAGE_UNSYNCED, &img->flags);
	qcow_image_flushed(img, err);
	mutex_unlock(&img->sync_lock);
	return err;
}

static int raw_finish(struct qcow_image *img)
{
	return img->file.file->f_mode & FMODE_WRITE ? qcow_raw_sync(img) : 0;
}

static int raw_map(struct qcow_image *img, u64 guest_offset, u64 len, unsigned int flags,
		   struct qcow_extent *ext)
{
	ext->type = QCOW_EXTENT_DATA;
	ext->len = len;
	ext->copied = true;
	ext->mapped = true;
	ext->host_offset = guest_offset;
	ext->file = &img->file;
	return 0;
}

const struct qcow_format_ops qcow_fmt_raw = {
	.name = "raw",
	.open = raw_open,
	.finish = raw_finish,
	.map = raw_map,
};
