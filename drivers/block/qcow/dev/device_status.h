/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_STATUS_H
#define _QCOW_DEVICE_STATUS_H

#include "dev/device_state.h"

struct qcow_ioc_status;

bool qcow_device_damaged(struct qcow_device *dev);
void qcow_device_fill_status(struct qcow_device *dev, struct qcow_ioc_status *st);

#endif /* _QCOW_DEVICE_STATUS_H */
