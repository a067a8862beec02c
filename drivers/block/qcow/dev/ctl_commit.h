/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_COMMIT_H
#define _QCOW_CTL_COMMIT_H

#include <linux/compiler_types.h>

struct file;

long qcow_ctl_commit(const struct file *file, void __user *argp);

#endif /* _QCOW_CTL_COMMIT_H */
