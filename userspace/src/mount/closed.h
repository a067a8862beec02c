/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CLOSED_H
#define _QCOWCTL_CLOSED_H

#include <linux/qcow.h>

#include "device/attached.h"

int closed_wait(const struct device *d, struct qcow_msg *msg);

#endif /* _QCOWCTL_CLOSED_H */
