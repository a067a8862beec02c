// SPDX-License-Identifier: GPL-2.0
/*
 * QCOW_IOC_BITMAP: bitmaps of an attached image. Arguments are checked here;
 * jobs/bitmap_ops.c changes the bitmaps.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/qcow.h>

#include "dev/job.h"
#include "dev/ctl_bitmap.h"
#include "dev/ctl_copy.h"
#include "dev/device.h"
#include "jobs/bitmap_ops.h"
#include "meta/bitmap.h"

/* --- Describing a bitmap --- */

static int ctl_copy_bits(struct qcow_ioc_bitmap *arg,
			 const struct qcow_bitmap *b)
{
	u64 bytes = DIV_ROUND_UP_ULL(b->nr_bits, 8);

	if (arg->bits_offset >= bytes || !b->bits)
		arg->bits_size = 0;
	else
		arg->bits_size = min(arg->bits_size, bytes - arg->bits_offset);
	if (arg->bits && copy_to_user(u64_to_user_ptr(arg->bits),
				      b->bits + arg->bits_offset,
				      arg->bits_size))
		return -EFAULT;
	return 0;
}

static int ctl_copy_name(struct qcow_ioc_bitmap *arg,
			 const struct qcow_bitmap *b)
{
	bool given = arg->name_len;

	arg->name_len = b->e.name_len;
	if (!given && arg->name && copy_to_user(u64_to_user_ptr(arg->name),
						b->name, b->e.name_len))
		return -EFAULT;
	return 0;
}

static int ctl_describe(const struct qcow_image *img,
			struct qcow_ioc_bitmap *arg, const struct qcow_bitmap *b)
{
	int err;

	arg->granularity = BIT_ULL(b->e.granularity_bits);
	arg->disk_size = img->size;
	if (qcow_bitmap_tracks(b))
		arg->flags |= QCOW_BITMAP_ENABLED;
	if (b->inconsistent)
		arg->flags |= QCOW_BITMAP_INCONSISTENT;
	else if (!arg->bits)
		arg->dirty = __qcow_bitmap_dirty_bytes(img, b);
	err = ctl_copy_name(arg, b);
	return err ?: ctl_copy_bits(arg, b);
}

static int ctl_get_bitmap(const struct qcow_image *img,
			  struct qcow_ioc_bitmap *arg, const char *name)
{
	struct qcow_bitmap *b;
	int err = -ENOENT;

	if (!img->alloc)
		return -EROFS;
	if (!img->bitmaps)
		return -ENOENT;
	mutex_lock(&img->bitmaps->lock);
	if (name)
		b = __qcow_bitmap_find(img->bitmaps, name, arg->name_len);
	else
		b = __qcow_bitmap_nth(img->bitmaps, arg->number);
	if (b)
		err = ctl_describe(img, arg, b);
	mutex_unlock(&img->bitmaps->lock);
	return err;
}

/* --- Changing a bitmap --- */

struct ctl_bitmap {
	struct qcow_job base;
	const struct qcow_ioc_bitmap *arg;
	const char *name;
	struct qcow_msg *msg;
};

static int ctl_job(struct qcow_image *img, const struct ctl_bitmap *c)
{
	switch (c->arg->op) {
	case QCOW_BITMAP_OP_ADD:
		return qcow_bitmap_add(img, c->name, c->arg->granularity, c->msg);
	case QCOW_BITMAP_OP_REMOVE:
		return qcow_bitmap_remove(img, c->name, c->msg);
	case QCOW_BITMAP_OP_ENABLE:
		return qcow_bitmap_enable(img, c->name, true, c->msg);
	case QCOW_BITMAP_OP_DISABLE:
		return qcow_bitmap_enable(img, c->name, false, c->msg);
	case QCOW_BITMAP_OP_CLEAR:
		return qcow_bitmap_clear(img, c->name, c->msg);
	}
	return -EINVAL;
}

static int ctl_job_run(struct qcow_device *dev, struct qcow_job *base)
{
	struct ctl_bitmap *c = container_of(base, struct ctl_bitmap, base);
	unsigned int flags = qcow_job_freeze(dev);
	int err;

	err = ctl_job(dev->target.image, c);
	qcow_job_unfreeze(dev, flags);
	return err;
}

static int ctl_bitmap_do(const struct file *file, struct qcow_ioc_bitmap *arg,
			 const char *name, struct qcow_msg *msg)
{
	struct qcow_which which = { arg->index, arg->diskseq, file };
	struct qcow_device *dev = qcow_job_hold(&which, msg);
	struct ctl_bitmap c = {
		.base = { .run = ctl_job_run },
		.arg = arg,
		.name = name,
		.msg = msg,
	};
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (arg->op == QCOW_BITMAP_OP_GET)
		err = ctl_get_bitmap(dev->target.image, arg, name);
	else
		err = qcow_job_run(dev, &c.base);
	qcow_job_unhold(dev);
	return err;
}

/* --- The ioctl --- */

static int ctl_check_bitmap(const struct qcow_ioc_bitmap *arg)
{
	bool get = arg->op == QCOW_BITMAP_OP_GET;

	if (arg->op > QCOW_BITMAP_OP_CLEAR || arg->flags || arg->pad ||
	    memchr_inv(arg->reserved, 0, sizeof(arg->reserved)) ||
	    arg->name_len > QCOW_BITMAP_NAME_MAX || arg->disk_size ||
	    arg->dirty)
		return -EINVAL;
	if (!get && (!arg->name_len || arg->number || arg->bits ||
		     arg->bits_offset || arg->bits_size))
		return -EINVAL;
	if (arg->op != QCOW_BITMAP_OP_ADD && arg->granularity)
		return -EINVAL;
	return 0;
}

/* Return: the name, which the caller frees; NULL: there is none; or an ERR_PTR. */
static char *ctl_bitmap_name(const struct qcow_ioc_bitmap *arg)
{
	char *name;

	if (!arg->name_len)
		return NULL;
	name = memdup_user_nul(u64_to_user_ptr(arg->name), arg->name_len);
	if (!IS_ERR(name) && strlen(name) != arg->name_len) {
		kfree(name);
		return ERR_PTR(-EINVAL);
	}
	return name;
}

long qcow_ctl_bitmap(const struct file *file, void __user *argp)
{
	struct qcow_ioc_bitmap arg;
	struct qcow_msg msg = { };
	u32 size;
	char *name;
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_BITMAP_SIZE_V1, argp);
	if (!err)
		err = ctl_check_bitmap(&arg);
	if (err)
		return err;
	name = ctl_bitmap_name(&arg);
	if (IS_ERR(name))
		return PTR_ERR(name);
	size = arg.size;
	err = ctl_bitmap_do(file, &arg, name, &msg);
	kfree(name);
	if (err)
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	if (err || arg.op != QCOW_BITMAP_OP_GET)
		return err;
	return copy_to_user(argp, &arg, min_t(size_t, size, sizeof(arg))) ?
	       -EFAULT : 0;
}
