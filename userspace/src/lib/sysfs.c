// SPDX-License-Identifier: GPL-2.0
/*
 * Facts about attached devices from sysfs.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/sysfs.h"

static char *read_file(const char *path)
{
	char buf[PATH_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	if (n < 0)
		return NULL;
	if (n && buf[n - 1] == '\n')
		n--;
	return xstrndup(buf, n);
}

/**
 * sysfs_read() - read a file of sysfs
 * @fmt: printf format of its path
 *
 * Return: its contents without the last newline, to free; or NULL.
 */
char *sysfs_read(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return read_file(path);
}

/**
 * sysfs_read_u64() - read a file of sysfs that holds a number
 * @value: the result
 * @fmt: printf format of its path
 *
 * Return: whether there is such a file.
 */
bool sysfs_read_u64(u64 *value, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	char *s;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	s = read_file(path);
	if (!s)
		return false;
	*value = strtoull(s, NULL, 0);
	free(s);
	return true;
}

/**
 * sysfs_is_there() - look whether sysfs shows block devices
 *
 * Return: whether it does. A chroot or a builder of images may have no sysfs: then
 * nothing is known of devices.
 */
bool sysfs_is_there(void)
{
	int fd = open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/**
 * sysfs_missing() - whether sysfs is missing for a command that looks for all devices
 *
 * Return: whether it is; that was said.
 */
bool sysfs_missing(void)
{
	if (sysfs_is_there())
		return false;
	report("/sys/block", "cannot be read, so the devices are not known; mount sysfs on /sys");
	return true;
}

/**
 * sysfs_attr() - read one of the driver's own attributes
 * @index: the N of /dev/qcowN
 * @attr: its name
 *
 * Return: its value, to free; or NULL.
 */
char *sysfs_attr(int index, const char *attr)
{
	return sysfs_read("/sys/block/qcow%d/qcow/%s", index, attr);
}

/**
 * sysfs_parent() - the device whose image a device shows a snapshot of
 * @index: the N of /dev/qcowN
 *
 * Return: its name, as qcow0, to be freed; NULL: the device is no child.
 */
char *sysfs_parent(int index)
{
	char *name = sysfs_attr(index, "parent");

	if (name && name[0])
		return name;
	free(name);
	return NULL;
}

/**
 * sysfs_temporary() - tell whether the first image of a device is thrown away
 * @index: the N of /dev/qcowN
 *
 * Return: whether it is.
 */
bool sysfs_temporary(int index)
{
	u64 temporary = 0;

	return sysfs_read_u64(&temporary, "/sys/block/qcow%d/qcow/temporary", index) &&
	       temporary;
}

/* The N of a name qcowN, or -1. */
static int name_index(const char *name)
{
	char *end;
	long n;

	if (strncmp(name, "qcow", 4) || !isdigit((unsigned char)name[4]))
		return -1;
	n = strtol(name + 4, &end, 10);
	return *end || n > INT_MAX ? -1 : (int)n;
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* Whether a command that changes an image has attached the device for itself alone. */
static bool is_hidden(int index)
{
	u64 hidden;

	return sysfs_read_u64(&hidden, "/sys/block/qcow%d/hidden", index) && hidden;
}

/**
 * sysfs_devices() - the attached devices
 * @list: the result: the N of each /dev/qcowN, ascending, to free
 *
 * Return: how many there are.
 */
int sysfs_devices(int **list)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *d;
	int nr = 0;

	*list = NULL;
	if (!dir)
		return 0;
	while ((d = readdir(dir))) {
		int index = name_index(d->d_name);

		if (index < 0 || is_hidden(index))
			continue;
		*list = xrealloc(*list, (nr + 1) * sizeof(**list));
		(*list)[nr++] = index;
	}
	closedir(dir);
	if (nr)
		qsort(*list, nr, sizeof(**list), compare_ints);
	return nr;
}

static bool read_node(struct sysfs_node *node, const char *folder,
		      const char *name)
{
	unsigned int major, minor;
	char *dev = sysfs_read("%s/%s/dev", folder, name);
	bool ok = dev && sscanf(dev, "%u:%u", &major, &minor) == 2;

	free(dev);
	if (!ok)
		return false;
	node->dev = makedev(major, minor);
	snprintf(node->name, sizeof(node->name), "%s", name);
	return true;
}

/* As sysfs_nodes(), of the disk with a name. */
static size_t disk_nodes(const char *name, struct sysfs_node *nodes)
{
	char path[64];
	struct dirent *d;
	size_t nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/block/%.31s", name);
	if (!read_node(&nodes[nr], "/sys/block", name))
		return 0;
	nr++;
	dir = opendir(path);
	if (!dir)
		return nr;
	while (nr < SYSFS_MAX_NODES && (d = readdir(dir)))
		if (!strncmp(d->d_name, name, strlen(name)))
			nr += read_node(&nodes[nr], path, d->d_name);
	closedir(dir);
	return nr;
}

/**
 * sysfs_nodes() - a device and its partitions
 * @index: the N of /dev/qcowN
 * @nodes: the result, SYSFS_MAX_NODES entries; the first is the disk
 *
 * Return: how many there are, 0 if there is no such device.
 */
size_t sysfs_nodes(int index, struct sysfs_node *nodes)
{
	char name[32];

	snprintf(name, sizeof(name), "qcow%d", index);
	return disk_nodes(name, nodes);
}

/**
 * sysfs_overlapping() - a block device, and those that share sectors with it
 * @dev: its number
 * @nodes: the result, SYSFS_MAX_NODES entries: of a disk, its partitions, too; of a
 *	partition, its disk
 *
 * Return: how many there are, 0 if there is no such device.
 */
size_t sysfs_overlapping(dev_t dev, struct sysfs_node *nodes)
{
	char link[64], path[PATH_MAX];
	char *name, *disk;
	size_t nr = 0;
	u64 number;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(link, path))
		return 0;
	name = strrchr(path, '/');
	if (!name)
		return 0;
	*name++ = 0;
	if (!sysfs_read_u64(&number, "%s/partition", link))
		return disk_nodes(name, nodes);
	nr += read_node(&nodes[nr], path, name);
	disk = strrchr(path, '/');
	if (!disk)
		return nr;
	return nr + read_node(&nodes[nr], "/sys/block", disk + 1);
}

/**
 * sysfs_exists() - whether a device is attached
 * @index: the N of /dev/qcowN
 *
 * Return: whether it is.
 */
bool sysfs_exists(int index)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/qcow%d", index);
	return !access(path, F_OK) && !is_hidden(index);
}

/**
 * sysfs_is_disk() - whether a number still belongs to a certain disk
 * @index: the N of /dev/qcowN
 * @diskseq: the disk's; 0: not known
 *
 * For callers that see the device in sysfs, or know that sysfs_is_there().
 *
 * Return: whether the device is there and has this diskseq, as far as sysfs tells.
 */
bool sysfs_is_disk(int index, u64 diskseq)
{
	char path[64];
	u64 now;

	snprintf(path, sizeof(path), "/sys/block/qcow%d", index);
	if (access(path, F_OK))
		return false;
	return !diskseq || !sysfs_read_u64(&now, "%s/diskseq", path) || now == diskseq;
}

/**
 * sysfs_index_of() - which device a device number belongs to
 * @dev: the device number
 * @partition: whether it is that of a partition
 *
 * Return: the N of /dev/qcowN, or -1.
 */
int sysfs_index_of(dev_t dev, bool *partition)
{
	char link[64], path[PATH_MAX];
	char *name;
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return -1;
	path[n] = 0;
	name = strrchr(path, '/');
	*partition = false;
	if (name && name_index(name + 1) >= 0)
		return name_index(name + 1);
	if (!name)
		return -1;
	*name = 0;
	name = strrchr(path, '/');
	*partition = true;
	return name ? name_index(name + 1) : -1;
}
