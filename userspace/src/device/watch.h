/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_WATCH_H
#define _QCOWCTL_WATCH_H

int watch_ioctl(int control, int index, const char *what, unsigned long request, void *arg);

#endif /* _QCOWCTL_WATCH_H */
