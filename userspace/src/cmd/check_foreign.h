/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_FOREIGN_H
#define _QCOWCTL_CHECK_FOREIGN_H

#include "device/attached.h"

bool check_is_foreign(const struct file *f, u32 format);
int check_foreign(const char *name, const struct device *d, u32 format, bool json);

#endif /* _QCOWCTL_CHECK_FOREIGN_H */
