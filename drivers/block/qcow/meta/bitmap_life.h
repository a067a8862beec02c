/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITMAP_LIFE_H
#define _QCOW_BITMAP_LIFE_H

#include "meta/qcow.h"

int __must_check qcow_bitmap_open(struct qcow_image *img,
				  const struct qcow_header *h,
				  struct qcow_msg *msg);
bool qcow_bitmap_kept(const struct qcow_image *img);
int __must_check qcow_bitmap_start(struct qcow_image *img);
int __must_check qcow_bitmap_close(struct qcow_image *img);
void qcow_bitmap_destroy(struct qcow_image *img);

#endif /* _QCOW_BITMAP_LIFE_H */
