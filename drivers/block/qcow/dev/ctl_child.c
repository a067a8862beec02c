// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching a child: a device that shows a snapshot of the image that another device has.
 * ctl.c calls this; child.c has the relation of the two.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <uapi/linux/qcow.h>

#include "dev/child.h"
#include "dev/ctl_child.h"
#include "dev/device_state.h"
#include "dev/job.h"

#define CHILD_INHERITED		(QCOW_ATTACH_UNTRUSTED | QCOW_ATTACH_NO_PARTSCAN | \
				 QCOW_ATTACH_SALVAGE)
#define CHILD_IO		(QCOW_ATTACH_DIRECT | QCOW_ATTACH_BUFFERED)

static int child_check(const struct qcow_ioc_attach *arg, struct qcow_msg *msg)
{
	if (arg->nr_images || arg->images || arg->image_size || arg->parent < 0)
		return -EINVAL;
	if (!(arg->flags & QCOW_ATTACH_RO) || !arg->snapshot ||
	    arg->flags & (QCOW_ATTACH_HIDDEN | QCOW_ATTACH_TEMPORARY))
		return qcow_fail(msg, -EINVAL, "a device of another device's image shows a snapshot, read-only");
	return 0;
}

static int child_check_parent(struct qcow_device *parent, struct qcow_msg *msg)
{
	int above = qcow_child_parent(parent);

	if (above >= 0)
		return qcow_advise(msg, -EINVAL, "shows a snapshot itself; name /dev/qcow%d, which has the image",
				   above);
	if (parent->owner)
		return -EINVAL;
	if (qcow_device_is_temporary(parent))
		return qcow_fail(msg, -EINVAL, "is temporary: no snapshot of it can be attached");
	if (parent->target.image->layout.data_file)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "has an external data file, and so no snapshots");
	return 0;
}

/* A child has the options of its parent that were not given. */
static void child_inherit(struct qcow_ioc_attach *arg, const struct qcow_device *parent)
{
	const struct qcow_ioc_attach *from = &parent->options;

	arg->flags |= from->flags & CHILD_INHERITED;
	if (!(arg->flags & CHILD_IO))
		arg->flags |= from->flags & CHILD_IO;
	if (!arg->offset && !arg->size_limit) {
		arg->offset = from->offset;
		arg->size_limit = from->size_limit;
	}
	if (!arg->sector_size)
		arg->sector_size = from->sector_size;
	arg->nr_images = parent->depth;
}

/**
 * qcow_ctl_child_begin() - find the parent of a child, and complete the child's options
 * @arg: argument of the ioctl; the result
 * @by: as for qcow_device_get()
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: the parent, for qcow_job_unhold(); or an ERR_PTR.
 */
struct qcow_device *qcow_ctl_child_begin(struct qcow_ioc_attach *arg,
					 const struct file *by, struct qcow_msg *msg)
{
	const struct qcow_which which = { arg->parent, arg->parent_diskseq, by };
	struct qcow_device *parent;
	int err;

	err = child_check(arg, msg);
	if (err)
		return ERR_PTR(err);
	parent = qcow_job_hold_to_read(&which, msg);
	if (IS_ERR(parent))
		return parent;
	err = child_check_parent(parent, msg);
	if (!err) {
		child_inherit(arg, parent);
		return parent;
	}
	qcow_job_unhold(parent);
	return ERR_PTR(err);
}

/* The files of a map but its first one */
static int child_map_files(const struct qcow_image *img, struct qcow_source *src)
{
	src->table = get_file(img->table.file);
	src->files = kvcalloc(img->nr_files, sizeof(*src->files), GFP_KERNEL_ACCOUNT);
	if (!src->files)
		return -ENOMEM;
	for (; src->nr_files < img->nr_files; src->nr_files++)
		src->files[src->nr_files] = get_file(img->files[src->nr_files].file);
	return 0;
}

/**
 * qcow_ctl_child_sources() - name the files of a child's images
 * @parent: from qcow_ctl_child_begin(), whose chain does not change meanwhile
 * @sources: zeroed; the result: as many as the parent has images, with references to
 *	their files
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int qcow_ctl_child_sources(const struct qcow_device *parent, struct qcow_source *sources)
{
	const struct qcow_image *img;
	struct qcow_source *src;
	int err = 0;

	for (img = parent->target.image, src = sources; img && !err; img = img->backing, src++) {
		src->file = get_file(img->file.file);
		if (img->data_file.file)
			src->data_file = get_file(img->data_file.file);
		src->format = qcow_image_format(img);
		src->same = img;
		if (img->table.file)
			err = child_map_files(img, src);
	}
	return err;
}
