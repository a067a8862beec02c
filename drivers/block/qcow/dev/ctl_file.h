/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_FILE_H
#define _QCOW_CTL_FILE_H

#include <linux/compiler_types.h>

struct file;

long qcow_ctl_file(const struct file *by, void __user *argp);

#endif /* _QCOW_CTL_FILE_H */
