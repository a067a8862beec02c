/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CHILD_H
#define _QCOW_CHILD_H

#include <linux/types.h>

struct qcow_device;
struct qcow_msg;

int __must_check qcow_child_join(struct qcow_device *child, struct qcow_device *parent);
struct qcow_device *qcow_child_leave(struct qcow_device *child);
void qcow_child_abandon(struct qcow_device *parent);
int __must_check qcow_child_refuse(struct qcow_device *parent, struct qcow_msg *msg);
int __must_check qcow_child_refuse_change(struct qcow_device *parent, u64 snapshot_l1,
					  struct qcow_msg *msg);
int qcow_child_parent(struct qcow_device *child);

#endif /* _QCOW_CHILD_H */
