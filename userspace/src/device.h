/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DEVICE_H
#define _QCOWCTL_DEVICE_H

#include <linux/qcow.h>
#include <stdbool.h>

#include "qcow/pure.h"

int device_control(void);
int device_control_quiet(void);
int device_status(int control, int index, struct qcow_ioc_status *status);
u64 device_clock(void);
int device_wait(int index, u64 began);
u32 device_openers(int control, int index);
bool device_is(int index, const char *arg);
int device_find(const char *arg);
int device_of_image(const char *arg);
int device_index_of_name(const char *arg, bool *partition);
int device_query(int index, struct qcow_ioc_status *status);
int device_or_image(const char *arg, int *index);

#endif /* _QCOWCTL_DEVICE_H */
