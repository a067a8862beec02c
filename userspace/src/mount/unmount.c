// SPDX-License-Identifier: GPL-2.0
/*
 * umount.qcow2: umount(8) runs it to unmount a filesystem that mount.qcow2 has mounted. It
 * waits until the image is closed. Given an image, it unmounts all filesystems of it.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <libmount.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/in_use.h"
#include "device/which.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "mount/closed.h"
#include "mount/unmount.h"

/**
 * struct unmount - a device of which something is unmounted
 * @device: the device; its index is -1 if it is none of ours
 * @msg: the driver's message about its detach
 */
struct unmount {
	struct device device;
	struct qcow_msg msg;
};

/* --- The device --- */

/* The device of a mount; umount(8) passes a directory or a node. */
static void find_device(struct unmount *u, struct libmnt_context *c, const char *target)
{
	const char *path;
	struct libmnt_fs *fs;
	bool partition;
	struct stat st;

	u->device = (struct device) { .index = -1 };
	if (mnt_context_find_umount_fs(c, target, &fs))
		return;
	path = mnt_fs_get_srcpath(fs);
	if (!path || stat(path, &st) || !S_ISBLK(st.st_mode))
		return;
	u->device.index = sysfs_index_of(st.st_rdev, &partition);
	if (!sysfs_read_u64(&u->device.diskseq, "/sys/block/qcow%d/diskseq", u->device.index))
		u->device.diskseq = 0;
}

/* Only a device that goes by itself is waited for, if nothing else of it is mounted. */
static bool is_going(const struct unmount *u)
{
	char **list = in_use_mountpoints(u->device.index);
	bool mounted = list[0];
	u64 autoclear;

	in_use_free_mountpoints(list);
	/* It may have gone already. */
	return !mounted && (!sysfs_read_u64(&autoclear, "/sys/block/qcow%d/qcow/autoclear",
					    u->device.index) || autoclear);
}

/* Wait until the image is closed. Return: MNT_EX_*. */
static int wait_closed(struct unmount *u)
{
	char name[32];
	int err;

	if (u->device.index < 0 || !is_going(u))
		return MNT_EX_SUCCESS;
	err = closed_wait(&u->device, &u->msg);
	snprintf(name, sizeof(name), "/dev/qcow%d", u->device.index);
	if (err == -EIO)
		report(name, "unmounted and detached, but the writes since the last flush are lost: see the kernel log, and check the image with qcowctl check");
	else if (err == -EINPROGRESS)
		report_msg(name, err, &u->msg);
	return err == -EIO || err == -EINPROGRESS ? MNT_EX_FAIL : MNT_EX_SUCCESS;
}

/* --- Unmount --- */

static int unmount_target(struct libmnt_context *c, const char *target)
{
	struct unmount u = { };
	char text[BUFSIZ] = "";
	int status;

	find_device(&u, c, target);
	mnt_context_set_target(c, target);
	status = mnt_context_get_excode(c, mnt_context_umount(c), text, sizeof(text));
	if (status) {
		report(target, "%s", text[0] ? text : "umount failed");
		return status;
	}
	return mnt_context_is_lazy(c) ? status : wait_closed(&u);
}

/* A context with the options of the command line; or NULL. */
static struct libmnt_context *context_of(int argc, char **argv)
{
	struct libmnt_context *c = mnt_new_context();
	int letter, err = c ? mnt_context_init_helper(c, MNT_ACT_UMOUNT, 0) : -ENOMEM;

	optind = 0;
	while (!err && (letter = getopt(argc, argv, "flnrvN:t:")) != -1) {
		err = letter == '?' ? -EINVAL : mnt_context_helper_setopt(c, letter, optarg);
		/* Another 1 would mean that it is none of a helper's options. */
		err = err == 1 ? -EINVAL : err;
	}
	if (!err)
		return c;
	report("umount.qcow2", "unknown option, or one without its value; see mount.qcow2(8)");
	mnt_free_context(c);
	return NULL;
}

static int unmount_one(int argc, char **argv, const char *target)
{
	struct libmnt_context *c = context_of(argc, argv);
	int status = MNT_EX_USAGE;

	if (c)
		status = unmount_target(c, target);
	mnt_free_context(c);
	return status;
}

/* --- An image --- */

/* mount(8) leaves a note of its own, which only umount(8) removes. */
static void forget(const char *dir)
{
	struct libmnt_table *mounts = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_update *update = mnt_new_update();

	if (mounts && update && !mnt_table_find_target(mounts, dir, MNT_ITER_BACKWARD) &&
	    !mnt_update_set_fs(update, 0, dir, NULL))
		mnt_update_table(update, NULL);
	mnt_free_update(update);
	mnt_unref_table(mounts);
}

static int unmount_all(int argc, char **argv, const struct device *d, const char *image)
{
	char **list = in_use_mountpoints(d->index);
	int status = MNT_EX_SUCCESS;
	size_t nr = 0;

	while (list[nr])
		nr++;
	if (!nr) {
		report(image, "is attached as /dev/qcow%d, but not mounted here", d->index);
		status = MNT_EX_FAIL;
	}
	/* The latest first: it may lie on an earlier one. */
	while (nr && !status) {
		status = unmount_one(argc, argv, list[--nr]);
		if (!status)
			forget(list[nr]);
	}
	in_use_free_mountpoints(list);
	return status;
}

static int unmount_image(int argc, char **argv, const char *image)
{
	struct device d;
	int found = which_of_image(&d, image);

	if (found > 0)
		return unmount_all(argc, argv, &d, image);
	if (!found)
		report(image, "is not mounted");
	return MNT_EX_FAIL;
}

/**
 * unmount_main() - umount.qcow2
 * @argc: arguments, the program's name included
 * @argv: the arguments
 *
 * Return: MNT_EX_*.
 */
int unmount_main(int argc, char **argv)
{
	struct libmnt_context *c = context_of(argc, argv);
	const char *target;
	struct stat st;

	if (!c)
		return MNT_EX_USAGE;
	mnt_free_context(c);
	if (argc != optind + 1) {
		report("umount.qcow2", "takes one directory or image; see mount.qcow2(8)");
		return MNT_EX_USAGE;
	}
	if (geteuid()) {
		report("umount.qcow2", "only root may unmount images; use sudo");
		return MNT_EX_USAGE;
	}
	target = argv[optind];
	if (!stat(target, &st) && S_ISREG(st.st_mode))
		return unmount_image(argc, argv, target);
	return unmount_one(argc, argv, target);
}
