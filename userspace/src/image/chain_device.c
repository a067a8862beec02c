// SPDX-License-Identifier: GPL-2.0
/*
 * The chain of a device: the very files that are attached, which the driver opens anew.
 */
#include <stdlib.h>

#include "image/chain_device.h"
#include "image/parents.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* The data file of the image of a number, if that has one. */
static int open_device_data(struct image *img, int control,
			    const struct device *d, u32 number)
{
	int ret;

	if (!image_has_data_file(img))
		return 0;
	ret = attached_open(&img->data, NULL, control, d, number, QCOW_FILE_DATA);
	if (ret > 0)
		report(img->file.name, "has become another image meanwhile; do it again");
	return ret ? -1 : 0;
}

/* An extent of an image that is being loaded, which the driver has by number. */
struct part {
	int control;
	const struct device *d;
	u32 image;
	u32 number;
	const struct chain_options *o;
};

/* The parser asks for extents in the order that it had when the image was attached. */
static int open_part(void *arg, struct file *f, const char *name)
{
	struct part *part = arg;
	int ret = attached_open_part(f, part->control, part->d, part->image, ++part->number);

	if (ret > 0)
		report(name, "is not attached as an extent of the image, which has changed meanwhile; attach it anew");
	return ret ? -1 : 0;
}

static void tell_fault(void *arg, bool leak, const char *text)
{
	const struct part *part = arg;

	part->o->fault(part->o->arg, leak, text);
}

/* The name of the format of an image of a foreign format, as far as it can be told. */
static u32 foreign_format_of(const struct chain *c, const struct image *img,
			     const struct device *d)
{
	char *attr;
	u32 format;

	if (img != c->images && img[-1].foreign)
		return parents_format(img - 1);
	if (img != c->images) {
		format = image_format(img[-1].header.backing_format);
		return format >= IMAGE_FORMAT_FOREIGN ? format : 0;
	}
	attr = sysfs_attr(d->index, "format");
	format = attr ? image_format(attr) : 0;
	free(attr);
	return format >= IMAGE_FORMAT_FOREIGN ? format : 0;
}

/* Whether a device shows a disk of so many bytes, as far as its size tells. */
static bool has_size(const struct device *d, u64 bytes)
{
	u64 sectors = 0, disk_offset = 0;

	if (!sysfs_read_u64(&sectors, "/sys/block/qcow%d/size", d->index))
		return true;
	(void)sysfs_read_u64(&disk_offset, "/sys/block/qcow%d/qcow/offset", d->index);
	return disk_offset ? sectors * SZ_512 < bytes : sectors * SZ_512 == bytes;
}

/*
 * A device does not tell the member of an archive. Of several disks the parser takes none; but
 * a member that is no disk of its own may be attached.
 */
static int check_member(const struct image *img, const struct device *d)
{
	const struct parsed *p = img->foreign ? &img->foreign->parsed : NULL;

	if (!p || p->disk_format == p->format || has_size(d, image_disk_size(img)))
		return 0;
	report(img->file.name, "is an archive whose only disk has another size than the device; in place of the device name one, such as %s:MEMBER",
	       img->file.name);
	return -1;
}

static int load_device_image(struct chain *c, struct image *img, u32 format, int control,
			     const struct device *d, const struct chain_options *o)
{
	struct part part = {
		.control = control, .d = d, .image = img - c->images, .o = o,
	};
	const struct foreign_image_how how = {
		.want = o->want,
		.expand_max = o->expand_max,
		.open = open_part,
		.fault = o->fault ? tell_fault : NULL,
		.arg = &part,
	};

	if (format == QCOW_FORMAT_MAP)
		format = foreign_format_of(c, img, d);
	if (image_load(img, format, IMAGE_GUESS_NONE, &how))
		return -1;
	return img == c->images ? check_member(img, d) : 0;
}

/* Return: 0; 1: the chain has ended; or -1 after printing the error. */
static int add_device_image(struct chain *c, int control, const struct device *d,
			    const struct chain_options *o)
{
	struct image *img = &c->images[c->nr];
	u32 format;
	int ret = attached_open(&img->file, &format, control, d, c->nr, 0);

	if (ret > 0)
		return 1;
	c->nr++;
	if (ret || load_device_image(c, img, format, control, d, o))
		return -1;
	if (c->nr > 1) {
		free(img[-1].backing_path);
		img[-1].backing_path = xstrdup(img->file.name);
	}
	return o->top_only ? 0 : open_device_data(img, control, d, c->nr - 1);
}

/* The path of the backing file, which is not opened otherwise. */
static int name_device_backing(struct image *img, int control,
			       const struct device *d)
{
	struct file f;
	int ret = img->backing ? attached_open(&f, NULL, control, d, 1, 0) : 1;

	if (!ret) {
		free(img->backing_path);
		img->backing_path = xstrdup(f.name);
	}
	if (img->backing)
		file_close(&f);
	return ret < 0 ? -1 : 0;
}

/**
 * chain_open_device() - open the files of a device for reading
 * @c: the result; chain_close() it, after a failure too
 * @control: the driver's control node, or -1: open it
 * @d: the device
 * @o: whether its image alone, and the reason why images of foreign formats are parsed
 *
 * These are the files that are attached, whatever has their names by now. They are not
 * locked.
 *
 * Return: 0, or -1 after printing the error.
 */
int chain_open_device(struct chain *c, int control, const struct device *d,
		      const struct chain_options *o)
{
	int ret;

	memset(c, 0, sizeof(*c));
	c->images = xcalloc(QCOW_MAX_IMAGES, sizeof(*c->images));
	do
		ret = add_device_image(c, control, d, o);
	while (!ret && !o->top_only && c->nr < QCOW_MAX_IMAGES);
	if (!ret && o->top_only)
		ret = name_device_backing(c->images, control, d);
	return ret < 0 || !c->nr ? -1 : 0;
}
