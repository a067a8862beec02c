/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RESIZE_H
#define _QCOW_RESIZE_H

#include "meta/pause.h"
#include "meta/qcow.h"

/**
 * struct qcow_resize_ops - the device of a disk that gets another size
 * @pause: holds up all I/O that may use the disk
 * @show: give the device this size; no request goes beyond when it returns. Return: 0;
 *	-EBUSY: the device would shrink, and is open
 */
struct qcow_resize_ops {
	struct qcow_pause *pause;
	int (*show)(struct qcow_resize_ops *ops, u64 bytes);
};

int __must_check qcow_resize(struct qcow_image *img, u64 size,
			     struct qcow_resize_ops *ops, struct qcow_msg *msg);
int __must_check qcow_resize_max(const struct qcow_image *img, u64 *size,
				 struct qcow_msg *msg);

#endif /* _QCOW_RESIZE_H */
