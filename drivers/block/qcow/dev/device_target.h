/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_TARGET_H
#define _QCOW_DEVICE_TARGET_H

#include "dev/device_state.h"

int __must_check qcow_device_alloc_target(struct qcow_device *dev,
					  const struct qcow_source *sources);
int qcow_device_free_target(struct qcow_device *dev);

#endif /* _QCOW_DEVICE_TARGET_H */
