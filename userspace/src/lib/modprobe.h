/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_MODPROBE_H
#define _QCOWCTL_MODPROBE_H

char *modprobe(const char *module);

#endif /* _QCOWCTL_MODPROBE_H */
