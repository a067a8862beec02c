/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEBUGFS_H
#define _QCOW_DEBUGFS_H

#include "dev/device_state.h"

void qcow_debugfs_add(struct qcow_device *dev);
void qcow_debugfs_remove(struct qcow_device *dev);

int qcow_debugfs_init(void);
void qcow_debugfs_exit(void);

#endif /* _QCOW_DEBUGFS_H */
