/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_READ_H
#define _QCOW_READ_H

#include "file/request.h"

void qcow_read(struct qcow_io *io);
void qcow_read_in_worker(struct qcow_io *io);
int __must_check qcow_read_sync(struct qcow_image *img, struct bio *bio, u64 guest_offset,
				void *buf, size_t len);

#endif /* _QCOW_READ_H */
