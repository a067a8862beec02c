/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOLDER_IMAGE_H
#define _QCOWCTL_FOLDER_IMAGE_H

#include "image/image.h"
#include "vvfat/vvfat.h"

bool folder_image_wanted(u32 format);
int folder_image_load(struct image *img, const char *folder,
		      const struct vvfat_options *options);

#endif /* _QCOWCTL_FOLDER_IMAGE_H */
