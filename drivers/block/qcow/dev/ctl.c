// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/qcow-control and its ioctls, called by user space. Arguments are checked here
 * and trusted below; device.c and job.c do the work.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/qcow.h>
#include <uapi/linux/qcow_map.h>

#include "dev/job.h"
#include "dev/ctl.h"
#include "dev/ctl_bitmap.h"
#include "dev/ctl_child.h"
#include "dev/ctl_copy.h"
#include "dev/ctl_file.h"
#include "dev/ctl_commit.h"
#include "dev/device.h"
#include "dev/key.h"
#include "jobs/snapshot_ops.h"

#define CTL_ATTACH_FLAGS (QCOW_ATTACH_RO | QCOW_ATTACH_DIRECT |		\
			  QCOW_ATTACH_BUFFERED | QCOW_ATTACH_NO_PARTSCAN | \
			  QCOW_ATTACH_UNTRUSTED | QCOW_ATTACH_HIDDEN |	\
			  QCOW_ATTACH_SALVAGE | QCOW_ATTACH_TEMPORARY | \
			  QCOW_ATTACH_CHILD | QCOW_ATTACH_AUTOCLEAR)

#define CTL_CACHE_SIZE_MAX	SZ_1T

/* --- Attach --- */

/* Put defaults in place of 0. */
static void ctl_set_defaults(struct qcow_ioc_attach *arg)
{
	if (!arg->cache_size)
		arg->cache_size = QCOW_CACHE_SIZE_DEFAULT;
}

/*
 * Check the device's sector size, and its window, which consists of whole sectors. Images
 * may ask for larger sectors if the caller gives no size; device.c checks again then.
 */
static int ctl_check_window(const struct qcow_ioc_attach *arg,
			    struct qcow_msg *msg)
{
	u32 sector_size = arg->sector_size ?: QCOW_SECTOR_SIZE_MIN;

	if (sector_size < QCOW_SECTOR_SIZE_MIN ||
	    sector_size > QCOW_SECTOR_SIZE_MAX || !is_power_of_2(sector_size))
		return qcow_fail(msg, -EINVAL, "a sector has a power of two of bytes, from %u to %u, not %u",
				 QCOW_SECTOR_SIZE_MIN, QCOW_SECTOR_SIZE_MAX,
				 sector_size);
	if ((arg->offset | arg->size_limit) & (sector_size - 1))
		return qcow_fail(msg, -EINVAL, "offset and size limit must be multiples of %u",
				 sector_size);
	return 0;
}

/* Check the images; those of a child are its parent's. */
static int ctl_check_images(const struct qcow_ioc_attach *arg, struct qcow_msg *msg)
{
	if (!arg->nr_images || arg->nr_images > QCOW_MAX_IMAGES)
		return qcow_fail(msg, -EINVAL, "a chain has 1 to %u images, not %u",
				 QCOW_MAX_IMAGES, arg->nr_images);
	if (arg->flags & QCOW_ATTACH_CHILD)
		return 0;
	if (arg->image_size < QCOW_IMAGE_SIZE_V1 || arg->image_size > PAGE_SIZE ||
	    arg->parent || arg->parent_diskseq)
		return -EINVAL;
	return 0;
}

static int ctl_check_attach(const struct qcow_ioc_attach *arg,
			    struct qcow_msg *msg)
{
	u32 flags = arg->flags;
	int err;

	if (flags & ~CTL_ATTACH_FLAGS || arg->diskseq || arg->pad)
		return qcow_advise(msg, -EINVAL, "the driver does not know a flag of the attach; it is older than the tool");
	if ((flags & QCOW_ATTACH_UNTRUSTED) && !(flags & QCOW_ATTACH_RO))
		return qcow_fail(msg, -EINVAL, "an untrusted image can only be attached read-only");
	if ((flags & QCOW_ATTACH_SALVAGE) && !(flags & QCOW_ATTACH_RO))
		return qcow_fail(msg, -EINVAL, "a damaged image can only be salvaged read-only");
	if ((flags & QCOW_ATTACH_AUTOCLEAR) && (flags & QCOW_ATTACH_HIDDEN))
		return qcow_fail(msg, -EINVAL, "a hidden device is not closed, and so does not detach itself");
	if ((flags & QCOW_ATTACH_TEMPORARY) && (flags & QCOW_ATTACH_RO || arg->nr_images < 2))
		return qcow_fail(msg, -EINVAL, "a temporary device is writable, and has an image below its overlay");
	if ((flags & QCOW_ATTACH_DIRECT) && (flags & QCOW_ATTACH_BUFFERED))
		return qcow_fail(msg, -EINVAL, "direct and buffered I/O exclude each other");
	if ((flags & QCOW_ATTACH_UNTRUSTED) && !(flags & QCOW_ATTACH_NO_PARTSCAN))
		return qcow_fail(msg, -EINVAL, "an untrusted image needs an attach without partition scan");
	err = ctl_check_images(arg, msg);
	if (err)
		return err;
	if (arg->index < -1 || arg->index >= 1 << MINORBITS)
		return -EINVAL;
	if (!arg->snapshot != !arg->snapshot_len ||
	    arg->snapshot_len > QCOW_SNAPSHOT_NAME_MAX)
		return -EINVAL;
	if (!arg->alias != !arg->alias_len || arg->alias_len > QCOW_ALIAS_MAX)
		return -EINVAL;
	if (arg->snapshot && !(flags & (QCOW_ATTACH_RO | QCOW_ATTACH_TEMPORARY)))
		return qcow_fail(msg, -EINVAL, "a snapshot can only be attached read-only");
	if (arg->cache_size < QCOW_CACHE_SIZE_MIN ||
	    arg->cache_size > CTL_CACHE_SIZE_MAX)
		return qcow_fail(msg, -EINVAL, "cache size is out of range (%u bytes or more)",
				 QCOW_CACHE_SIZE_MIN);
	return ctl_check_window(arg, msg);
}

/* Get the files of a map but its first one. */
static int ctl_get_map_files(struct qcow_source *src, const struct qcow_ioc_image *image,
			     struct qcow_msg *msg)
{
	const __s32 __user *from = u64_to_user_ptr(image->files);
	__s32 fd;

	if (image->nr_files >= QCOW_MAP_FILES_MAX || image->data_fd >= 0 ||
	    !image->files != !image->nr_files)
		return qcow_fail(msg, -EINVAL, "has %u files, or a data file",
				 image->nr_files);
	src->table = fget(image->table_fd);
	if (!src->table)
		return -EBADF;
	src->files = kvcalloc(image->nr_files, sizeof(*src->files), GFP_KERNEL_ACCOUNT);
	if (!src->files)
		return -ENOMEM;
	for (; src->nr_files < image->nr_files; src->nr_files++) {
		if (get_user(fd, from + src->nr_files))
			return -EFAULT;
		src->files[src->nr_files] = fget(fd);
		if (!src->files[src->nr_files])
			return -EBADF;
	}
	return 0;
}

static int ctl_get_source(struct qcow_source *src,
			  const struct qcow_ioc_image *image,
			  struct qcow_msg *msg)
{
	struct qcow_crypt_key *key;

	if (image->flags ||
	    memchr_inv(image->reserved, 0, sizeof(image->reserved)))
		return -EINVAL;
	key = qcow_key_get(image, msg);
	if (IS_ERR(key))
		return PTR_ERR(key);
	src->key = key;
	src->format = image->format;
	src->file = fget(image->fd);
	if (!src->file)
		return -EBADF;
	if (image->format == QCOW_FORMAT_MAP)
		return ctl_get_map_files(src, image, msg);
	if (image->files || image->nr_files || image->table_fd)
		return -EINVAL;
	if (image->data_fd < 0)
		return 0;
	src->data_file = fget(image->data_fd);
	return src->data_file ? 0 : -EBADF;
}

static int ctl_get_sources(struct qcow_source *sources,
			   const struct qcow_ioc_attach *arg,
			   struct qcow_msg *msg, u32 *failed)
{
	const void __user *from = u64_to_user_ptr(arg->images);
	struct qcow_ioc_image image;
	u32 i;
	int err;

	for (i = 0; i < arg->nr_images; i++) {
		*failed = i;
		err = copy_struct_from_user(&image, sizeof(image), from,
					    arg->image_size);
		/* A shorter structure would mean descriptor 0. */
		if (!err && image.format == QCOW_FORMAT_MAP && arg->image_size < sizeof(image))
			err = -EINVAL;
		if (!err)
			err = ctl_get_source(&sources[i], &image, msg);
		if (err)
			return err;
		from += arg->image_size;
	}
	return 0;
}

static void ctl_put(struct file *file)
{
	if (file)
		fput(file);
}

static void ctl_put_sources(struct qcow_source *sources, u32 nr)
{
	u32 i, k;

	for (i = 0; i < nr; i++) {
		ctl_put(sources[i].file);
		ctl_put(sources[i].data_file);
		ctl_put(sources[i].table);
		for (k = 0; k < sources[i].nr_files; k++)
			ctl_put(sources[i].files[k]);
		kvfree(sources[i].files);
		qcow_key_put(sources[i].key);
	}
	kvfree(sources);
}

/*
 * Return: a name that the user gave, which the caller frees; NULL; or an ERR_PTR.
 */
static char *ctl_get_name(u64 address, u32 len)
{
	char *name;

	if (!address)
		return NULL;
	name = memdup_user_nul(u64_to_user_ptr(address), len);
	if (!IS_ERR(name) && strlen(name) != len) {
		kfree(name);
		return ERR_PTR(-EINVAL);
	}
	return name;
}

static int ctl_attach_sources(struct qcow_ioc_attach *arg,
			      struct qcow_attach *attach, struct qcow_msg *msg,
			      u32 *failed)
{
	struct qcow_source *sources;
	int ret = 0;

	sources = kvcalloc(arg->nr_images, sizeof(*sources), GFP_KERNEL);
	if (!sources)
		return -ENOMEM;
	attach->sources = sources;
	if (attach->parent)
		ret = qcow_ctl_child_sources(attach->parent, sources);
	else
		ret = ctl_get_sources(sources, arg, msg, failed);
	if (!ret)
		ret = qcow_device_attach(attach, msg, failed, &arg->diskseq);
	ctl_put_sources(sources, arg->nr_images);
	return ret;
}

/* Return: true if udev would give a partition of another device such a name. */
static bool ctl_ends_as_partition(const char *alias)
{
	const char *end = alias + strlen(alias), *c = end;

	while (c > alias && isdigit(c[-1]))
		c--;
	return c < end && c - alias >= 5 && !memcmp(c - 5, "-part", 5);
}

/* An alias is a part of a path and of the output of tools. */
static int ctl_check_alias(const char *alias, struct qcow_msg *msg)
{
	const char *c;

	for (c = alias; *c; c++)
		if (!isascii(*c) || !(isalnum(*c) || strchr("#+-.:=@_", *c)))
			break;
	if (*c || *alias == '-' || *alias == '.')
		return qcow_fail(msg, -EINVAL, "a name of a device has letters, digits and #+-.:=@_ only, and does not begin with - or .");
	if (ctl_ends_as_partition(alias))
		return qcow_fail(msg, -EINVAL, "a name of a device does not end in -part and a number, as names of partitions do");
	return 0;
}

/* As ctl_get_name(), of an alias. */
static char *ctl_get_alias(const struct qcow_ioc_attach *arg, struct qcow_msg *msg)
{
	char *alias = ctl_get_name(arg->alias, arg->alias_len);
	int err;

	if (IS_ERR_OR_NULL(alias))
		return alias;
	err = ctl_check_alias(alias, msg);
	if (!err)
		return alias;
	kfree(alias);
	return ERR_PTR(err);
}

/* @parent: of a child, or NULL */
static int ctl_do_attach(struct qcow_ioc_attach *arg, struct qcow_device *parent,
			 const struct file *file, struct qcow_msg *msg,
			 u32 *failed)
{
	struct qcow_attach attach = {
		.options = arg,
		.parent = parent,
		.owner = arg->flags & QCOW_ATTACH_HIDDEN ? file : NULL,
		.holder = arg->flags & QCOW_ATTACH_AUTOCLEAR ? file : NULL,
	};
	char *snapshot, *alias;
	int ret;

	snapshot = ctl_get_name(arg->snapshot, arg->snapshot_len);
	if (IS_ERR(snapshot))
		return PTR_ERR(snapshot);
	alias = ctl_get_alias(arg, msg);
	if (IS_ERR(alias)) {
		ret = PTR_ERR(alias);
		goto free_snapshot;
	}
	attach.snapshot = snapshot;
	attach.alias = alias;
	ret = ctl_attach_sources(arg, &attach, msg, failed);
	kfree(alias);
free_snapshot:
	kfree(snapshot);
	return ret;
}

static int ctl_attach_checked(struct qcow_ioc_attach *arg, const struct file *file,
			      struct qcow_msg *msg, u32 *failed)
{
	struct qcow_device *parent = NULL;
	int ret;

	if (arg->flags & QCOW_ATTACH_CHILD)
		parent = qcow_ctl_child_begin(arg, file, msg);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	ctl_set_defaults(arg);
	ret = ctl_check_attach(arg, msg);
	if (!ret)
		ret = ctl_do_attach(arg, parent, file, msg, failed);
	if (parent)
		qcow_job_unhold(parent);
	return ret;
}

static long ctl_attach(const struct file *file, void __user *argp)
{
	struct qcow_ioc_attach __user *uarg = argp;
	struct qcow_ioc_attach arg;
	struct qcow_msg msg = { };
	u32 failed = -1;
	int ret;

	ret = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_ATTACH_SIZE_V1, argp);
	if (ret)
		return ret;
	ret = ctl_attach_checked(&arg, file, &msg, &failed);
	if (ret < 0) {
		/* Best effort: the attach has failed anyway. */
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
		put_user((s32)failed, &uarg->msg_image);
		return ret;
	}
	/* A success may have a warning. */
	if (msg.text[0])
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	/*
	 * The device stays, even if its number cannot be written: the user can find it.
	 */
	return put_user(arg.diskseq, &uarg->diskseq) ?: put_user(ret, &uarg->index);
}

/* --- Detach, status, jobs --- */

static long ctl_detach(const struct file *file, void __user *argp)
{
	struct qcow_ioc_detach arg;
	struct qcow_msg msg = { };
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_DETACH_SIZE_V1, argp);
	if (err)
		return err;
	if (arg.pad || arg.pad2)
		return -EINVAL;
	if (arg.flags && arg.flags != QCOW_DETACH_LAZY &&
	    arg.flags != QCOW_DETACH_FORCE)
		return -EINVAL;
	err = qcow_device_detach(arg.index, file, arg.flags, arg.diskseq, &msg);
	/* A success may have a warning. */
	if (err || msg.text[0])
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	return err;
}

static long ctl_status(const struct file *file, void __user *argp)
{
	struct qcow_ioc_status st, result = { };
	int err;

	err = qcow_ctl_copy_in(&st, sizeof(st), QCOW_STATUS_SIZE_V1, argp);
	if (err)
		return err;
	result.size = st.size;
	result.index = st.index;
	err = qcow_device_status(st.index, file, &result);
	if (err)
		return err;
	return copy_to_user(argp, &result, min_t(size_t, st.size,
						 sizeof(result))) ? -EFAULT : 0;
}

static long ctl_resize(const struct file *file, void __user *argp)
{
	struct qcow_ioc_resize arg;
	struct qcow_msg msg = { };
	struct qcow_which which;
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_RESIZE_SIZE_V1, argp);
	if (err)
		return err;
	if (arg.flags & ~(QCOW_RESIZE_FORCE | QCOW_RESIZE_MAX) ||
	    (arg.flags & QCOW_RESIZE_MAX && arg.bytes))
		return -EINVAL;
	which = (struct qcow_which) { arg.index, arg.diskseq, file };
	err = qcow_job_size(&which, arg.bytes, arg.flags, &msg);
	/* A success may have a warning. */
	if (err || msg.text[0])
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	return err;
}

static long ctl_stream(const struct file *file, void __user *argp)
{
	struct qcow_ioc_stream __user *uarg = argp;
	struct qcow_ioc_stream arg;
	struct qcow_msg msg = { };
	struct qcow_which which;
	u64 done = 0, total = 0;
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_STREAM_SIZE_V1, argp);
	if (err)
		return err;
	if (arg.flags || !arg.bytes)
		return -EINVAL;
	which = (struct qcow_which) { arg.index, arg.diskseq, file };
	err = qcow_job_stream(&which, arg.bytes, &done, &total, &msg);
	if (err)
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	if (put_user(done, &uarg->done) || put_user(total, &uarg->total))
		return err ?: -EFAULT;
	return err;
}

/* --- Snapshots --- */

static int ctl_check_snapshot(const struct qcow_ioc_snapshot *arg)
{
	u32 max = arg->op == QCOW_SNAPSHOT_CREATE ? QCOW_SNAPSHOT_NEW_NAME_MAX :
						    QCOW_SNAPSHOT_NAME_MAX;

	if (arg->flags || memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	if (arg->op < QCOW_SNAPSHOT_CREATE || arg->op > QCOW_SNAPSHOT_APPLY)
		return -EINVAL;
	if (!arg->name || !arg->name_len || arg->name_len > max)
		return -EINVAL;
	return 0;
}

static long ctl_snapshot(const struct file *file, void __user *argp)
{
	struct qcow_ioc_snapshot __user *uarg = argp;
	struct qcow_snapshot_request req = {};
	struct qcow_ioc_snapshot arg;
	struct qcow_msg msg = { };
	struct qcow_which which;
	char *name;
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_SNAPSHOT_SIZE_V1, argp);
	if (!err)
		err = ctl_check_snapshot(&arg);
	if (err)
		return err;
	name = ctl_get_name(arg.name, arg.name_len);
	if (IS_ERR(name))
		return PTR_ERR(name);
	req.name = name;
	which = (struct qcow_which) { arg.index, arg.diskseq, file };
	err = qcow_job_snapshot(&which, arg.op, &req, &msg);
	kfree(name);
	/* A success may have a warning. */
	if (err || msg.text[0])
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	if (err)
		return err;
	/* The job is done, even if the result cannot be written. */
	if (put_user(req.stopped_ns, &uarg->stopped) ||
	    copy_to_user(uarg->id, req.id, sizeof(req.id)))
		return -EFAULT;
	return 0;
}

static long ctl_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case QCOW_IOC_ATTACH:
		return ctl_attach(file, argp);
	case QCOW_IOC_DETACH:
		return ctl_detach(file, argp);
	case QCOW_IOC_STATUS:
		return ctl_status(file, argp);
	case QCOW_IOC_RESIZE:
		return ctl_resize(file, argp);
	case QCOW_IOC_STREAM:
		return ctl_stream(file, argp);
	case QCOW_IOC_SNAPSHOT:
		return ctl_snapshot(file, argp);
	case QCOW_IOC_BITMAP:
		return qcow_ctl_bitmap(file, argp);
	case QCOW_IOC_COMMIT:
		return qcow_ctl_commit(file, argp);
	case QCOW_IOC_FILE:
		return qcow_ctl_file(file, argp);
	}
	return -ENOTTY;
}

/*
 * Hidden devices go with their open file, and those that detach themselves are left to their
 * users, also when a program is killed.
 */
static int ctl_release(struct inode *inode, struct file *file)
{
	qcow_device_let_go_held(file);
	qcow_device_detach_owned(file);
	return 0;
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.release = ctl_release,
	.unlocked_ioctl = ctl_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ctl_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = QCOW_CONTROL_NAME,
	.fops = &ctl_fops,
	.mode = 0600,
};

int qcow_ctl_init(void)
{
	return misc_register(&ctl_misc);
}

void qcow_ctl_exit(void)
{
	misc_deregister(&ctl_misc);
}
