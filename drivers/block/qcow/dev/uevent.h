/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_UEVENT_H
#define _QCOW_UEVENT_H

#include "dev/device_state.h"

void qcow_uevent_init_device(struct qcow_device *dev);
void qcow_uevent_open(struct qcow_device *dev);

int qcow_uevent_init(void);
void qcow_uevent_exit(void);

#endif /* _QCOW_UEVENT_H */
