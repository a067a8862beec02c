/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_END_H
#define _QCOW_DEVICE_END_H

#include "dev/device_state.h"

int __must_check qcow_device_finish(struct qcow_device *dev);
int qcow_device_say(struct qcow_device *dev, struct qcow_msg *msg);

#endif /* _QCOW_DEVICE_END_H */
