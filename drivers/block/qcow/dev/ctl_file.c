// SPDX-License-Identifier: GPL-2.0
/*
 * QCOW_IOC_FILE: the files of devices. Arguments are checked here; device_file.c does
 * the work.
 */
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/uaccess.h>
#include <uapi/linux/qcow.h>

#include "dev/ctl_copy.h"
#include "dev/ctl_file.h"
#include "dev/device.h"
#include "dev/device_file.h"

static int ctl_check_file(const struct qcow_ioc_file *arg)
{
	bool open = arg->op == QCOW_FILE_OPEN;

	if ((!open && arg->op != QCOW_FILE_FIND) || arg->index < 0)
		return -EINVAL;
	if (arg->flags & (open ? ~QCOW_FILE_DATA : ~0U))
		return -EINVAL;
	if (!open && (arg->image || arg->number || arg->diskseq))
		return -EINVAL;
	if (arg->format ||
	    memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	return 0;
}

static int ctl_tell_file(void __user *argp, const struct qcow_ioc_file *arg)
{
	return copy_to_user(argp, arg, min_t(size_t, arg->size, sizeof(*arg))) ?
	       -EFAULT : 0;
}

static int ctl_open_file(const struct file *by, struct qcow_ioc_file *arg,
			 void __user *argp)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;
	int err;

	if (fd < 0)
		return fd;
	file = qcow_device_open_file(arg, by);
	arg->fd = fd;
	err = IS_ERR(file) ? PTR_ERR(file) : ctl_tell_file(argp, arg);
	if (!err) {
		fd_install(fd, file);
		return 0;
	}
	if (!IS_ERR(file))
		fput(file);
	put_unused_fd(fd);
	return err;
}

static int ctl_find_file(const struct file *by, struct qcow_ioc_file *arg,
			 void __user *argp)
{
	struct file *file = fget_raw(arg->fd);
	int err;

	if (!file)
		return -EBADF;
	err = qcow_device_find_file(arg, by, file);
	fput(file);
	return err ?: ctl_tell_file(argp, arg);
}

long qcow_ctl_file(const struct file *by, void __user *argp)
{
	struct qcow_ioc_file arg;
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_FILE_SIZE_V1, argp);
	if (!err)
		err = ctl_check_file(&arg);
	if (err)
		return err;
	return arg.op == QCOW_FILE_OPEN ? ctl_open_file(by, &arg, argp) :
					  ctl_find_file(by, &arg, argp);
}
