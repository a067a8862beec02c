/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The output of the command info: info_text.c prints text, info_json.c makes JSON. info.c
 * finds the image or the device, and calls them; they change nothing.
 */
#ifndef _QCOWCTL_INFO_H
#define _QCOWCTL_INFO_H

#include <linux/qcow.h>

#include "image/image.h"

struct json_object;

void info_print_image(const struct image *img);
void info_print_device(const struct qcow_ioc_status *status);
struct json_object *info_json_image(const struct image *img);
struct json_object *info_json_device(const struct qcow_ioc_status *status);

#endif /* _QCOWCTL_INFO_H */
