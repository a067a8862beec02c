/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_REFS_H
#define _QCOWCTL_CHECK_REFS_H

#include "check/check.h"

void check_found(struct check *c, const char *fmt, ...) __printf(2, 3);
int check_give_up(struct check *c, const char *why);
bool check_ended(const struct check *c);
int check_reference(struct check *c, u64 host_offset, u64 size, u64 times);
int check_table(struct check *c, u64 host_offset, u64 size);
int check_read_table(struct check *c, void *buf, u64 len, u64 host_offset);
int check_disk_refcount(struct check *c, u64 cluster, u64 *refcount);
void check_forget_blocks(struct check *c);
bool check_block_missing(const struct check *c, u64 cluster);
void check_compare(struct check *c);
void check_overlaps(struct check *c);
void check_empty_table(struct check *c, u64 host_offset);
void check_unallocated(struct check *c, u64 host_offset);
int check_refblocks(struct check *c);

#endif /* _QCOWCTL_CHECK_REFS_H */
