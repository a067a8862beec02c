/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LOCK_H
#define _QCOWCTL_LOCK_H

#include "lib/file.h"

int lock_file(const struct file *f, bool write);
int lock_check_devices(const struct file *f, bool write);
int lock_file_again(const struct file *f);
void lock_own_device(int index);

#endif /* _QCOWCTL_LOCK_H */
