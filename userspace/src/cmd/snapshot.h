/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The snapshot table of an image, which snapshot_list.c reads from the file. snapshot.c and
 * info_json.c call it. Only the driver changes the table, for snapshot.c.
 */
#ifndef _QCOWCTL_SNAPSHOT_H
#define _QCOWCTL_SNAPSHOT_H

#include "image/image.h"
#include "qcow/ondisk/entry.h"

struct json_object;

/**
 * struct snapshot - an internal snapshot of an image
 * @s: its entry, decoded
 * @id: its id
 * @name: its name
 */
struct snapshot {
	struct qcow_snapshot s;
	char *id;
	char *name;
};

int snapshot_read_all(const struct image *img, struct snapshot **list);
void snapshot_free_all(struct snapshot *list, u32 nr);
struct json_object *snapshot_json(const struct image *img);
int snapshot_print(const struct image *img, bool json);

#endif /* _QCOWCTL_SNAPSHOT_H */
