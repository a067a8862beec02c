/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RESIZE_H
#define _QCOW_RESIZE_H

#include "qcow.h"

int __must_check qcow_resize(const struct qcow_io *like, u64 size,
			     struct qcow_msg *msg);
int __must_check qcow_resize_max(const struct qcow_image *img, u64 *size,
				 struct qcow_msg *msg);

#endif /* _QCOW_RESIZE_H */
