/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_H
#define _QCOW_CTL_H

int qcow_ctl_init(void);
void qcow_ctl_exit(void);

#endif /* _QCOW_CTL_H */
