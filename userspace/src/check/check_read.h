/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_READ_H
#define _QCOWCTL_CHECK_READ_H

#include "check/check.h"

int __must_check check_read(struct check *c, void *buf, u64 len, u64 host_offset);
int check_refuse_unread(const struct check *c, const struct check *unread);

#endif /* _QCOWCTL_CHECK_READ_H */
