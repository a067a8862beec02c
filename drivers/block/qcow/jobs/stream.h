/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_STREAM_H
#define _QCOW_STREAM_H

#include "meta/qcow.h"

int __must_check qcow_stream_check(const struct qcow_image *img,
				   struct qcow_msg *msg);
int __must_check qcow_stream_some(struct qcow_image *img, u64 bytes);
int __must_check qcow_stream_cut_loose(struct qcow_image *img);

#endif /* _QCOW_STREAM_H */
