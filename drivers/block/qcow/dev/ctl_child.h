/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CTL_CHILD_H
#define _QCOW_CTL_CHILD_H

struct file;
struct qcow_device;
struct qcow_ioc_attach;
struct qcow_msg;
struct qcow_source;

struct qcow_device *qcow_ctl_child_begin(struct qcow_ioc_attach *arg,
					 const struct file *by, struct qcow_msg *msg);
int __must_check qcow_ctl_child_sources(const struct qcow_device *parent,
					struct qcow_source *sources);

#endif /* _QCOW_CTL_CHILD_H */
