/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SNAPSHOT_H
#define _QCOW_SNAPSHOT_H

#include "alloc.h"

int __must_check qcow_snapshot_find(struct qcow_image *img,
				    const struct qcow_header *h,
				    const char *name, struct qcow_snapshot *s);
int __must_check qcow_snapshot_add_meta(struct qcow_alloc *a,
					const struct qcow_header *h);

#endif /* _QCOW_SNAPSHOT_H */
