/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_COPY_H
#define _QCOW_CTL_COPY_H

#include "ondisk/pure.h"

int qcow_ctl_copy_in(void *to, size_t size, size_t least,
		     const void __user *from);
void qcow_ctl_tell(u64 to_address, u32 size, const struct qcow_msg *msg);

#endif /* _QCOW_CTL_COPY_H */
