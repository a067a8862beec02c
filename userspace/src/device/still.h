/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_STILL_H
#define _QCOWCTL_STILL_H

#include "device/attached.h"

bool still_attached(const struct device *d);
bool still_opened(int fd, const struct device *d);

#endif /* _QCOWCTL_STILL_H */
