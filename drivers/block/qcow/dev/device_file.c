// SPDX-License-Identifier: GPL-2.0
/*
 * The files of devices: opening one anew, and finding the device of a file. ctl_file.c
 * calls it.
 *
 * It looks up no name. Two files are the same if their inodes are, and two block
 * devices if their device numbers are, also if they were opened by different nodes.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/path.h>
#include <uapi/linux/qcow.h>

#include "dev/child.h"
#include "dev/device.h"
#include "dev/device_file.h"
#include "file/claim.h"

/* Files that are compared under one hold of a device's chain_lock */
#define LOOK_FILES	256

/**
 * struct device_look - a search for a file or a device
 * @arg: argument and result of the ioctl
 * @by: as for qcow_device_get()
 * @file: find: the file to look for
 * @path: open: path of the file that was found, referenced
 * @host: open: the inode that has the file's data, referenced
 * @image: find: number in the chain of the image that is looked at
 * @at: find: that image; NULL: the first one, whichever that is
 * @number: find: the next of its files
 */
struct device_look {
	struct qcow_ioc_file *arg;
	const struct file *by;
	const struct file *file;
	struct path path;
	struct inode *host;
	u32 image;
	const struct qcow_image *at;
	u32 number;
};

/* The image with a number in the chain. Under dev->chain_lock. */
static struct qcow_image *device_image(struct qcow_device *dev, u32 number)
{
	struct qcow_image *img = dev->target.image;

	lockdep_assert_held(&dev->chain_lock);
	while (img && number--)
		img = img->backing;
	return img;
}

/*
 * Return: the external data file of an image, or its file with a number, of which only a
 * map has more than one; or NULL.
 */
static struct file *image_file(struct qcow_image *img, bool data, u32 number)
{
	struct qcow_file *f = img ? qcow_image_file(img, number) : NULL;

	if (f && data)
		f = number ? NULL : &img->data_file;
	return f ? f->file : NULL;
}

static void tell(const struct device_look *look, struct qcow_device *dev,
		 const struct qcow_image *img, const struct file *file)
{
	struct qcow_ioc_file *arg = look->arg;

	arg->index = dev->index;
	arg->diskseq = dev->disk->diskseq;
	arg->format = qcow_image_format(img);
	arg->flags = file == img->data_file.file ? QCOW_FILE_DATA : 0;
	if (file->f_mode & FMODE_WRITE)
		arg->flags |= QCOW_FILE_WRITABLE;
	if (d_unlinked(file->f_path.dentry))
		arg->flags |= QCOW_FILE_DELETED;
	if (dev->owner && dev->owner != look->by)
		arg->flags |= QCOW_FILE_HIDDEN;
	if (qcow_device_is_temporary(dev))
		arg->flags |= QCOW_FILE_TEMPORARY;
	if (qcow_child_parent(dev) >= 0)
		arg->flags |= QCOW_FILE_CHILD;
}

/* --- Opening a file --- */

static int take_file(struct qcow_device *dev, struct device_look *look)
{
	struct qcow_image *img = device_image(dev, look->arg->image);
	struct file *file = image_file(img, look->arg->flags & QCOW_FILE_DATA,
				       look->arg->number);

	if (!file)
		return -ENOENT;
	look->path = file->f_path;
	path_get(&look->path);
	look->host = file->f_mapping->host;
	ihold(look->host);
	tell(look, dev, img, file);
	return 1;
}

static int visit_to_take(struct qcow_device *dev, void *arg)
{
	struct device_look *look = arg;
	u64 diskseq = look->arg->diskseq;
	int ret;

	if (dev->index != look->arg->index ||
	    (dev->owner && dev->owner != look->by))
		return -ENODEV;
	if (diskseq && diskseq != dev->disk->diskseq)
		return -ESTALE;
	spin_lock(&dev->chain_lock);
	ret = take_file(dev, look);
	spin_unlock(&dev->chain_lock);
	return ret;
}

/*
 * The node of a block device may lead to another disk by now, if the attached one was
 * unplugged.
 */
static struct file *open_taken(const struct device_look *look)
{
	struct file *file;

	file = dentry_open(&look->path, O_RDONLY | O_NOATIME | O_LARGEFILE,
			   current_cred());
	if (IS_ERR(file) || file->f_mapping->host == look->host)
		return file;
	fput(file);
	return ERR_PTR(-ESTALE);
}

/**
 * qcow_device_open_file() - open a file of a device anew, for reading
 * @arg: @index, @image, QCOW_FILE_DATA in @flags, @number and @diskseq give the file;
 *	the result
 * @by: as for qcow_device_get()
 *
 * Context: may sleep, as long as the filesystem takes to open the file.
 *
 * Return: the open file; or an ERR_PTR: -ENODEV: there is no such device; -ESTALE: it
 * has another diskseq; -ENOENT: it has no such file; or the error of opening the file.
 */
struct file *qcow_device_open_file(struct qcow_ioc_file *arg,
				   const struct file *by)
{
	struct device_look look = { .arg = arg, .by = by };
	int ret = qcow_device_visit(arg->index, visit_to_take, &look);
	struct file *file;

	if (ret <= 0)
		return ERR_PTR(ret ?: -ENODEV);
	file = open_taken(&look);
	path_put(&look.path);
	iput(look.host);
	return file;
}

/* --- Finding the device of a file --- */

static bool is_same_file(const struct file *attached, const struct file *file)
{
	const struct inode *host = attached->f_mapping->host;
	const struct inode *inode = file_inode(file);

	if (S_ISBLK(inode->i_mode))
		return S_ISBLK(host->i_mode) &&
		       I_BDEV((struct inode *)host)->bd_dev == inode->i_rdev;
	/*
	 * The mappings are compared for filesystems stacked upon others: both may name
	 * one file.
	 */
	return inode == file_inode(attached) || file->f_mapping->host == host;
}

/* Return: true if the looked-for file is a file of an image; that is told. */
static bool tell_if_same(struct qcow_device *dev, struct device_look *look,
			 struct qcow_image *img, bool data, u32 number)
{
	struct file *file = image_file(img, data, number);

	if (!file || !is_same_file(file, look->file))
		return false;
	tell(look, dev, img, file);
	look->arg->number = number;
	return true;
}

/*
 * Look at the next files of an image, @left of them at most. Return: whether the file is
 * one of them.
 */
static bool find_in_image(struct qcow_device *dev, struct device_look *look,
			  struct qcow_image *img, u32 *left)
{
	if (!look->number && tell_if_same(dev, look, img, true, 0))
		return true;
	for (; look->number <= img->nr_files && *left; look->number++, --*left)
		if (tell_if_same(dev, look, img, false, look->number))
			return true;
	return false;
}

/*
 * Look at the next files of a device. Return: 1: it has the file; 0: it has not; -EAGAIN:
 * there are more to look at.
 */
static int find_next(struct qcow_device *dev, struct device_look *look)
{
	struct qcow_image *img = device_image(dev, look->image);
	u32 left = LOOK_FILES;

	/* Another chain: a job has ended meanwhile. */
	if (look->at && look->at != img) {
		look->image = 0;
		look->number = 0;
		img = dev->target.image;
	}
	for (; img; img = img->backing, look->image++, look->number = 0) {
		look->at = img;
		if (find_in_image(dev, look, img, &left)) {
			look->arg->image = look->image;
			return 1;
		}
		if (look->number <= img->nr_files)
			return -EAGAIN;
	}
	return 0;
}

static int visit_to_find(struct qcow_device *dev, void *arg)
{
	struct device_look *look = arg;
	int ret;

	look->image = 0;
	look->at = NULL;
	look->number = 0;
	do {
		spin_lock(&dev->chain_lock);
		ret = find_next(dev, look);
		spin_unlock(&dev->chain_lock);
		cond_resched();
	} while (ret == -EAGAIN);
	return ret;
}

/**
 * qcow_device_find_file() - find the device that a file belongs to
 * @arg: @index: the lowest number to look at; the result
 * @by: as for qcow_device_get(), but hidden devices of others are found, too, and get
 *	QCOW_FILE_HIDDEN
 * @file: the file
 *
 * Context: may sleep.
 *
 * Return: 0, or -ENOENT: no device has the file.
 */
int qcow_device_find_file(struct qcow_ioc_file *arg, const struct file *by,
			  const struct file *file)
{
	struct device_look look = { .arg = arg, .by = by, .file = file };

	if (!qcow_claim_known(file))
		return -ENOENT;
	return qcow_device_visit(arg->index, visit_to_find, &look) ? 0 : -ENOENT;
}
