/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_H
#define _QCOW_CTL_H

#include "pure.h"

int qcow_ctl_copy_in(void *to, size_t size, size_t least,
		     const void __user *from);
void qcow_ctl_tell(u64 to_address, u32 size, const struct qcow_msg *msg);
long qcow_ctl_bitmap(const struct file *file, void __user *argp);
long qcow_ctl_file(const struct file *by, void __user *argp);
long qcow_ctl_commit(const struct file *file, void __user *argp);

int qcow_ctl_init(void);
void qcow_ctl_exit(void);

#endif /* _QCOW_CTL_H */
