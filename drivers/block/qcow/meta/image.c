// SPDX-License-Identifier: GPL-2.0
/*
 * Images and their chains: opening, closing, and mapping through the backing files.
 * dev/ and jobs/ open and close images, data/ maps them.
 */
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/indirect_call_wrapper.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <uapi/linux/qcow.h>

#include "file/space.h"
#include "meta/fmt.h"
#include "meta/image.h"
#include "meta/map.h"

static const struct qcow_format_ops *image_format(u32 format)
{
	switch (format) {
	case QCOW_FORMAT_RAW:
		return &qcow_fmt_raw;
	case QCOW_FORMAT_QCOW:
		return &qcow_fmt_v1;
	case QCOW_FORMAT_QCOW2:
		return &qcow_fmt_v2;
	case QCOW_FORMAT_MAP:
		return &qcow_fmt_map;
	}
	return NULL;
}

/* Any user may have chosen the file's name: only printable ASCII goes into messages. */
static void image_set_label(struct qcow_image *img, struct file *file,
			    const char *device)
{
	char *p;

	snprintf(img->label, sizeof(img->label), "%s: %pD", device, file);
	for (p = img->label; *p; p++)
		if (!isascii(*p) || !isprint(*p))
			*p = '?';
}

/*
 * Flush an image for the last time, once. Return: 0, or the error by which some data is
 * not durable.
 */
static int image_finish(struct qcow_image *img)
{
	if (!img->ops || !img->ops->finish ||
	    test_and_set_bit(QCOW_IMAGE_FINISHED, &img->flags))
		return 0;
	return img->ops->finish(img);
}

/**
 * qcow_image_finish_chain() - flush an image and its backing files for the last time
 * @img: the top of the chain; no I/O is under way, and none comes any more
 *
 * Does the first part of qcow_image_close_chain() while the images can still be looked
 * at.
 *
 * Context: may sleep.
 *
 * Return: 0; or the error by which writes since the last flush are lost.
 */
int qcow_image_finish_chain(struct qcow_image *img)
{
	int err = 0, ret;

	for (; img; img = img->backing) {
		ret = image_finish(img);
		err = err ?: ret;
	}
	return err;
}

static void image_close_map_files(struct qcow_image *img)
{
	u32 i;

	for (i = 0; i < img->nr_files; i++)
		qcow_file_close(&img->files[i]);
	kvfree(img->files);
	qcow_file_close(&img->table);
}

static int image_close(struct qcow_image *img)
{
	int err = image_finish(img);

	if (img->ops && img->ops->close)
		img->ops->close(img);
	qcow_crypt_close(img->crypt);
	image_close_map_files(img);
	qcow_file_close(&img->data_file);
	qcow_file_close(&img->file);
	kfree(img);
	return err;
}

/* Open a file of an image; @same: the same file, if it is open already; or NULL. */
static int image_open_file(struct qcow_image *img, struct qcow_file *f,
			   struct file *file, const struct qcow_file *same,
			   const struct qcow_params *params,
			   struct qcow_msg *msg)
{
	int err = qcow_file_open(f, file, params->direct, msg);

	if (!err)
		err = qcow_claim_take(&f->claim, file, params->device,
				      params->writable,
				      same ? &same->claim : NULL, msg);
	if (!err && f->claim.others)
		pr_notice("%s: is in use by others, and may change while it is read\n",
			  img->label);
	return err;
}

static void image_be_strict(struct qcow_image *img)
{
	u32 i;

	qcow_file_be_strict(&img->file);
	for (i = 0; i < img->nr_files; i++)
		qcow_file_be_strict(&img->files[i]);
	if (img->data_file.file)
		qcow_file_be_strict(&img->data_file);
}

static int image_open_data_file(struct qcow_image *img, struct file *file,
				const struct qcow_params *params, struct qcow_msg *msg)
{
	const struct qcow_image *old = params->same;
	int err;

	err = image_open_file(img, &img->data_file, file, old ? &old->data_file : NULL,
			      params, msg);
	if (!err && params->writable && !qcow_file_writable(file))
		return qcow_advise(msg, -EROFS, "its data file is not open for writing; attach it read-only with -r");
	return err;
}

/* Nobody else has the table, so there is no claim on it. */
static int image_open_map_files(struct qcow_image *img, const struct qcow_source *src,
				const struct qcow_params *params, struct qcow_msg *msg)
{
	int err = qcow_file_open(&img->table, src->table, QCOW_DIRECT_OFF, msg);
	const struct qcow_image *same = params->same;
	struct qcow_bounce *largest = NULL;
	u32 i;

	if (err || !src->nr_files)
		return err;
	qcow_bounce_share(&img->file.bounce, &largest);
	img->files = kvcalloc(src->nr_files, sizeof(*img->files), GFP_KERNEL);
	if (!img->files)
		return -ENOMEM;
	for (i = 0; !err && i < src->nr_files; i++) {
		err = image_open_file(img, &img->files[i], src->files[i],
				      same ? &same->files[i] : NULL, params, msg);
		qcow_bounce_share(&img->files[i].bounce, &largest);
		img->nr_files++;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* Parts of the device that the image refers to */
static void image_set_device(struct qcow_image *img, const struct qcow_params *params)
{
	img->ctx = params->ctx;
	img->stats = params->stats;
	img->ending = params->ending;
	img->events = params->events;
	img->progress = params->progress;
}

static int image_open(struct qcow_image *img, const struct qcow_source *src,
		      const struct qcow_params *params, struct qcow_msg *msg)
{
	const struct qcow_format_ops *ops = image_format(src->format);
	const struct qcow_image *old = params->same;
	int err;

	if (!ops)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "image format %u is not supported",
				    src->format);
	image_set_device(img, params);
	image_set_label(img, src->file, params->device);
	err = image_open_file(img, &img->file, src->file, old ? &old->file : NULL,
			      params, msg);
	if (err)
		return err;
	if (params->writable && !qcow_file_writable(src->file))
		return qcow_advise(msg, -EROFS, "is not open for writing; attach it read-only with -r");
	img->file.temporary = params->temporary;
	img->data = &img->file;
	if (src->data_file)
		err = image_open_data_file(img, src->data_file, params, msg);
	if (!err && src->table)
		err = image_open_map_files(img, src, params, msg);
	if (err)
		return err;
	/* In a raw image, missing parts cannot be recognized. */
	if (params->salvage && ops != &qcow_fmt_raw)
		image_be_strict(img);
	img->crypt_wq = params->comp_wq;
	img->ops = ops;
	err = ops->open(img, params, msg);
	img->seen = img->size;
	if (!err && src->key && !img->crypt)
		return qcow_fail(msg, -EINVAL, "is not encrypted, but was given a key");
	return err;
}

/* Check that a backing file is given exactly if the image names one. */
static int image_check_backing(const struct qcow_image *img, bool last,
			       const struct qcow_params *params,
			       struct qcow_msg *msg)
{
	if (img->wants_backing && params->untrusted)
		return qcow_fail(msg, -EPERM, "has a backing file, which an untrusted image must not have");
	if (img->wants_backing && last)
		return qcow_fail(msg, -ENOENT, "needs its backing file");
	if (!img->wants_backing && !last)
		return qcow_fail(msg, -EINVAL, "was given a backing file, but has none");
	return 0;
}

static struct qcow_image *image_open_one(const struct qcow_source *src,
					 bool last,
					 const struct qcow_params *params,
					 struct qcow_msg *msg)
{
	struct qcow_image *img = kzalloc(sizeof(*img), GFP_KERNEL);
	int err;

	if (!img)
		return ERR_PTR(-ENOMEM);
	mutex_init(&img->sync_lock);
	err = image_open(img, src, params, msg);
	if (!err)
		err = image_check_backing(img, last, params, msg);
	if (!err)
		return img;
	image_close(img);
	return ERR_PTR(err);
}

/**
 * qcow_image_open_chain() - open an image and its backing files
 * @sources: the image, its backing file, and so on to the end
 * @nr: entries of @sources, at least 1
 * @params: parameters for all of them
 * @msg: says why it failed
 * @failed: the entry of @sources that @msg is about
 *
 * Context: may sleep.
 *
 * Return: the top image or an ERR_PTR.
 */
struct qcow_image *qcow_image_open_chain(const struct qcow_source *sources,
					 u32 nr, const struct qcow_params *params,
					 struct qcow_msg *msg, u32 *failed)
{
	struct qcow_image *top = NULL, *img, **link = &top;
	struct qcow_params p = *params;
	u32 i;

	for (i = 0; i < nr; i++) {
		*failed = i;
		p.writable = params->writable && !i;
		p.snapshot = i == params->snapshot_of ? params->snapshot : NULL;
		p.temporary = params->temporary && !i;
		p.key = sources[i].key;
		p.same = sources[i].same;
		p.crypt = p.same ? p.same->crypt : NULL;
		img = image_open_one(&sources[i], i + 1 == nr, &p, msg);
		if (IS_ERR(img)) {
			qcow_image_close_chain(top);
			return img;
		}
		*link = img;
		link = &img->backing;
	}
	return top;
}

/**
 * qcow_image_start() - prepare an opened chain for use
 * @img: the top of the chain
 * @msg: says why it failed
 *
 * Makes the first writes to the image, if it is written.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_image_start(struct qcow_image *img, struct qcow_msg *msg)
{
	return img->ops->start ? img->ops->start(img, msg) : 0;
}

/**
 * qcow_image_close_chain() - close an image and its backing files
 * @img: the top of the chain, or NULL; no I/O is under way
 *
 * Context: may sleep.
 *
 * Return: 0; or the error by which writes since the last flush are lost, unless
 * qcow_image_finish_chain() returned it. The images are closed then, too.
 */
int qcow_image_close_chain(struct qcow_image *img)
{
	struct qcow_image *backing;
	int err = 0, ret;

	for (; img; img = backing) {
		backing = img->backing;
		ret = image_close(img);
		err = err ?: ret;
	}
	return err;
}

/* Compares mappings, as a block device may have several nodes. */
static bool same_file(const struct file *a, const struct file *b)
{
	return a && b ? a->f_mapping == b->f_mapping : a == b;
}

/**
 * qcow_image_open_again() - open an image of a chain once more
 * @old: the open image
 * @src: the same files, opened for the new use
 * @params: parameters of the new use
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: the new image, without a backing file; or an ERR_PTR.
 */
struct qcow_image *qcow_image_open_again(const struct qcow_image *old,
					 const struct qcow_source *src,
					 const struct qcow_params *params,
					 struct qcow_msg *msg)
{
	struct qcow_params p = *params;
	struct qcow_image *img;

	p.crypt = old->crypt;
	p.same = old;
	if (!same_file(src->file, old->file.file) ||
	    !same_file(src->data_file, old->data_file.file))
		return ERR_PTR(qcow_advise(msg, -ESTALE, "is another file now; put it back"));
	img = image_open_one(src, !old->backing, &p, msg);
	if (IS_ERR(img) || img->ops == old->ops)
		return img;
	image_close(img);
	return ERR_PTR(-EINVAL);
}

/**
 * qcow_image_swap_backing() - replace the object of a backing file
 * @img: the image above
 * @with: an object of the same file, from qcow_image_open_again()
 *
 * Context: no I/O is under way, and the caller holds qcow_device.chain_lock. Does not
 * sleep.
 *
 * Return: the old object, without a backing file.
 */
struct qcow_image *qcow_image_swap_backing(struct qcow_image *img,
					   struct qcow_image *with)
{
	struct qcow_image *old = img->backing;

	with->backing = old->backing;
	old->backing = NULL;
	img->backing = with;
	return old;
}

/**
 * qcow_image_close_replaced() - close an image that another object has replaced
 * @old: from qcow_image_swap_backing()
 * @with: the object that replaced it
 *
 * If it was written, closing it may cut off unused space at the end of its file: for
 * @with that is no damage.
 *
 * Context: may sleep.
 *
 * Return: as qcow_image_close_chain().
 */
int qcow_image_close_replaced(struct qcow_image *old, struct qcow_image *with)
{
	int err = qcow_image_close_chain(old);
	u64 size = qcow_file_size(&with->file);

	if (size < atomic64_read(&with->file.end))
		atomic64_set(&with->file.end, size);
	return err;
}

/**
 * qcow_image_format() - get the format of an image
 * @img: the image
 *
 * Context: any.
 *
 * Return: &enum qcow_format.
 */
u32 qcow_image_format(const struct qcow_image *img)
{
	if (img->ops == &qcow_fmt_raw)
		return QCOW_FORMAT_RAW;
	if (img->ops == &qcow_fmt_map)
		return QCOW_FORMAT_MAP;
	return img->ops == &qcow_fmt_v1 ? QCOW_FORMAT_QCOW : QCOW_FORMAT_QCOW2;
}

/**
 * qcow_image_format_name() - name the format of an image
 * @img: the image
 *
 * Context: any.
 *
 * Return: the name in qemu-img; or the one that the table of a map gives.
 */
const char *qcow_image_format_name(const struct qcow_image *img)
{
	return img->ops == &qcow_fmt_map ? qcow_map_table_format(img) : img->ops->name;
}

/**
 * qcow_image_chain_damaged() - tell whether damage was met in an image or below it
 * @img: the top of the chain
 *
 * Context: any.
 *
 * Return: whether damage was met.
 */
bool qcow_image_chain_damaged(const struct qcow_image *img)
{
	for (; img; img = img->backing)
		if (test_bit(QCOW_IMAGE_CORRUPT, &img->flags))
			return true;
	return false;
}

/**
 * qcow_image_map() - map a piece of a chain's disk
 * @img: the top of the chain
 * @guest_offset: bytes into the disk
 * @len: bytes wanted, at least 1
 * @flags: QCOW_IO_NOWAIT: nothing is read, so it does not sleep
 * @ext: the result for 1 to @len bytes from @guest_offset on, never a hole
 *
 * Return: 0; -EAGAIN: it would sleep and QCOW_IO_NOWAIT; -EIO: damaged or not
 * readable, and reported; -ENOMEM.
 */
int qcow_image_map(struct qcow_image *img, u64 guest_offset, u64 len, unsigned int flags,
		   struct qcow_extent *ext)
{
	u64 size = img->size;
	int err;

	for (;;) {
		ext->image = img;
		/* A backing file may be smaller than the disk above it. */
		if (guest_offset >= size)
			break;
		err = INDIRECT_CALL_1(img->ops->map, qcow_map, img, guest_offset,
				      min(len, size - guest_offset), flags, ext);
		if (err || ext->type != QCOW_EXTENT_HOLE)
			return err;
		len = ext->len;
		img = img->backing;
		if (!img)
			break;
		size = img->seen;
	}
	ext->type = QCOW_EXTENT_ZERO;
	ext->len = len;
	return 0;
}

/*
 * Return: true if the file has a hole for an extent with data, so it was never written.
 */
static bool extent_is_hole(const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_DATA && !ext->image->crypt &&
	       qcow_space_is_hole(ext->file, ext->host_offset, ext->len);
}

/**
 * qcow_image_reads_zero() - tell whether metadata makes a piece of a disk read as zeros
 * @img: the top of the chain
 * @guest_offset: bytes into the disk
 * @len: bytes, may be 0
 *
 * Reads no data. False means nothing, also if a table cannot be read.
 *
 * Context: may sleep.
 *
 * Return: whether all of it is known to read as zeros.
 */
bool qcow_image_reads_zero(struct qcow_image *img, u64 guest_offset, u64 len)
{
	struct qcow_extent ext;

	for (; len; guest_offset += ext.len, len -= ext.len) {
		if (qcow_image_map(img, guest_offset, len, 0, &ext))
			return false;
		if (ext.type != QCOW_EXTENT_ZERO && !extent_is_hole(&ext))
			return false;
	}
	return true;
}
