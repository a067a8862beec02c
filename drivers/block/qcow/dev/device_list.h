/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_LIST_H
#define _QCOW_DEVICE_LIST_H

#include "dev/device_state.h"

struct qcow_ioc_status;

struct qcow_device *qcow_device_get(int index, const struct file *by);
void qcow_device_put(struct qcow_device *dev);
int qcow_device_visit(int index,
		      int (*visit)(struct qcow_device *dev, void *arg), void *arg);
int __must_check qcow_device_status(int index, const struct file *by,
				    struct qcow_ioc_status *st);

int __must_check qcow_device_list_add(struct qcow_device *dev, int want, struct qcow_msg *msg);
u32 qcow_device_list_count(void);
void qcow_device_list_remove(struct qcow_device *dev);
void qcow_device_list_publish(struct qcow_device *dev, struct qcow_device *ptr);
struct qcow_device *qcow_device_list_get_leaving(int index, const struct file *by);
struct qcow_device *qcow_device_list_next_of(const struct file *file, int *index);
int qcow_device_list_say_going(struct qcow_device *dev, struct qcow_msg *msg);
void qcow_device_list_exit(void);

#endif /* _QCOW_DEVICE_LIST_H */
