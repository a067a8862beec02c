/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SPACE_H
#define _QCOW_SPACE_H

#include <linux/sizes.h>

#include "file/file.h"

/* A buffer of zeros to write from. */
#define QCOW_ZEROS_BYTES	SZ_1M
#define QCOW_ZEROS_ORDER	4
#define QCOW_ZEROS_BVECS	(QCOW_ZEROS_BYTES >> (PAGE_SHIFT + QCOW_ZEROS_ORDER))

extern struct bio_vec qcow_zeros[QCOW_ZEROS_BVECS];

int __must_check qcow_space_allocate(struct qcow_file *f, u64 host_offset, u64 len);
int __must_check qcow_space_punch(struct qcow_file *f, u64 host_offset, u64 len);
int __must_check qcow_space_zero(struct qcow_file *f, u64 host_offset, u64 len);
bool qcow_space_is_hole(struct qcow_file *f, u64 host_offset, u64 len);
int __must_check qcow_space_renew(struct qcow_file *f, u64 host_offset, u64 len);
int __must_check qcow_space_truncate(struct qcow_file *f, u64 size);

int qcow_space_init(void);
void qcow_space_exit(void);
int __must_check qcow_space_secure(struct qcow_file *f, u64 host_offset, u64 len);

#endif /* _QCOW_SPACE_H */
