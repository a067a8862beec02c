// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl commit: write the data of an image to its backing file, while
 * the disk is in use.
 *
 * The driver has the backing file open for reading, with a reader's locks. It gets
 * another open file in its place, which has such locks first and a writer's then:
 * the file is never without, and nobody else's are overlooked. At the end it is the
 * other way round.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "cmd/command.h"
#include "cmd/work.h"
#include "image/lock.h"
#include "lib/progress.h"
#include "lib/report.h"

/**
 * struct below - the backing file of the image
 * @file: the backing file
 * @data: its external data file; closed if it has none
 * @has_data: it has one
 */
struct below {
	struct file file;
	struct file data;
	bool has_data;
};

static void below_close(struct below *b)
{
	file_close(&b->file);
	file_close(&b->data);
}

/* Open the file that the driver handed out for writing. */
static int make_writable(struct file *f)
{
	struct file reading = *f;
	int err = file_reopen_write(f, &reading);

	file_close(&reading);
	return err;
}

/* Return: 0; 1: there is no such file; or -1 after printing the error. */
static int below_open_file(struct file *f, const struct operand *o, u32 flags,
			   bool write)
{
	const struct device d = operand_device(o);
	int ret = attached_open(f, NULL, o->control, &d, 1, flags);

	return ret || !write ? ret : make_writable(f);
}

static int refuse_not_committed(const struct operand *o)
{
	struct qcow_ioc_status status;

	if (operand_status(o, &status))
		return -1;
	if (status.flags & QCOW_ATTACH_TEMPORARY) {
		report(o->name, "is temporary: its writes go when it is detached; copy its disk if you want to keep it");
		return -1;
	}
	if (status.format != QCOW_FORMAT_RAW)
		return 0;
	report(o->name, "is raw and has no backing file; see qcowctl info");
	return -1;
}

/*
 * Open the backing file: the very file that is attached, for that one was allowed, and
 * the image may name another by now.
 */
static int below_open(struct below *b, const struct operand *o, bool write)
{
	int ret;

	*b = (struct below) { .file.fd = -1, .data.fd = -1 };
	if (refuse_not_committed(o))
		return -1;
	ret = below_open_file(&b->file, o, 0, write);
	if (ret > 0)
		report(o->name, "has no backing file; see qcowctl info");
	if (ret)
		return -1;
	ret = below_open_file(&b->data, o, QCOW_FILE_DATA, write);
	b->has_data = !ret;
	return ret < 0 ? -1 : 0;
}

static int below_lock(const struct below *b, bool write)
{
	if (lock_file(&b->file, write))
		return -1;
	return b->has_data ? lock_file(&b->data, write) : 0;
}

/* The backing file's name for a message, to free. */
static char *below_name(const struct operand *o)
{
	struct file f;
	char *name = NULL;

	if (!below_open_file(&f, o, 0, false))
		name = xstrdup(f.name);
	file_close(&f);
	return name ? name : xstrdup("the backing file");
}

static void report_step(const struct operand *o, const struct below *b, int err,
			const struct qcow_ioc_commit *ioc, struct qcow_msg *msg)
{
	char *name;

	report_from_driver(msg);
	if (!ioc->msg_image || !msg->text[0]) {
		report_msg(o->name, err, msg);
		return;
	}
	name = b ? xstrdup(b->file.name) : below_name(o);
	report_msg(name, err, msg);
	free(name);
}

/* Return: 0 or a negative errno; errors are printed unless they are -ENOTCONN or -EINTR. */
static int commit_ioctl(const struct operand *o, struct qcow_ioc_commit *ioc,
			const struct below *b)
{
	struct qcow_msg msg = { };
	int err;

	ioc->size = sizeof(*ioc);
	ioc->index = o->index;
	ioc->diskseq = o->diskseq;
	ioc->fd = b && b->file.name ? b->file.fd : -1;
	ioc->data_fd = b && b->has_data ? b->data.fd : -1;
	if (ioc->op != QCOW_COMMIT_OPEN && ioc->op != QCOW_COMMIT_CLOSE)
		ioc->fd = ioc->data_fd = -1;
	ioc->msg = (uintptr_t)msg.text;
	ioc->msg_size = sizeof(msg.text);
	err = ioctl(o->control, QCOW_IOC_COMMIT, ioc) ? -errno : 0;
	if (err && err != -EINTR && err != -ENOTCONN)
		report_step(o, b, err, ioc, &msg);
	return err;
}

/* The backing file is only read again. */
static int commit_end(const struct operand *o)
{
	struct qcow_ioc_commit ioc = { .op = QCOW_COMMIT_CLOSE };
	struct below b;
	int err;

	err = below_open(&b, o, false);
	if (!err)
		err = lock_file_again(&b.file);
	if (!err && b.has_data)
		err = lock_file_again(&b.data);
	if (!err)
		err = commit_ioctl(o, &ioc, &b);
	below_close(&b);
	/* Somebody else did so. */
	return err && err != -ENOTCONN ? -1 : 0;
}

/*
 * Its locks are those of a reader here. Return: 0; -EINTR: a signal ended it; or another
 * error after printing the error. The backing file is only read again then.
 */
static int commit_start(const struct operand *o, const struct below *b)
{
	struct qcow_ioc_commit ioc = { .op = QCOW_COMMIT_START };
	int err = below_lock(b, true);

	/* The driver does not know of a signal that came before. */
	if (!err)
		err = progress_stopped() ? -EINTR : commit_ioctl(o, &ioc, b);
	if (err && commit_end(o))
		return -1;
	return err;
}

/* Return: as commit_start(). */
static int commit_open(const struct operand *o)
{
	struct qcow_ioc_commit ioc = { .op = QCOW_COMMIT_OPEN };
	struct below b;
	int err;

	lock_own_device(o->index);
	err = below_open(&b, o, true);
	if (!err)
		err = below_lock(&b, false);
	if (!err)
		err = commit_ioctl(o, &ioc, &b);
	if (!err)
		err = commit_start(o, &b);
	below_close(&b);
	return err;
}

static int commit_run(const struct operand *o, struct qcow_ioc_commit *ioc)
{
	*ioc = (struct qcow_ioc_commit) {
		.op = QCOW_COMMIT_RUN,
		.bytes = WORK_STEP_BYTES,
	};
	return commit_ioctl(o, ioc, NULL);
}

/* Resume an interrupted commit, or begin one. */
static int commit_begin(const struct operand *o, struct qcow_ioc_commit *ioc)
{
	int err = commit_run(o, ioc);

	if (err && err != -ENOTCONN)
		return err;
	if (!err && ioc->done < ioc->total)
		return 0;
	/*
	 * One that ended without being closed knows nothing of later writes. One whose
	 * caller was killed before it started has the backing file locked.
	 */
	if (commit_end(o))
		return -EINVAL;
	err = commit_open(o);
	return err ? err : commit_run(o, ioc);
}

static int commit_step(const struct operand *o, u64 *done, u64 *total)
{
	static bool begun;
	struct qcow_ioc_commit ioc;
	int err = begun ? commit_run(o, &ioc) : commit_begin(o, &ioc);

	if (err == -ENOTCONN)
		report(o->name, "was given up or ended by somebody else; to go on, start it anew");
	begun |= !err;
	*done = ioc.done;
	*total = ioc.total;
	return err;
}

static const struct work commit_work = {
	.what = "Writing",
	.interrupted = "the disk reads the same as before, and has to be read by way of this image: to go on, start it anew",
	.step = commit_step,
	.end = commit_end,
};

static int run_commit(void *options, int argc, char **argv)
{
	(void)argc;
	return work_run(&commit_work, options, argv[0]);
}

const struct command commit_command = {
	.name = "commit",
	.summary = "write an image's data to its backing file",
	.usage =
		"Usage: qcowctl commit [options] DEVICE|IMAGE\n"
		"\n"
		"Write the data of an image into its backing file, also while it is in use. The image\n"
		"is empty then, and goes on to be used over the backing file. Interrupted, it\n"
		"leaves a disk that reads the same; started anew, it goes on.\n",
	.takes_device = true,
	.options = work_options,
	.size = sizeof(struct work_options),
	.one_operand = "one device or image",
	.run = run_commit,
	.release = work_release,
};
