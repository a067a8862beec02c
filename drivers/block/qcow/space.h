/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SPACE_H
#define _QCOW_SPACE_H

#include "file.h"

int __must_check qcow_space_allocate(struct qcow_file *f, u64 pos, u64 len);
int __must_check qcow_space_punch(struct qcow_file *f, u64 pos, u64 len);
int __must_check qcow_space_zero(struct qcow_file *f, u64 pos, u64 len);
int __must_check qcow_space_truncate(struct qcow_file *f, u64 size);

#endif /* _QCOW_SPACE_H */
