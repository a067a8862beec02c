/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_WRITE_H
#define _QCOWCTL_CHECK_WRITE_H

#include "check/check.h"

int check_write(struct check *c, const void *buf, size_t len, u64 host_offset);
int check_sync(struct check *c);
int check_write_header(struct check *c, const void *fields, size_t len, u64 host_offset);
int check_write_header_u64(struct check *c, u64 host_offset, u64 value);

#endif /* _QCOWCTL_CHECK_WRITE_H */
