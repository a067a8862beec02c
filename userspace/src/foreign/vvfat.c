// SPDX-License-Identifier: GPL-2.0
/*
 * A folder that is shown as a disk is a format by its name alone: image/folder_image.c makes
 * the table, for there is nothing to parse.
 */
#include "foreign/formats.h"

static int vvfat_open(struct foreign *f)
{
	return foreign_unsupported(f, "is named as a folder (vvfat), and only the image that is attached can be one; convert it with qemu-img convert -O qcow2");
}

static int vvfat_find(struct foreign *f, u64 guest_offset, struct foreign_piece *p)
{
	(void)guest_offset;
	(void)p;
	return vvfat_open(f);
}

const struct foreign_format foreign_vvfat = {
	.name = "vvfat",
	.title = "folder",
	.open = vvfat_open,
	.find = vvfat_find,
};
