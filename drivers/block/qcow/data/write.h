/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_WRITE_H
#define _QCOW_WRITE_H

#include "file/request.h"

void qcow_write(struct qcow_io *io);
void qcow_write_in_worker(struct qcow_io *io);
int __must_check qcow_write_sync(struct qcow_io *io);
int __must_check qcow_write_flush(struct qcow_image *img);
int __must_check qcow_write_flush_range(struct qcow_image *img, u64 guest_offset, u64 len);

#endif /* _QCOW_WRITE_H */
