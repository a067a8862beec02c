/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_DETACH_H
#define _QCOWCTL_DETACH_H

int detach_again(int index);

#endif /* _QCOWCTL_DETACH_H */
