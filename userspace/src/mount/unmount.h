/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNMOUNT_H
#define _QCOWCTL_UNMOUNT_H

int unmount_main(int argc, char **argv);

#endif /* _QCOWCTL_UNMOUNT_H */
