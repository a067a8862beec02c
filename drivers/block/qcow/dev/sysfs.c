// SPDX-License-Identifier: GPL-2.0
/*
 * The attributes in /sys/block/qcowN/qcow/, one value a file. Documentation/ABI
 * describes them.
 *
 * device.c removes the files with the disk, before it closes the images.
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/sysfs.h>
#include <uapi/linux/qcow.h>

#include "dev/device_status.h"
#include "dev/sysfs.h"

static struct qcow_device *to_qcow(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static ssize_t image_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct file *file = to_qcow(dev)->target.image->file.file;
	char *path = file_path(file, buf, PAGE_SIZE - 1);
	size_t len;

	if (IS_ERR(path))
		return PTR_ERR(path);
	len = strlen(path);
	memmove(buf, path, len);
	buf[len++] = '\n';
	return len;
}
static DEVICE_ATTR_RO(image);

static ssize_t format_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", to_qcow(dev)->target.image->ops->name);
}
static DEVICE_ATTR_RO(format);

/* The image's author chose the name: unprintable characters are escaped. */
static ssize_t snapshot_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	const char *name = to_qcow(dev)->snapshot;

	return name ? sysfs_emit(buf, "%*pE\n", (int)strlen(name), name) :
		      sysfs_emit(buf, "\n");
}
static DEVICE_ATTR_RO(snapshot);

static ssize_t depth_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_qcow(dev)->depth));
}
static DEVICE_ATTR_RO(depth);

static ssize_t direct_io_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n", to_qcow(dev)->target.image->file.direct);
}
static DEVICE_ATTR_RO(direct_io);

static ssize_t autoclear_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_qcow(dev)->lazy));
}
static DEVICE_ATTR_RO(autoclear);

static ssize_t openers_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", disk_openers(dev_to_disk(dev)));
}
static DEVICE_ATTR_RO(openers);

static ssize_t corrupt_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", qcow_device_damaged(to_qcow(dev)));
}
static DEVICE_ATTR_RO(corrupt);

static ssize_t offset_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_qcow(dev)->target.offset);
}
static DEVICE_ATTR_RO(offset);

static ssize_t untrusted_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  !!(to_qcow(dev)->flags & QCOW_ATTACH_UNTRUSTED));
}
static DEVICE_ATTR_RO(untrusted);

static struct attribute *qcow_attrs[] = {
	&dev_attr_image.attr,
	&dev_attr_format.attr,
	&dev_attr_snapshot.attr,
	&dev_attr_depth.attr,
	&dev_attr_direct_io.attr,
	&dev_attr_autoclear.attr,
	&dev_attr_openers.attr,
	&dev_attr_corrupt.attr,
	&dev_attr_offset.attr,
	&dev_attr_untrusted.attr,
	NULL,
};

static const struct attribute_group qcow_group = {
	.name = "qcow",
	.attrs = qcow_attrs,
};

const struct attribute_group *qcow_sysfs_groups[] = { &qcow_group, NULL };
