/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the formats with tables share.
 */
#ifndef _QCOW_FMT_H
#define _QCOW_FMT_H

#include "qcow.h"

int qcow_fmt_read_error(struct qcow_msg *msg, int err, const char *what);
int __must_check qcow_fmt_read_l1(struct qcow_image *img,
				  const struct qcow_header *h,
				  struct qcow_msg *msg);
int __must_check qcow_fmt_open_cache(struct qcow_image *img, u32 slice_bits,
				     const struct qcow_params *params);
int __must_check qcow_fmt_open_comp(struct qcow_image *img,
				    const struct qcow_header *h,
				    const struct qcow_params *params);
int qcow_fmt_close(struct qcow_image *img);

#endif /* _QCOW_FMT_H */
