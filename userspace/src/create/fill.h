/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FILL_H
#define _QCOWCTL_FILL_H

#include "create/params.h"

int fill_file(int fd, u64 old_size, u64 new_size, enum create_preallocation how);

#endif /* _QCOWCTL_FILL_H */
