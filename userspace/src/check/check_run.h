/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_RUN_H
#define _QCOWCTL_CHECK_RUN_H

#include "check/check.h"

void check_init(struct check *c, struct file *f, const struct qcow_header *h,
		const u8 *start, size_t start_len);
int check_run(struct check *c);
void check_free(struct check *c);

#endif /* _QCOWCTL_CHECK_RUN_H */
