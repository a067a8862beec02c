/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FAULT_H
#define _QCOW_FAULT_H

#include <linux/types.h>

/*
 * Allocations that fail, by the kernel's fault injection. fault_begin() makes
 * it apply to all allocations of slabs and pages, quietly, until fault_end().
 * Return: whether the kernel can do that.
 */
bool fault_begin(void);
void fault_end(void);

/* All allocations fail, of this task or of all tasks. Nothing may be looked up meanwhile. */
void fault_starve(bool all_tasks);

/* They do not fail any more. Return: how many failed. */
u32 fault_feed(void);

/* The @nth allocation of this task fails, from 1. */
void fault_arm(u32 nth);

/* So do the next @nr - 1 of slabs: an allocation that is tried again fails, too. */
void fault_arm_row(u32 nth, u32 nr);

/* Return: whether an allocation has failed because of it. */
bool fault_disarm(void);

#endif /* _QCOW_FAULT_H */
