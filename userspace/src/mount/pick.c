// SPDX-License-Identifier: GPL-2.0
/*
 * The filesystem of a device that is to be mounted: the one that was named, or the only
 * one there is.
 */
#define _GNU_SOURCE
#include <blkid.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"
#include "mount/pick.h"

/**
 * struct content - the content of the disk or a partition
 * @number: of the partition; 0: the disk
 * @path: of its node
 * @bytes: its size
 * @type: of the filesystem, or of another content; NULL: unknown
 * @is_filesystem: it can be mounted
 * @names: UUIDs and labels of the filesystem and the partition, by enum content_name; NULL:
 *	it has none
 */
struct content {
	int number;
	char *path;
	u64 bytes;
	char *type;
	bool is_filesystem;
	char *names[4];
};

enum content_name { FS_UUID, FS_LABEL, PART_UUID, PART_LABEL };

/* blkid's names of them. */
static const char *const name_tags[] = {
	[FS_UUID] = "UUID",
	[FS_LABEL] = "LABEL",
	[PART_UUID] = "PART_ENTRY_UUID",
	[PART_LABEL] = "PART_ENTRY_NAME",
};

/**
 * struct disk - a device with its partitions
 * @list: their contents, by number
 * @nr: how many
 */
struct disk {
	struct content *list;
	size_t nr;
};

/* --- Look --- */

static char *tag(blkid_probe probe, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(probe, name, &value, NULL) ? NULL : xstrdup(value);
}

static void read_tags(struct content *c, blkid_probe probe)
{
	char *usage = tag(probe, "USAGE");
	size_t i;

	c->type = tag(probe, "TYPE");
	c->is_filesystem = c->type && usage && !strcmp(usage, "filesystem");
	for (i = 0; i < ARRAY_SIZE(name_tags); i++)
		c->names[i] = tag(probe, name_tags[i]);
	free(usage);
}

static void probe_fd(struct content *c, int fd)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0)) {
		blkid_free_probe(probe);
		return;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
					  BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
	c->bytes = blkid_probe_get_size(probe);
	/* If it could be one thing or another, it is nothing that is known. */
	if (blkid_do_safeprobe(probe) >= 0)
		read_tags(c, probe);
	blkid_free_probe(probe);
}

static int look(struct content *c, const struct sysfs_node *node)
{
	const char *p = strrchr(node->name, 'p');
	int fd;

	c->number = p ? atoi(p + 1) : 0;
	c->path = xasprintf("/dev/%s", node->name);
	fd = open(c->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		report(c->path, "cannot be opened: %s", strerror(errno));
		return -1;
	}
	probe_fd(c, fd);
	close(fd);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return ((const struct content *)a)->number - ((const struct content *)b)->number;
}

static int look_at_disk(struct disk *disk, const struct device *d)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr = sysfs_nodes(d->index, nodes);
	int err = 0;

	disk->list = xcalloc(nr + 1, sizeof(*disk->list));
	for (disk->nr = 0; disk->nr < nr && !err; disk->nr++)
		err = look(&disk->list[disk->nr], &nodes[disk->nr]);
	qsort(disk->list, disk->nr, sizeof(*disk->list), compare);
	return err;
}

static void disk_free(struct disk *disk)
{
	struct content *c;
	size_t i;

	for (c = disk->list; c < disk->list + disk->nr; c++) {
		for (i = 0; i < ARRAY_SIZE(c->names); i++)
			free(c->names[i]);
		free(c->type);
		free(c->path);
	}
	free(disk->list);
}

/* --- List --- */

/* A line of the list: partition, type, label, size, and the option that names it. */
static void print_content(const struct content *c)
{
	const char *label = c->names[FS_LABEL] ? c->names[FS_LABEL] : c->names[PART_LABEL];
	char *shown = text_escape(label ? label : "-");
	char size[32];

	text_size(size, sizeof(size), c->bytes);
	fprintf(stderr, "  %3d  %-12s %-16s %7s  -o partition=%d\n", c->number,
		c->type ? c->type : "-", shown, size, c->number);
	free(shown);
}

typedef bool is_wanted(const struct content *c, const struct request *r);

static size_t count(const struct disk *disk, is_wanted *wanted, const struct request *r)
{
	size_t i, nr = 0;

	for (i = 0; i < disk->nr; i++)
		nr += wanted(&disk->list[i], r);
	return nr;
}

static const struct content *first(const struct disk *disk, is_wanted *wanted,
				   const struct request *r)
{
	size_t i;

	for (i = 0; i < disk->nr; i++)
		if (wanted(&disk->list[i], r))
			return &disk->list[i];
	return NULL;
}

static void print_list(const struct disk *disk, is_wanted *wanted, const struct request *r)
{
	size_t i;

	for (i = 0; i < disk->nr; i++)
		if (wanted(&disk->list[i], r))
			print_content(&disk->list[i]);
}

/* --- The one that was named --- */

static bool has_number(const struct content *c, const struct request *r)
{
	const char *digits = r->partition;

	return digits[strspn(digits, "0123456789")] == 0 && strlen(digits) < 9 &&
	       atoi(digits) == c->number;
}

static bool has_uuid(const struct content *c, const struct request *r)
{
	return (c->names[FS_UUID] && !strcasecmp(c->names[FS_UUID], r->partition)) ||
	       (c->names[PART_UUID] && !strcasecmp(c->names[PART_UUID], r->partition));
}

static bool has_label(const struct content *c, const struct request *r)
{
	return (c->names[FS_LABEL] && !strcmp(c->names[FS_LABEL], r->partition)) ||
	       (c->names[PART_LABEL] && !strcmp(c->names[PART_LABEL], r->partition));
}

static bool has_any(const struct content *c, const struct request *r)
{
	(void)r;
	return c->number || c->type;
}

static const struct content *report_none(const struct disk *disk, const struct request *r)
{
	char *shown = text_escape(r->partition);

	if (count(disk, has_any, r)) {
		report(r->image, "has no partition \"%s\"; it has:", shown);
		print_list(disk, has_any, r);
	} else {
		report(r->image, "has no partition \"%s\", nor any other; see qcowctl info", shown);
	}
	free(shown);
	return NULL;
}

static const struct content *find_named(const struct disk *disk, const struct request *r)
{
	is_wanted *const ways[] = { has_number, has_uuid, has_label };
	size_t i, nr;
	char *shown;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		nr = count(disk, ways[i], r);
		if (nr == 1)
			return first(disk, ways[i], r);
		if (!nr)
			continue;
		shown = text_escape(r->partition);
		report(r->image, "has several partitions \"%s\"; name one by its number:", shown);
		free(shown);
		print_list(disk, ways[i], r);
		return NULL;
	}
	return report_none(disk, r);
}

/* --- The only one --- */

/* Types that one and the same driver mounts, by another name. */
static bool same_type(const char *found, const char *wanted)
{
	if (!strncmp(found, "ext", 3) && !strncmp(wanted, "ext", 3))
		return true;
	if (!strcmp(found, "ntfs"))
		return !strncmp(wanted, "ntfs", 4);
	if (!strcmp(found, "vfat"))
		return !strcmp(wanted, "msdos") || !strcmp(wanted, "vfat");
	return !strcmp(found, wanted);
}

static bool is_candidate(const struct content *c, const struct request *r)
{
	return c->is_filesystem && (!r->type || same_type(c->type, r->type));
}

static bool is_other(const struct content *c, const struct request *r)
{
	(void)r;
	return c->type;
}

/* One line that says what there is instead, and what to do. */
static void report_no_filesystem(const struct disk *disk, const struct request *r)
{
	const struct content *c = first(disk, is_other, r);

	if (c && c->is_filesystem)
		report(r->image, "holds no %s filesystem, but %s%s (partition %d); leave out the type, or give that one",
		       r->type, c->type, count(disk, is_other, r) > 1 ? " and others" : "",
		       c->number);
	else if (c)
		report(r->image, "holds no filesystem, but %s (partition %d); attach it with qcowctl attach, and look there for filesystems",
		       c->type, c->number);
	else
		report(r->image, "holds no filesystem; attach it with qcowctl attach, and make one with mkfs");
}

static const struct content *find_only(const struct disk *disk, const struct request *r)
{
	size_t nr = count(disk, is_candidate, r);

	if (nr == 1)
		return first(disk, is_candidate, r);
	/* It may be one that libblkid does not know. */
	if (!nr && r->type && disk->nr == 1 && !disk->list->type)
		return disk->list;
	if (nr) {
		report(r->image, "holds several filesystems; say which one to mount:");
		print_list(disk, is_candidate, r);
	} else {
		report_no_filesystem(disk, r);
	}
	return NULL;
}

static int set_pick(struct pick *p, const struct content *c, const struct request *r)
{
	const char *type = r->type;

	if (!type && c->is_filesystem)
		type = c->type;
	if (!type) {
		report(r->image, "partition %d holds no filesystem%s%s; say qcow2.TYPE if it holds one all the same",
		       c->number, c->type ? ", but " : "", c->type ? c->type : "");
		return -1;
	}
	p->path = xstrdup(c->path);
	p->type = xstrdup(type);
	return 0;
}

/**
 * pick_filesystem() - find the filesystem of a device that is to be mounted
 * @p: the result, to pick_free()
 * @d: the device
 * @r: the request
 *
 * Return: 0, or -1 after printing the error, with a list if there are several.
 */
int pick_filesystem(struct pick *p, const struct device *d, const struct request *r)
{
	const struct content *c = NULL;
	struct disk disk = { };
	int err;

	*p = (struct pick) { };
	err = look_at_disk(&disk, d);
	if (!err)
		c = r->partition ? find_named(&disk, r) : find_only(&disk, r);
	err = c ? set_pick(p, c, r) : -1;
	disk_free(&disk);
	return err;
}

/**
 * pick_free() - free a result
 * @p: the result
 */
void pick_free(struct pick *p)
{
	free(p->path);
	free(p->type);
}
