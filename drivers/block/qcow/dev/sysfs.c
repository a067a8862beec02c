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

#include "dev/child.h"
#include "dev/counters.h"
#include "dev/device_status.h"
#include "dev/sysfs.h"

/* A text that may be missing */
static const char *to_text(const char *text)
{
	return text ? text : "";
}

/* An attribute that shows @_value, an expression of the device @dev. */
#define QCOW_ATTR(_name, _format, _value)				\
static ssize_t _name##_show(struct device *device,			\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct qcow_device *dev = to_qcow(device);			\
									\
	return sysfs_emit(buf, _format "\n", _value);			\
}									\
static DEVICE_ATTR_RO(_name)

static ssize_t image_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	const struct qcow_image *img = qcow_device_image(to_qcow(dev));
	char *path = file_path(img->file.file, buf, PAGE_SIZE - 1);
	size_t len;

	if (IS_ERR(path))
		return PTR_ERR(path);
	len = strlen(path);
	memmove(buf, path, len);
	buf[len++] = '\n';
	return len;
}
static DEVICE_ATTR_RO(image);

/* The image's author chose the name: unprintable characters are escaped. */
static ssize_t snapshot_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	const char *name = to_qcow(dev)->snapshot;

	return name ? sysfs_emit(buf, "%*pE\n", (int)strlen(name), name) :
		      sysfs_emit(buf, "\n");
}
static DEVICE_ATTR_RO(snapshot);

static ssize_t parent_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	int index = qcow_child_parent(to_qcow(dev));

	return index < 0 ? sysfs_emit(buf, "\n") : sysfs_emit(buf, "qcow%d\n", index);
}
static DEVICE_ATTR_RO(parent);

QCOW_ATTR(alias, "%s", to_text(dev->alias));
QCOW_ATTR(format, "%s", qcow_image_format_name(qcow_device_image(dev)));
QCOW_ATTR(depth, "%u", READ_ONCE(dev->depth));
QCOW_ATTR(direct_io, "%d", dev->target.image->file.direct);
QCOW_ATTR(autoclear, "%d", qcow_device_detaches_itself(dev));
QCOW_ATTR(openers, "%u", disk_openers(dev->disk));
QCOW_ATTR(corrupt, "%d", qcow_device_damaged(dev));
QCOW_ATTR(offset, "%llu", dev->target.guest_offset);
QCOW_ATTR(temporary, "%d", qcow_device_is_temporary(dev));
QCOW_ATTR(untrusted, "%d", !!(dev->options.flags & QCOW_ATTACH_UNTRUSTED));

static struct attribute *qcow_attrs[] = {
	&dev_attr_image.attr,
	&dev_attr_alias.attr,
	&dev_attr_format.attr,
	&dev_attr_snapshot.attr,
	&dev_attr_parent.attr,
	&dev_attr_depth.attr,
	&dev_attr_direct_io.attr,
	&dev_attr_autoclear.attr,
	&dev_attr_openers.attr,
	&dev_attr_corrupt.attr,
	&dev_attr_offset.attr,
	&dev_attr_temporary.attr,
	&dev_attr_untrusted.attr,
	NULL,
};

static const struct attribute_group qcow_group = {
	.name = "qcow",
	.attrs = qcow_attrs,
};

const struct attribute_group *qcow_sysfs_groups[] = {
	&qcow_group,
	&qcow_counters_group,
	NULL,
};
