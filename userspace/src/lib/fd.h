/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FD_H
#define _QCOWCTL_FD_H

#include "qcow/ondisk/pure.h"

int __must_check fd_read(int fd, void *buf, size_t len, u64 host_offset, size_t *got);
int __must_check fd_write(int fd, const void *buf, size_t len, u64 host_offset);

#endif /* _QCOWCTL_FD_H */
