/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The snapshots of an image, as a table or as JSON. snapshot.c and info_json.c call it.
 */
#ifndef _QCOWCTL_SNAPSHOT_H
#define _QCOWCTL_SNAPSHOT_H

#include "image/snapshots.h"

struct json_object;

struct json_object *snapshot_json(const struct image *img);
void snapshot_complete(const struct image *img);
int snapshot_print(const struct image *img, bool json);

#endif /* _QCOWCTL_SNAPSHOT_H */
