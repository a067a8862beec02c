/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FMT_H
#define _QCOW_FMT_H

#include "meta/qcow.h"

int qcow_fmt_read_error(struct qcow_msg *msg, int err, const char *what);
int __must_check qcow_fmt_read_header(struct qcow_image *img,
				      struct qcow_header *h,
				      struct qcow_msg *msg);
int __must_check qcow_fmt_open_reading(struct qcow_image *img,
				       const struct qcow_header *h,
				       const struct qcow_params *params,
				       struct qcow_msg *msg);
int __must_check qcow_fmt_finish(struct qcow_image *img);
void qcow_fmt_close(struct qcow_image *img);
const char *qcow_map_table_format(const struct qcow_image *img);
int __must_check qcow_raw_sync(struct qcow_image *img);
int __must_check qcow_raw_sync_anew(struct qcow_image *img);

#endif /* _QCOW_FMT_H */
