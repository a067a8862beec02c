/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_ZERO_H
#define _QCOW_ZERO_H

#include "file/request.h"

void qcow_zero(struct qcow_io *io);
void qcow_zero_in_worker(struct qcow_io *io);
int __must_check qcow_zero_sync(struct qcow_io *io);

#endif /* _QCOW_ZERO_H */
