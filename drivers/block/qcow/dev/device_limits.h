/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_LIMITS_H
#define _QCOW_DEVICE_LIMITS_H

#include "dev/device_state.h"

struct queue_limits;

void qcow_device_set_limits(const struct qcow_device *dev, struct queue_limits *lim);

#endif /* _QCOW_DEVICE_LIMITS_H */
