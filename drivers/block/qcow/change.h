/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CHANGE_H
#define _QCOW_CHANGE_H

#include "qcow.h"

struct qcow_device;
struct qcow_snap_request;

struct qcow_device *qcow_change_hold(int index, struct qcow_msg *msg);
void qcow_change_unhold(struct qcow_device *dev);
unsigned int qcow_change_freeze(struct qcow_device *dev);
void qcow_change_unfreeze(struct qcow_device *dev, unsigned int flags);
struct qcow_io qcow_change_io(const struct qcow_device *dev);

int __must_check qcow_change_size(int index, u64 bytes, u32 flags,
				  struct qcow_msg *msg);
int __must_check qcow_change_stream(int index, u64 bytes, u64 *done, u64 *total,
				    struct qcow_msg *msg);
int __must_check qcow_change_snapshot(int index, u32 op,
				      struct qcow_snap_request *req,
				      struct qcow_msg *msg);

#endif /* _QCOW_CHANGE_H */
