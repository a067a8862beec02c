// SPDX-License-Identifier: GPL-2.0
/*
 * DiskDescriptor.xml, which names the files of a disk of Parallels: for each part of the disk,
 * a file for each snapshot and for the present. All of them are opened here, as they belong to
 * one disk.
 */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "foreign/parallels.h"
#include "foreign/xml.h"

#define DESCRIPTOR_MAX		((u64)SZ_1M)
#define LIST_MAX		QCOW_MAP_FILES_MAX
#define GUID_SIZE		40

#define TOP_GUID		"{5fbaabe3-6958-40ff-92a7-860e329aab41}"

/**
 * struct listed_image - a file of the descriptor
 * @storage: number of the part
 * @guid: of the snapshot
 * @plain: it has no header
 * @expanding: it has one
 * @name: of the file
 */
struct listed_image {
	u32 storage;
	char guid[GUID_SIZE];
	bool plain;
	bool expanding;
	char *name;
};

/* struct shot - a snapshot, or the present */
struct shot {
	char guid[GUID_SIZE];
	char parent[GUID_SIZE];
};

/**
 * struct descriptor - the content of a DiskDescriptor.xml
 * @f: the image
 * @sectors: of the disk
 * @parts: of the disk; their images are not known yet
 * @nr_parts: of them
 * @images: in the order of the file
 * @nr_images: of them
 * @shots: snapshots
 * @nr_shots: of them
 * @top: GUID of the present
 * @chain: GUIDs from the present to the first snapshot
 * @levels: of them
 */
struct descriptor {
	struct foreign *f;
	u64 sectors;
	struct parallels_part *parts;
	u32 nr_parts;
	struct listed_image *images;
	u32 nr_images;
	struct shot *shots;
	u32 nr_shots;
	char top[GUID_SIZE];
	const char *chain[PARALLELS_LEVELS_MAX];
	u32 levels;
};

static int take_number(struct descriptor *d, const char *text, u64 *number)
{
	char *rest;

	errno = 0;
	*number = strtoull(text, &rest, 10);
	if (!isdigit((unsigned char)text[0]) || *rest || errno ||
	    *number > (u64)S64_MAX / SZ_512)
		return foreign_fail(d->f, "its descriptor has '%.32s' in place of a number of sectors",
				    text);
	return 0;
}

static int take_guid(struct descriptor *d, const char *text, char *guid)
{
	if (!text[0] || strlen(text) >= GUID_SIZE)
		return foreign_fail(d->f, "its descriptor has '%.48s' in place of a GUID", text);
	strcpy(guid, text);
	return 0;
}

static bool is_null(const char *guid)
{
	return !guid[strspn(guid, "{}0-")];
}

/* --- Elements --- */

static int take_size(struct descriptor *d, const char *text)
{
	return take_number(d, text, &d->sectors);
}

static int take_padding(struct descriptor *d, const char *text)
{
	u64 padding;
	int err = take_number(d, text, &padding);

	if (!err && padding)
		err = foreign_unsupported(d->f, "has padding of Parallels, which is not supported; convert it with prl_disk_tool");
	return err;
}

static int take_sector_size(struct descriptor *d, const char *text)
{
	u64 bytes;
	int err = take_number(d, text, &bytes);

	if (!err && bytes != SZ_512)
		err = foreign_unsupported(d->f, "has sectors of %llu bytes, which is not supported; convert it with prl_disk_tool",
					  (unsigned long long)bytes);
	return err;
}

static int take_engine(struct descriptor *d, const char *text)
{
	if (text[0] && !is_null(text))
		return foreign_unsupported(d->f, "is encrypted by Parallels; decrypt it there");
	return 0;
}

static int take_top(struct descriptor *d, const char *text)
{
	return take_guid(d, text, d->top);
}

static int take_start(struct descriptor *d, const char *text)
{
	return take_number(d, text, &d->parts[d->nr_parts - 1].guest_offset);
}

/* Until the file is read, the end of the part in place of its size */
static int take_end(struct descriptor *d, const char *text)
{
	return take_number(d, text, &d->parts[d->nr_parts - 1].size);
}

static int take_image_guid(struct descriptor *d, const char *text)
{
	return take_guid(d, text, d->images[d->nr_images - 1].guid);
}

static int take_type(struct descriptor *d, const char *text)
{
	struct listed_image *image = &d->images[d->nr_images - 1];

	image->plain = !strcmp(text, "Plain");
	image->expanding = !strcmp(text, "Compressed");
	if (!image->plain && !image->expanding)
		return foreign_unsupported(d->f, "has a file of type '%.32s', which is not supported; convert it with prl_disk_tool",
					   text);
	return 0;
}

static int take_name(struct descriptor *d, const char *text)
{
	struct listed_image *image = &d->images[d->nr_images - 1];

	image->name = foreign_alloc(d->f, strlen(text) + 1, 1);
	if (!image->name)
		return -ENOMEM;
	strcpy(image->name, text);
	return 0;
}

static int take_shot(struct descriptor *d, const char *text)
{
	return take_guid(d, text, d->shots[d->nr_shots - 1].guid);
}

static int take_shot_parent(struct descriptor *d, const char *text)
{
	return take_guid(d, text, d->shots[d->nr_shots - 1].parent);
}

#define ROOT		"Parallels_disk_image"
#define PARAMETERS	ROOT "/Disk_Parameters/"
#define STORAGE		ROOT "/StorageData/Storage"
#define SHOT		ROOT "/Snapshots/Shot"

static const struct {
	const char *path;
	int (*take)(struct descriptor *d, const char *text);
} elements[] = {
	{ PARAMETERS "Disk_size", take_size },
	{ PARAMETERS "Padding", take_padding },
	{ PARAMETERS "LogicSectorSize", take_sector_size },
	{ PARAMETERS "Encryption/Engine", take_engine },
	{ ROOT "/Encryption/Engine", take_engine },
	{ STORAGE "/Start", take_start },
	{ STORAGE "/End", take_end },
	{ STORAGE "/Image/GUID", take_image_guid },
	{ STORAGE "/Image/Type", take_type },
	{ STORAGE "/Image/File", take_name },
	{ ROOT "/Snapshots/TopGUID", take_top },
	{ SHOT "/GUID", take_shot },
	{ SHOT "/ParentGUID", take_shot_parent },
};

static int check_version(struct descriptor *d, const char *version)
{
	if (!version || strcmp(version, "1.0"))
		return foreign_unsupported(d->f, "has a descriptor of version '%.16s', which is not supported; use a newer program",
					   version ? version : "");
	return 0;
}

static int next(struct descriptor *d, u32 *nr)
{
	if (*nr == LIST_MAX)
		return foreign_unsupported(d->f, "has more than %u files; merge its snapshots",
					   LIST_MAX);
	++*nr;
	return 0;
}

static int begin(void *arg, const char *path, const char *version)
{
	struct descriptor *d = arg;
	int err = 0;

	if (!strcmp(path, ROOT))
		return check_version(d, version);
	if (!strcmp(path, STORAGE))
		return next(d, &d->nr_parts);
	if (!strcmp(path, SHOT))
		return next(d, &d->nr_shots);
	if (strcmp(path, STORAGE "/Image"))
		return 0;
	err = next(d, &d->nr_images);
	if (!err)
		d->images[d->nr_images - 1].storage = d->nr_parts - 1;
	return err;
}

static int end(void *arg, const char *path, const char *text)
{
	struct descriptor *d = arg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(elements); i++)
		if (!strcmp(path, elements[i].path))
			return elements[i].take(d, text);
	return 0;
}

static const struct foreign_xml_reader reader = {
	.begin = begin,
	.end = end,
};

/* --- Chains --- */

static const struct shot *find_shot(const struct descriptor *d, const char *guid)
{
	u32 i;

	for (i = 0; i < d->nr_shots; i++)
		if (!strcasecmp(d->shots[i].guid, guid))
			return &d->shots[i];
	return NULL;
}

/* A disk without snapshots may have no list of them. */
static int find_chain(struct descriptor *d)
{
	const char *guid = d->top[0] ? d->top : TOP_GUID;
	const struct shot *shot;

	while (!is_null(guid)) {
		if (d->levels == PARALLELS_LEVELS_MAX)
			return foreign_unsupported(d->f, "has a chain of more than %u snapshots, or a cycle of them; merge its snapshots",
						   PARALLELS_LEVELS_MAX);
		d->chain[d->levels++] = guid;
		shot = find_shot(d, guid);
		if (!shot && d->nr_shots)
			return foreign_fail(d->f, "its descriptor has no snapshot %s", guid);
		if (!shot)
			break;
		guid = shot->parent;
	}
	if (!d->levels)
		return foreign_fail(d->f, "its descriptor has no snapshot");
	return 0;
}

/* The file of a part for a snapshot; NULL: there is none, and there is a message */
static const struct listed_image *find_image(struct descriptor *d, u32 part, const char *guid)
{
	const struct listed_image *image;

	for (image = d->images; image < d->images + d->nr_images; image++) {
		if (image->storage != part || strcasecmp(image->guid, guid))
			continue;
		if (image->name && image->name[0] && (image->plain || image->expanding))
			return image;
		foreign_fail(d->f, "its descriptor has no type and name of a file");
		return NULL;
	}
	foreign_fail(d->f, "its descriptor has no file of snapshot %s for the part at sector %llu",
		     guid, (unsigned long long)d->parts[part].guest_offset / SZ_512);
	return NULL;
}

static int open_level(struct descriptor *d, u32 part, u32 level)
{
	struct parallels_image *image = &d->parts[part].images[level];
	const struct listed_image *listed = find_image(d, part, d->chain[level]);
	int err;

	if (!listed)
		return -EINVAL;
	if (listed->plain && level + 1 < d->levels)
		return foreign_fail(d->f, "its descriptor has a plain file of a snapshot with a parent");
	err = foreign_open_extent(d->f, listed->name, &image->file);
	if (err)
		return err;
	image->plain = listed->plain;
	return image->plain ? 0 : parallels_open_image(d->f, image);
}

static int open_part(struct descriptor *d, u32 n)
{
	struct parallels_part *part = &d->parts[n];
	u32 level;
	int err = 0;

	part->images = foreign_alloc(d->f, d->levels, sizeof(*part->images));
	if (!part->images)
		return -ENOMEM;
	part->nr_images = d->levels;
	for (level = 0; !err && level < d->levels; level++)
		err = open_level(d, n, level);
	return err;
}

/* From sectors to bytes. Parts follow each other from the start of the disk to its end. */
static int check_parts(struct descriptor *d)
{
	u64 sector = 0, end;
	u32 i;

	for (i = 0; i < d->nr_parts; i++) {
		end = d->parts[i].size;
		if (d->parts[i].guest_offset != sector || end <= sector)
			return foreign_fail(d->f, "its descriptor has a part from sector %llu to %llu behind sector %llu",
					    (unsigned long long)d->parts[i].guest_offset,
					    (unsigned long long)end,
					    (unsigned long long)sector);
		d->parts[i].guest_offset = sector * SZ_512;
		d->parts[i].size = (end - sector) * SZ_512;
		sector = end;
	}
	if (!d->nr_parts || sector != d->sectors)
		return foreign_fail(d->f, "its descriptor has parts of %llu sectors for a disk of %llu",
				    (unsigned long long)sector,
				    (unsigned long long)d->sectors);
	return 0;
}

static int read_descriptor(struct descriptor *d)
{
	u64 size = foreign_size(d->f, 0);
	char *bytes;
	int err;

	if (size > DESCRIPTOR_MAX)
		return foreign_fail(d->f, "has a descriptor of %llu bytes",
				    (unsigned long long)size);
	bytes = foreign_alloc(d->f, size, 1);
	d->parts = foreign_alloc(d->f, LIST_MAX, sizeof(*d->parts));
	d->images = foreign_alloc(d->f, LIST_MAX, sizeof(*d->images));
	d->shots = foreign_alloc(d->f, LIST_MAX, sizeof(*d->shots));
	if (!bytes || !d->parts || !d->images || !d->shots)
		return -ENOMEM;
	err = foreign_read(d->f, 0, bytes, size, 0);
	return err ? err : foreign_xml_read(d->f, bytes, size, &reader, d);
}

static void tell(struct descriptor *d)
{
	foreign_tell_number(d->f, "parts", d->nr_parts);
	foreign_tell_number(d->f, "snapshots", d->levels - 1);
	foreign_tell(d->f, "top-guid", d->chain[0]);
}

/**
 * parallels_open_descriptor() - open the files of a disk
 * @f: the image, a DiskDescriptor.xml
 * @p: its parts are set
 *
 * Return: 0, or a negative errno with a message.
 */
int parallels_open_descriptor(struct foreign *f, struct parallels *p)
{
	struct descriptor d = { .f = f };
	int err = read_descriptor(&d);
	u32 i;

	if (!err)
		err = check_parts(&d);
	if (!err)
		err = find_chain(&d);
	for (i = 0; !err && i < d.nr_parts; i++)
		err = open_part(&d, i);
	if (err)
		return err;
	p->parts = d.parts;
	p->nr_parts = d.nr_parts;
	tell(&d);
	return 0;
}
