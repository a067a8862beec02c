/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DEVICE_UNIT_H
#define _QCOWCTL_DEVICE_UNIT_H

int device_unit_write(const char *folder, const char *name);

#endif /* _QCOWCTL_DEVICE_UNIT_H */
