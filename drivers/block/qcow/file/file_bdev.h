/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FILE_BDEV_H
#define _QCOW_FILE_BDEV_H

#include <linux/bio.h>

#include "file/request.h"

bool qcow_bdev_is_cached(const struct qcow_file_req *req);
bool qcow_bdev_takes(const struct qcow_file_req *req);
void qcow_bdev_submit(struct qcow_file_req *req, bio_end_io_t *end_io);

#endif /* _QCOW_FILE_BDEV_H */
