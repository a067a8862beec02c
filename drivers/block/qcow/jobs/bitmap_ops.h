/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITMAP_OPS_H
#define _QCOW_BITMAP_OPS_H

#include "meta/qcow.h"

int __must_check qcow_bitmap_add(struct qcow_image *img, const char *name,
				 u64 granularity, struct qcow_msg *msg);
int __must_check qcow_bitmap_remove(struct qcow_image *img, const char *name,
				    struct qcow_msg *msg);
int __must_check qcow_bitmap_enable(struct qcow_image *img, const char *name,
				    bool enable, struct qcow_msg *msg);
int __must_check qcow_bitmap_clear(struct qcow_image *img, const char *name,
				   struct qcow_msg *msg);

#endif /* _QCOW_BITMAP_OPS_H */
