/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_FILE_H
#define _QCOW_DEVICE_FILE_H

struct file;
struct qcow_ioc_file;

struct file *qcow_device_open_file(struct qcow_ioc_file *arg,
				   const struct file *by);
int __must_check qcow_device_find_file(struct qcow_ioc_file *arg,
				       const struct file *by,
				       const struct file *file);

#endif /* _QCOW_DEVICE_FILE_H */
