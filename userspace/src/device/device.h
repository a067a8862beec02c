/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DEVICE_H
#define _QCOWCTL_DEVICE_H

#include <linux/qcow.h>
#include <stdbool.h>

#include "qcow/ondisk/pure.h"

int device_control(void);
int device_control_quiet(void);
int device_status(int control, int index, struct qcow_ioc_status *status);
u32 device_openers(int control, int index);
bool device_exists(int index);
int device_query(int index, struct qcow_ioc_status *status);

#endif /* _QCOWCTL_DEVICE_H */
