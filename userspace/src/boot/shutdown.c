// SPDX-License-Identifier: GPL-2.0
/*
 * qcow-shutdown: the last step of a shutdown. systemd-shutdown starts it when it has ended
 * all processes, and has unmounted what it could. If devices are left nevertheless, this
 * program unmounts filesystems and detaches devices in turns, since either may hold up the
 * other. A filesystem that stays, such as the root filesystem, is made read-only, and the
 * device below it is detached by force: its image is clean then, as is the filesystem.
 *
 * The program itself may lie on such a filesystem, so its memory is locked.
 */
#define _GNU_SOURCE
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

#include "device/device.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* --- Filesystems --- */

typedef bool change_mount(const char *point);

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

/* Return: whether any mount was changed. The last mount comes first. */
static bool change_mounts(change_mount *change)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;
	bool changed = false;

	while (table && iter && !mnt_table_next_fs(table, iter, &fs))
		changed |= change(mnt_fs_get_target(fs));
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return changed;
}

static bool unmount(const char *point)
{
	return !is_of_system(point) && !umount2(point, UMOUNT_NOFOLLOW);
}

static bool make_read_only(const char *point)
{
	if (is_of_system(point) && strcmp(point, "/"))
		return false;
	return !mount(NULL, point, NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

/* Return: whether any was in use. */
static bool stop_swaps(void)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs;
	bool changed = false;

	if (table && iter && !mnt_table_parse_swaps(table, "/proc/swaps"))
		while (!mnt_table_next_fs(table, iter, &fs))
			changed |= !swapoff(mnt_fs_get_source(fs));
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return changed;
}

/* --- Devices --- */

/* Return: 0 or a negative errno. */
static int detach(int control, int index, u32 flags)
{
	struct qcow_msg msg = { };
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.flags = flags,
		.index = index,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
	};
	int err = ioctl(control, QCOW_IOC_DETACH, &ioc) ? -errno : 0;
	char name[32];

	report_from_driver(&msg);
	snprintf(name, sizeof(name), "/dev/qcow%d", index);
	if (err && err != -EBUSY && err != -ENODEV)
		report_msg(name, err, &msg);
	return err;
}

/* Return: whether any device that is not in use was detached. */
static bool detach_unused(int control)
{
	int *devices, nr = sysfs_devices(&devices), i;
	bool changed = false;

	for (i = 0; i < nr; i++)
		changed |= !detach(control, devices[i], 0);
	free(devices);
	return changed;
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
	if (detach(control, last, QCOW_DETACH_FORCE))
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

/* --- Shutdown --- */

static void clear(int control)
{
	bool changed;

	do {
		changed = change_mounts(unmount);
		changed |= stop_swaps();
		changed |= detach_unused(control);
	} while (changed && any_device());
}

static void clear_by_force(int control)
{
	u64 below = UINT64_MAX;

	do {
		change_mounts(make_read_only);
		sync();
		if (!detach_last(control, &below))
			break;
		clear(control);
	} while (any_device());
}

int main(void)
{
	int control, log;

	if (in_container() || !any_device())
		return 0;
	report_as("qcow-shutdown", NULL);
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	/* One line is one record. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		report("memory", "cannot be locked: %s", strerror(errno));
	control = device_control_quiet();
	if (control < 0) {
		report("/dev/" QCOW_CONTROL_NAME, "%s", strerror(errno));
		return 1;
	}
	clear(control);
	/* systemd goes back to an initramfs then, which detaches the root filesystem's. */
	if (any_device() && access("/run/initramfs/shutdown", X_OK))
		clear_by_force(control);
	/* Filesystems that could not be made read-only, as an image on them was written */
	change_mounts(make_read_only);
	return any_device();
}
