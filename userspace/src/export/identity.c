// SPDX-License-Identifier: GPL-2.0
/*
 * The identity of an exported disk. A host that was connected waits for its disk to come
 * back, and takes the one that has the same name and identifiers. So these are made of
 * names that belong to one image for good. A disk whose data goes at the detach gets new
 * ones each time. The command export calls this.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "export/identity.h"
#include "export/nqn.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* systemd writes this word into a system image that has not been booted yet. */
#define NO_MACHINE_ID	"uninitialized"

#define DELETED		" (deleted)"

#define BY_ID		"/dev/disk/by-id"

/* --- The machine and the boot --- */

/* Return: the machine ID, to be freed, or NULL: there is none. */
static char *machine_id(void)
{
	char *id = sysfs_read("/etc/machine-id");

	if (id && *id && strcmp(id, NO_MACHINE_ID))
		return id;
	free(id);
	return NULL;
}

/*
 * Return: a text that only this attach of a device has, to be freed. @diskseq: 0: not known
 */
static char *attach_id(int index, u64 diskseq)
{
	char *boot = sysfs_read("/proc/sys/kernel/random/boot_id"), *id;

	if (!diskseq && !sysfs_read_u64(&diskseq, "/sys/block/qcow%d/diskseq", index))
		diskseq = 0;
	id = xasprintf("%s %llu", boot ? boot : "", (unsigned long long)diskseq);
	free(boot);
	return id;
}

/* --- Block devices that images lie on --- */

/* Return: an attribute of a block device that has a value, to be freed, or NULL. */
static char *disk_attr(dev_t dev, const char *attr)
{
	char *value = sysfs_read("/sys/dev/block/%u:%u/%s", major(dev), minor(dev), attr);

	if (value && *value)
		return value;
	free(value);
	return NULL;
}

/* Return: the identifier that a disk or its driver has, to be freed, or NULL. */
static char *disk_identifier(dev_t dev)
{
	static const char *const attrs[] = { "dm/uuid", "wwid", "device/wwid", "serial" };
	char *value = NULL, *id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attrs) && !value; i++)
		value = disk_attr(dev, attrs[i]);
	id = value ? xasprintf("%s %s", attrs[i - 1], value) : NULL;
	free(value);
	return id;
}

/* Return: the identifier of the disk that has a partition, and its number; or NULL. */
static char *partition_identifier(dev_t dev)
{
	char *number = disk_attr(dev, "partition"), *disk = disk_attr(dev, "../dev"), *whole, *id;
	unsigned int major, minor;

	whole = number && disk && sscanf(disk, "%u:%u", &major, &minor) == 2 ?
		disk_identifier(makedev(major, minor)) : NULL;
	id = whole ? xasprintf("%s partition %s", whole, number) : NULL;
	free(whole);
	free(disk);
	free(number);
	return id;
}

static bool leads_to(const char *name, dev_t dev)
{
	char *path = xasprintf(BY_ID "/%s", name);
	struct stat st;
	bool leads = !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev;

	free(path);
	return leads;
}

/* Return: the first of the names that udev has given a block device, to be freed, or NULL. */
static char *name_by_udev(dev_t dev)
{
	DIR *dir = opendir(BY_ID);
	char *first = NULL;
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || (first && strcmp(d->d_name, first) > 0) ||
		    !leads_to(d->d_name, dev))
			continue;
		free(first);
		first = xstrdup(d->d_name);
	}
	if (dir)
		closedir(dir);
	return first;
}

/*
 * Names such as /dev/sda and /dev/dm-0 are given in the order in which disks are found.
 * Return: a name that stays the disk's, to be freed, or NULL.
 */
static char *lasting_name(dev_t dev)
{
	char *name = disk_identifier(dev);

	if (!name)
		name = partition_identifier(dev);
	return name ? name : name_by_udev(dev);
}

/* --- The image --- */

/*
 * Return: a name that stays the image's, to be freed, or NULL. Files in /dev are looked at,
 * others may be on a server that does not answer.
 */
static char *image_name(const char *image)
{
	struct stat st;

	if (!image || *image != '/')
		return NULL;
	if (!strncmp(image, "/dev/", 5) && !stat(image, &st) && S_ISBLK(st.st_mode))
		return lasting_name(st.st_rdev);
	return xstrdup(image);
}

/* Whether the data of a device goes at its detach: its overlay has no name, or no longer. */
static bool is_passing(int index, const char *image)
{
	size_t len = image ? strlen(image) : 0, end = strlen(DELETED);

	if (sysfs_temporary(index))
		return true;
	return len > end && !strcmp(image + len - end, DELETED);
}

/* Print that a name has to be given. Return: -1. */
static int no_name(int index, const char *why)
{
	char name[32];

	snprintf(name, sizeof(name), "/dev/qcow%d", index);
	report(name, "%s; name the export with --nqn, for example nqn.2026-01.org.example:disk", why);
	return -1;
}

/* Name the export. @attach: the text of this attach alone, or NULL. Return: 0 or -1. */
static int make_name(struct identity *id, int index, const char *image, const char *attach)
{
	char *machine = machine_id(), *lasting = attach ? xstrdup(attach) : image_name(image);
	char *snapshot = sysfs_attr(index, "snapshot"), *first = sysfs_attr(index, "offset");
	char *text;
	int err = 0;

	if (!machine && !attach) {
		err = no_name(index, "this host has no ID in /etc/machine-id, so another host could make the same name");
	} else if (!lasting) {
		err = no_name(index, "its image is on a block device that has no name of its own, so another disk could have that name after a reboot");
	} else {
		text = xasprintf("%s %s\n%s\n%s", machine ? machine : "", first ? first : "0",
				 snapshot ? snapshot : "", lasting);
		id->nqn = nqn_of_text(text);
		free(text);
	}
	free(first);
	free(snapshot);
	free(lasting);
	free(machine);
	return err;
}

/**
 * identity_find() - how other hosts are to know the disk of a device
 * @id: the result, for identity_release() also after an error
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known
 * @nqn: the name that the user gave the export, or NULL: one is made of the machine ID, the
 *	image, and which part of it the device shows
 *
 * Return: 0, or -1 after printing the error: no name can be made that stays.
 */
int identity_find(struct identity *id, int index, u64 diskseq, const char *nqn)
{
	char *image = sysfs_attr(index, "image");
	char *attach = is_passing(index, image) ? attach_id(index, diskseq) : NULL;
	int err = 0;

	*id = (struct identity) { .nqn = nqn ? xstrdup(nqn) : NULL };
	if (!nqn)
		err = make_name(id, index, image, attach);
	if (!err)
		id->disk = attach ? xasprintf("%s\n%s", id->nqn, attach) : xstrdup(id->nqn);
	free(attach);
	free(image);
	return err;
}

/**
 * identity_release() - free an identity
 * @id: the identity
 */
void identity_release(struct identity *id)
{
	free(id->disk);
	free(id->nqn);
}
