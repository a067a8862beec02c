/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DETACH_H
#define _QCOWCTL_DETACH_H

struct device;
struct qcow_ioc_detach;

int detach_ioctl(int control, struct qcow_ioc_detach *ioc);
int detach_again(const struct device *device);

#endif /* _QCOWCTL_DETACH_H */
