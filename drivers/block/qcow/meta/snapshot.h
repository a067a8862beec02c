/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SNAPSHOT_H
#define _QCOW_SNAPSHOT_H

#include <linux/sizes.h>

#include "meta/state.h"

/*
 * Most bytes of the L1 tables of all snapshots together. With clusters of 64 KiB each
 * takes 16 bytes a GiB of disk.
 */
#define QCOW_SNAPSHOT_MAX_L1_BYTES	SZ_1G

/* Return: number of snapshots of an image that is written. */
static inline u32 qcow_snapshot_nr(const struct qcow_image *img)
{
	return img->alloc->snapshots.nr;
}

int __must_check qcow_snapshot_find(struct qcow_image *img,
				    const struct qcow_header *h,
				    const char *name, struct qcow_snapshot *s);
u64 qcow_snapshot_sum(const struct qcow_alloc *a, const void *table, size_t bytes);
int __must_check qcow_snapshot_add_meta(struct qcow_alloc *a,
					const struct qcow_header *h);
int __must_check qcow_snapshot_check_counted(struct qcow_alloc *a);

#endif /* _QCOW_SNAPSHOT_H */
