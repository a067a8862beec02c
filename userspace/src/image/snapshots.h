/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SNAPSHOTS_H
#define _QCOWCTL_SNAPSHOTS_H

#include "image/image.h"
#include "qcow/ondisk/entry.h"

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
const struct snapshot *snapshot_find(const struct snapshot *list, u32 nr, const char *wanted);

#endif /* _QCOWCTL_SNAPSHOTS_H */
