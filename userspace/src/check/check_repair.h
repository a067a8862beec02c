/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_REPAIR_H
#define _QCOWCTL_CHECK_REPAIR_H

#include "check/check.h"

enum check_repair {
	CHECK_REPAIR_NONE,
	CHECK_REPAIR_LEAKS,
	CHECK_REPAIR_ALL,
};

/* check_repair.c */
int check_repair(struct check *c, enum check_repair mode);
int check_mark_clean(struct check *c);
int check_write(struct check *c, const void *buf, size_t len, u64 offset);
int check_sync(struct check *c);

int check_raise(struct check *c);

/* check_doubt.c */
int check_doubt(const struct check *c);

/* check_snapshots.c */
int check_complete_snapshots(struct check *c);

/* check_rebuild.c */
int check_rebuild(struct check *c);

#endif /* _QCOWCTL_CHECK_REPAIR_H */
