/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DETACH_H
#define _QCOWCTL_DETACH_H

struct in_use;

int detach_device(int index);
void detach_report_users(int control, const struct in_use *u, int index);

#endif /* _QCOWCTL_DETACH_H */
