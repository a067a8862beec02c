// SPDX-License-Identifier: GPL-2.0
/*
 * The units of an attached device, which order a shutdown: filesystems on the device are
 * unmounted, its exports end, then it is detached, then the filesystems that hold its images are unmounted.
 * qcow-generator --device calls this for udev, also for devices that were attached by hand.
 *
 * qcow-device@qcowN:DISKSEQ.service is of the disk, qcow-device@qcowNpM:DISKSEQ.service of a
 * partition. The diskseq tells them from those of an earlier device of that number, whose
 * unit systemd may still know.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <linux/qcow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "boot/device_unit.h"
#include "boot/unit.h"
#include "device/device.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* How long a new device may take until the driver knows it, after udev does. */
#define LIVE_USEC	(2 * 1000000ULL)

/* --- Files of a device --- */

/* Return: a descriptor of a file of the device, to be closed, or a negative errno. */
static int open_file(int control, int index, u32 image, u32 flags)
{
	struct qcow_ioc_file ioc = {
		.size = sizeof(ioc),
		.op = QCOW_FILE_OPEN,
		.index = index,
		.image = image,
		.flags = flags,
	};

	return ioctl(control, QCOW_IOC_FILE, &ioc) ? -errno : ioc.fd;
}

/* As open_file(), of the image itself. A device is in sysfs shortly before it is live. */
static int open_first(int control, int index)
{
	u64 end = clock_now() + LIVE_USEC;
	int fd;

	do {
		fd = open_file(control, index, 0, 0);
		if (fd != -ENODEV)
			break;
		clock_pause();
	} while (sysfs_exists(index) && clock_now() < end);
	return fd;
}

/* Print the path of a file, and close it. */
static void print_file(FILE *f, int fd)
{
	char *path = file_real_path(fd);
	char *word = path ? unit_path_word(path) : NULL;

	if (word)
		fprintf(f, "RequiresMountsFor=%s\n", word);
	free(word);
	free(path);
	close(fd);
}

/* The folders of all files of the device */
static void print_files(FILE *f, int index)
{
	int control = device_control_quiet();
	int fd = control < 0 ? -errno : open_first(control, index);
	int data;
	u32 i;

	for (i = 0; fd >= 0; i++) {
		print_file(f, fd);
		data = open_file(control, index, i, QCOW_FILE_DATA);
		if (data >= 0)
			print_file(f, data);
		fd = open_file(control, index, i + 1, 0);
	}
	if (control >= 0)
		close(control);
}

/* --- Units --- */

static void print_head(FILE *f, const char *node)
{
	fprintf(f, "# Made by qcow-generator.\n\n"
		"[Unit]\n"
		"Description=Order of the shutdown of /dev/%s\n"
		"Documentation=man:qcow-generator(8)\n"
		"DefaultDependencies=no\n"
		"IgnoreOnIsolate=true\n"
		"BindsTo=dev-%s.device\n"
		"After=dev-%s.device\n"
		"Wants=blockdev@dev-%s.target\n"
		"Before=blockdev@dev-%s.target umount.target\n"
		"Conflicts=umount.target\n", node, node, node, node, node);
}

/* A device that shows a snapshot goes before the one that has the image. */
static void print_parent(FILE *f, int index)
{
	char *parent = sysfs_parent(index);
	u64 diskseq;

	if (parent && sysfs_read_u64(&diskseq, "/sys/block/%s/diskseq", parent))
		fprintf(f, "After=qcow-device@%s:%llu.service\n", parent,
			(unsigned long long)diskseq);
	free(parent);
}

static void print_disk(FILE *f, int index, unsigned long long diskseq)
{
	char *alias = sysfs_attr(index, "alias");
	char *escaped = alias && *alias ? unit_escape(alias) : NULL;

	if (escaped)
		fprintf(f, "After=qcow@%s.service\n", escaped);
	free(escaped);
	free(alias);
	/* That unit of LVM takes down what is below. */
	fputs("After=blk-availability.service\n", f);
	print_parent(f, index);
	print_files(f, index);
	fprintf(f, "\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
		"ExecStop=-/usr/bin/timeout -k 5 30 " QCOW_SBINDIR "/qcowctl unexport --if-exported /dev/disk/by-diskseq/%llu\n"
		"ExecStop=" QCOW_SBINDIR "/qcowctl detach --lazy --if-attached /dev/disk/by-diskseq/%llu\n",
		diskseq, diskseq);
}

static void print_partition(FILE *f, int index, unsigned long long diskseq)
{
	fprintf(f, "After=qcow-device@qcow%d:%llu.service\n"
		"\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
		index, diskseq);
}

/* Return: the N of a name qcowN or qcowNpM, or -1. */
static int parse_node(const char *node, bool *partition)
{
	unsigned long index;
	char *end;

	if (strncmp(node, "qcow", 4) || !isdigit((unsigned char)node[4]))
		return -1;
	index = strtoul(node + 4, &end, 10);
	*partition = *end == 'p';
	if (*partition && (!end[1] || end[1 + strspn(end + 1, "0123456789")]))
		return -1;
	return (*end && !*partition) || index > 1 << 20 ? -1 : (int)index;
}

/**
 * device_unit_write() - write the unit of a disk or a partition
 * @folder: where to
 * @node: qcowN or qcowNpM
 *
 * Return: 0, or -1 after printing the error.
 */
int device_unit_write(const char *folder, const char *node)
{
	char *text = NULL, *name;
	bool partition;
	int index = parse_node(node, &partition), err = -1;
	size_t size;
	u64 diskseq;
	FILE *f;

	if (index < 0 || !sysfs_read_u64(&diskseq, "/sys/block/qcow%d/diskseq", index)) {
		report(node, "no such device");
		return -1;
	}
	f = open_memstream(&text, &size);
	if (!f)
		return -1;
	print_head(f, node);
	if (partition)
		print_partition(f, index, diskseq);
	else
		print_disk(f, index, diskseq);
	name = xasprintf("qcow-device@%s:%llu.service", node, (unsigned long long)diskseq);
	fprintf(f, "ExecStopPost=-/bin/rm -f \"%s/%s\"\n", folder, name);
	if (!fclose(f))
		err = unit_write(folder, name, text);
	free(name);
	free(text);
	return err;
}
