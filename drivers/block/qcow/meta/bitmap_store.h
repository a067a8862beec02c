/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITMAP_STORE_H
#define _QCOW_BITMAP_STORE_H

struct qcow_bitmap;
struct qcow_image;

int __must_check __qcow_bitmap_mark_in_use(struct qcow_image *img);
int __must_check __qcow_bitmap_store(struct qcow_image *img, bool final);
void __qcow_bitmap_release(struct qcow_image *img, struct qcow_bitmap *b);

#endif /* _QCOW_BITMAP_STORE_H */
