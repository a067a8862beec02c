// SPDX-License-Identifier: GPL-2.0
/*
 * qcow-shutdown: the last step of a shutdown. systemd-shutdown starts it when it has ended
 * all processes, and has unmounted what it could. If devices are left nevertheless, this
 * program unmounts filesystems and detaches devices in turns, since either may hold up the
 * other. A filesystem that stays, such as the root filesystem, is made read-only, and the
 * device below it is detached by force: its image is clean then, as is the filesystem.
 *
 * The program itself may lie on such a filesystem, so its memory is locked.
 *
 * A filesystem or an image may have a server or a disk that does not answer any more.
 * All calls that could wait for it are made by limited_start(), those of a stage together; the
 * rest goes on.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount.h>
#include <linux/qcow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <unistd.h>

#include "boot/limited.h"
#include "device/device.h"
#include "lib/clock.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* systemd ends the programs of system-shutdown after 90 seconds. */
#define END_USEC	(75 * 1000000ULL)

/*
 * How long slow calls may take before devices are detached by force. A last stage of unmounts
 * and those of the flushes come between that and END_USEC, also if something hangs in each.
 */
#define FORCE_USEC	(30 * 1000000ULL)

/* --- Filesystems --- */

/* Return: 0 or an errno. Both run in a child. */
typedef int change_mount(const char *point);

/**
 * struct mount_change - what to do with a mount
 * @what: the words for messages
 * @change: the function
 * @system: whether the root filesystem is changed, too
 */
struct mount_change {
	const char *what;
	change_mount *change;
	bool system;
};

static int unmount(const char *point)
{
	return umount2(point, UMOUNT_NOFOLLOW) ? errno : 0;
}

static int make_read_only(const char *point)
{
	return mount(NULL, point, NULL, MS_REMOUNT | MS_RDONLY, NULL) ? errno : 0;
}

static int flush_filesystem(const char *point)
{
	int fd = open(point, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || syncfs(fd) ? errno : 0;
}

static const struct mount_change unmounting = { "unmount", unmount, false };
static const struct mount_change read_only = { "read-only remount", make_read_only, true };
static const struct mount_change flushing = { "flush", flush_filesystem, true };

/* Those that the kernel and this program need */
static bool is_of_system(const char *point)
{
	static const char *const points[] = { "/", "/proc", "/sys", "/dev", "/run" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(point, points[i]))
			return true;
	return !strncmp(point, "/proc/", 6) || !strncmp(point, "/sys/", 5) ||
	       !strncmp(point, "/dev/", 5);
}

/**
 * struct changing - an argument of change_one()
 * @change: what to do
 * @point: the directory of the mount
 */
struct changing {
	const struct mount_change *change;
	const char *point;
};

static int change_one(const void *arg)
{
	const struct changing *c = arg;

	return c->change->change(c->point);
}

static void start_change(const struct mount_change *change, struct libmnt_fs *fs)
{
	struct changing c = { .change = change, .point = mnt_fs_get_target(fs) };
	const char *type = mnt_fs_get_fstype(fs);
	char *what;

	if (is_of_system(c.point) && !(change->system && !strcmp(c.point, "/")))
		return;
	/* To open an automount point would mount something. */
	if (change->change == flush_filesystem && type && !strcmp(type, "autofs"))
		return;
	what = xasprintf("%s of %s", change->what, c.point);
	limited_start(what, change_one, &c);
	free(what);
}

/*
 * Return: whether any mount was changed. One that others are mounted on goes in a later pass
 * than they do.
 */
static bool change_mounts(const struct mount_change *change)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;

	while (table && iter && !mnt_table_next_fs(table, iter, &fs))
		start_change(change, fs);
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return limited_gather();
}

static int stop_swap(const void *source)
{
	return swapoff(source) ? errno : 0;
}

/* Return: whether any was in use. */
static bool stop_swaps(void)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;
	char *what;

	if (table && iter && !mnt_table_parse_swaps(table, "/proc/swaps"))
		while (!mnt_table_next_fs(table, iter, &fs)) {
			what = xasprintf("swapoff of %s", mnt_fs_get_source(fs));
			limited_start(what, stop_swap, mnt_fs_get_source(fs));
			free(what);
		}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return limited_gather();
}

/* --- Devices --- */

/**
 * struct detaching - an argument of detach_one()
 * @control: the control device
 * @index: the N of /dev/qcowN
 * @flags: QCOW_DETACH_*
 */
struct detaching {
	int control;
	int index;
	u32 flags;
};

/* Runs in a child. Return: 0 or an errno. */
static int detach_one(const void *arg)
{
	const struct detaching *d = arg;
	struct qcow_msg msg = { };
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.flags = d->flags,
		.index = d->index,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
	};
	int err = ioctl(d->control, QCOW_IOC_DETACH, &ioc) ? errno : 0;
	char name[32];

	report_from_driver(&msg);
	snprintf(name, sizeof(name), "/dev/qcow%d", d->index);
	if (err && err != EBUSY && err != ENODEV)
		report_msg(name, -err, &msg);
	return err;
}

static void start_detach(int control, int index, u32 flags)
{
	const struct detaching d = { .control = control, .index = index, .flags = flags };
	char what[64];

	snprintf(what, sizeof(what), "%s of /dev/qcow%d",
		 flags & QCOW_DETACH_FORCE ? "detach by force" : "detach", index);
	limited_start(what, detach_one, &d);
}

static int flush_node(const void *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? errno : 0;
}

/* Whether a block device lies on others, as those of device-mapper do */
static bool is_stacked(const char *name)
{
	char *path = xasprintf("/sys/class/block/%s/slaves", name);
	DIR *dir = opendir(path);
	struct dirent *d;
	bool found = false;

	while (dir && !found && (d = readdir(dir)))
		found = d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	free(path);
	return found;
}

/* Write the dirty pages of the devices themselves, which no filesystem knows. */
static void flush_devices(void)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *d;
	char *path, *what;

	while (dir && (d = readdir(dir))) {
		if (strncmp(d->d_name, "qcow", 4) && !is_stacked(d->d_name))
			continue;
		path = xasprintf("/dev/%s", d->d_name);
		what = xasprintf("flush of %s", path);
		limited_start(what, flush_node, path);
		free(what);
		free(path);
	}
	if (dir)
		closedir(dir);
	limited_gather();
}

/* Return: whether any device that is not in use was detached. */
static bool detach_unused(int control)
{
	int *devices, nr = sysfs_devices(&devices), i;

	for (i = 0; i < nr; i++)
		start_detach(control, devices[i], 0);
	free(devices);
	return limited_gather();
}

/*
 * Detach the device that was attached last by force: the images of others may lie on
 * filesystems of devices that were attached earlier. @below: only devices with a lower
 * diskseq are looked at; one that does not go becomes the new limit. Return: whether
 * there was one.
 */
static bool detach_last(int control, u64 *below)
{
	int *devices, nr = sysfs_devices(&devices), last = -1, i;
	u64 diskseq, highest = 0;
	char name[32];

	for (i = 0; i < nr; i++) {
		if (!sysfs_read_u64(&diskseq, "/sys/block/qcow%d/diskseq", devices[i]) ||
		    diskseq >= *below || (last >= 0 && diskseq < highest))
			continue;
		last = devices[i];
		highest = diskseq;
	}
	free(devices);
	if (last < 0)
		return false;
	snprintf(name, sizeof(name), "/dev/qcow%d", last);
	report(name, "is still in use, detaching it by force");
	start_detach(control, last, QCOW_DETACH_FORCE);
	if (!limited_gather())
		*below = highest;
	return true;
}

/* Return: whether this is a container: /sys shows it devices of the host and of others. */
static bool in_container(void)
{
	return getenv("container") || !access("/run/systemd/container", F_OK);
}

static bool any_device(void)
{
	int *devices, nr = sysfs_devices(&devices);

	free(devices);
	return nr > 0;
}

/*
 * Return: whether systemd goes on with an initramfs, and that calls this program again, when
 * the root filesystem is unmounted. See dracut-shutdown.service(8).
 */
static bool initramfs_follows(bool in_initramfs)
{
	return !in_initramfs && !access("/run/initramfs/shutdown", X_OK) &&
	       !access("/run/initramfs" QCOW_SHUTDOWN_FILE, X_OK);
}

/* --- Shutdown --- */

/* Passes of unmounts and detaches, until one changes nothing, or the time @until. */
static void clear(int control, u64 until)
{
	bool changed;

	do {
		changed = change_mounts(&unmounting);
		changed |= stop_swaps();
		changed |= detach_unused(control);
	} while (changed && any_device() && clock_now() < until);
}

/* As clear(), again each time that a slow call ends, until the time @until. */
static void clear_until(int control, u64 until)
{
	do
		clear(control, until);
	while (any_device() && limited_wait(until));
}

/*
 * Each device is flushed before it is detached by force, for LIMITED_MIN_USEC at least. Past
 * @until none is detached: a flush that has not ended may still do so while the machine goes down.
 */
static void clear_by_force(int control, u64 until)
{
	u64 below = UINT64_MAX;

	do {
		change_mounts(&read_only);
		change_mounts(&flushing);
		flush_devices();
		if (!detach_last(control, &below))
			break;
		clear(control, until);
	} while (any_device() && clock_now() < until);
}

/*
 * Wait for calls that take long. @devices: also for devices that are detached already, and
 * still close their image.
 */
static void finish(bool devices, u64 until)
{
	do {
		change_mounts(&unmounting);
		/* Those that could not be made read-only, as an image on them was written */
		change_mounts(&read_only);
		while (devices && any_device() && clock_now() < until)
			clock_pause();
	} while (limited_wait(until));
}

/* Standard error is the kernel log. Return: the control device, or -1 after saying why not. */
static int prepare(void)
{
	int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC), control;

	if (log >= 0)
		dup2(log, STDERR_FILENO);
	/* One line is one record. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		report("memory", "cannot be locked: %s", strerror(errno));
	control = device_control_quiet();
	if (control < 0)
		report("/dev/" QCOW_CONTROL_NAME, "%s", strerror(errno));
	return control;
}

int main(int argc, char **argv)
{
	bool in_initramfs = argc > 1 && !strcmp(argv[1], "--in-initramfs");
	u64 began = clock_now();
	bool follows;
	int control;

	if (in_container() || (!any_device() && !in_initramfs))
		return 0;
	report_as("qcow-shutdown", NULL);
	limited_end(began + FORCE_USEC);
	/* It may have gone at its last close, and the filesystem of its image be there still. */
	if (!any_device()) {
		finish(false, began + END_USEC);
		return 0;
	}
	control = prepare();
	if (control < 0)
		return 1;
	clear_until(control, began + FORCE_USEC);
	limited_end(began + END_USEC);
	follows = initramfs_follows(in_initramfs);
	if (any_device() && !follows)
		clear_by_force(control, began + END_USEC);
	finish(!follows, began + END_USEC);
	return any_device();
}
