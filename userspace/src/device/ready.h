/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_READY_H
#define _QCOWCTL_READY_H

#include "device/attached.h"

/**
 * enum ready_state - of the nodes of a device and its partitions
 * @READY_ALL: all are in /dev
 * @READY_MISSING: one is not
 * @READY_UNSETTLED: all are there, but udev has not finished with them
 * @READY_GONE: the device has gone; another one may have its number
 */
enum ready_state {
	READY_ALL,
	READY_MISSING,
	READY_UNSETTLED,
	READY_GONE,
};

enum ready_state ready_wait(const struct device *device, u64 began);
int ready_open(const struct device *device);

#endif /* _QCOWCTL_READY_H */
