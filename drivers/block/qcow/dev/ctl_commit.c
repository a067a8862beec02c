// SPDX-License-Identifier: GPL-2.0
/*
 * QCOW_IOC_COMMIT: commit into the backing file. Arguments are checked here;
 * job_commit.c does the steps.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/uaccess.h>
#include <uapi/linux/qcow.h>

#include "dev/job.h"
#include "dev/job_commit.h"
#include "dev/ctl_copy.h"
#include "dev/ctl_commit.h"
#include "meta/image.h"

static bool ctl_takes_file(const struct qcow_ioc_commit *arg)
{
	return arg->op == QCOW_COMMIT_OPEN || arg->op == QCOW_COMMIT_CLOSE;
}

static int ctl_check_commit(const struct qcow_ioc_commit *arg)
{
	bool run = arg->op == QCOW_COMMIT_RUN;

	if (arg->op < QCOW_COMMIT_OPEN || arg->op > QCOW_COMMIT_CLOSE ||
	    arg->flags || arg->msg_image || arg->done || arg->total ||
	    memchr_inv(arg->reserved, 0, sizeof(arg->reserved)))
		return -EINVAL;
	if (!arg->bytes == run)
		return -EINVAL;
	return ctl_takes_file(arg) || (arg->fd == -1 && arg->data_fd == -1) ?
	       0 : -EINVAL;
}

struct ctl_commit {
	struct qcow_job base;
	u32 op;
	struct qcow_commit_request *req;
	struct qcow_msg *msg;
};

static int ctl_commit_run(struct qcow_device *dev, struct qcow_job *base)
{
	struct ctl_commit *c = container_of(base, struct ctl_commit, base);

	switch (c->op) {
	case QCOW_COMMIT_OPEN:
		return qcow_job_commit_open(dev, c->req, c->msg);
	case QCOW_COMMIT_START:
		return qcow_job_commit_start(dev, c->req, c->msg);
	case QCOW_COMMIT_RUN:
		return qcow_job_commit_run(dev, c->req, c->msg);
	}
	return qcow_job_commit_close(dev, c->req, c->msg);
}

static int ctl_commit_do(const struct file *file, const struct qcow_ioc_commit *arg,
			 struct qcow_commit_request *req, struct qcow_msg *msg)
{
	struct qcow_which which = { arg->index, arg->diskseq, file };
	struct qcow_device *dev = qcow_job_hold(&which, msg);
	struct ctl_commit c = {
		.base = {
			.run = ctl_commit_run,
			.any_signal = arg->op == QCOW_COMMIT_START ||
				      arg->op == QCOW_COMMIT_RUN,
		},
		.op = arg->op,
		.req = req,
		.msg = msg,
	};
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	err = qcow_job_run(dev, &c.base);
	qcow_job_unhold(dev);
	return err;
}

/* Take references to the files of the argument, and do the step with them. */
static int ctl_commit_files(const struct file *file, const struct qcow_ioc_commit *arg,
			    struct qcow_commit_request *req, struct qcow_msg *msg)
{
	struct qcow_source src = { };
	int err = 0;

	req->src = &src;
	if (ctl_takes_file(arg)) {
		src.file = fget(arg->fd);
		src.data_file = arg->data_fd < 0 ? NULL : fget(arg->data_fd);
		if (!src.file || (arg->data_fd >= 0 && !src.data_file))
			err = -EBADF;
	}
	if (!err)
		err = ctl_commit_do(file, arg, req, msg);
	if (src.file)
		fput(src.file);
	if (src.data_file)
		fput(src.data_file);
	return err;
}

long qcow_ctl_commit(const struct file *file, void __user *argp)
{
	struct qcow_ioc_commit __user *uarg = argp;
	struct qcow_commit_request req = {};
	struct qcow_ioc_commit arg;
	struct qcow_msg msg = { };
	int err;

	err = qcow_ctl_copy_in(&arg, sizeof(arg), QCOW_COMMIT_SIZE_V1, argp);
	if (!err)
		err = ctl_check_commit(&arg);
	if (err)
		return err;
	req.bytes = arg.bytes;
	err = ctl_commit_files(file, &arg, &req, &msg);
	if (err)
		qcow_ctl_tell(arg.msg, arg.msg_size, &msg);
	if (put_user(req.done, &uarg->done) ||
	    put_user(req.total, &uarg->total) ||
	    put_user((u32)req.below, &uarg->msg_image))
		return err ?: -EFAULT;
	return err;
}
