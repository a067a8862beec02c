// SPDX-License-Identifier: GPL-2.0
/*
 * Directories of FAT.
 */
#include "lib/fat_time.h"
#include "lib/report.h"
#include "vvfat/dir.h"
#include "vvfat/names.h"

#define ATTR_READ_ONLY	0x01
#define ATTR_LABEL	0x08
#define ATTR_FOLDER	0x10
#define ATTR_FILE	0x20
#define ATTR_LONG_NAME	0x0f

/* Places of the characters of a long name in an entry */
static const u8 char_places[NAME_PART] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };

static void put16(u8 *p, u32 v)
{
	p[0] = v;
	p[1] = v >> 8;
}

/**
 * dir_entries() - count the entries of a directory
 * @folder: the folder; its files have their names
 *
 * Return: how many.
 */
u32 dir_entries(const struct node *folder)
{
	u32 i, nr = folder->parent ? 2 : 1;

	for (i = 0; i < folder->nr_children; i++)
		nr += names_entries(folder->children[i]);
	return nr;
}

static u8 checksum(const u8 *short_name)
{
	u8 sum = 0;
	u32 i;

	for (i = 0; i < SHORT_NAME_SIZE; i++)
		sum = (sum << 7 | sum >> 1) + short_name[i];
	return sum;
}

/* A part of a long name. Behind its end comes a NUL, and then what is no character. */
static void put_name_part(u8 *e, const struct node *n, u32 part)
{
	u32 i, in_name;

	e[11] = ATTR_LONG_NAME;
	e[13] = checksum(n->short_name);
	for (i = 0; i < NAME_PART; i++) {
		in_name = part * NAME_PART + i;
		put16(e + char_places[i], in_name < n->long_len ? n->long_name[in_name] :
					  in_name == n->long_len ? 0 : 0xffff);
	}
}

/* The last part of a long name goes first. Return: where the next entry goes. */
static u8 *put_long_name(u8 *e, const struct node *n)
{
	u32 parts = names_entries(n) - 1, part;

	for (part = parts; part; part--) {
		e[0] = part | (part == parts ? 0x40 : 0);
		put_name_part(e, n, part - 1);
		e += FAT_ENTRY_BYTES;
	}
	return e;
}

static void put_time(u8 *e, time_t mtime)
{
	u32 t = fat_time(mtime);

	put16(e + 14, t);
	put16(e + 16, t >> 16);
	put16(e + 18, t >> 16);
	put16(e + 22, t);
	put16(e + 24, t >> 16);
}

static void put_node(u8 *e, const struct node *n, const void *name)
{
	memcpy(e, name, SHORT_NAME_SIZE);
	e[11] = (n->is_folder ? ATTR_FOLDER : ATTR_FILE) | (n->read_only ? ATTR_READ_ONLY : 0);
	put_time(e, n->mtime);
	put16(e + 20, n->cluster >> 16);
	put16(e + 26, n->cluster);
	put16(e + 28, n->size);
	put16(e + 30, n->size >> 16);
}

static void put_label(u8 *e, const struct fat *fat, const struct node *root)
{
	memcpy(e, fat->label, FAT_LABEL_BYTES);
	e[11] = ATTR_LABEL;
	put_time(e, root->mtime);
}

/* The folder itself and the one above; the root has the number 0 there. */
static u8 *put_dots(u8 *e, const struct node *n)
{
	struct node above = *n->parent;

	if (!above.parent)
		above.cluster = 0;
	put_node(e, n, ".          ");
	put_node(e + FAT_ENTRY_BYTES, &above, "..         ");
	return e + 2 * FAT_ENTRY_BYTES;
}

/**
 * dir_make() - make a directory
 * @fat: the filesystem
 * @folder: the folder; its files have their clusters
 *
 * Return: its dir_size bytes, to be freed.
 */
u8 *dir_make(const struct fat *fat, const struct node *folder)
{
	u8 *bytes = xcalloc(folder->dir_size, 1), *e = bytes;
	u32 i;

	if (folder->parent) {
		e = put_dots(e, folder);
	} else {
		put_label(e, fat, folder);
		e += FAT_ENTRY_BYTES;
	}
	for (i = 0; i < folder->nr_children; i++) {
		e = put_long_name(e, folder->children[i]);
		put_node(e, folder->children[i], folder->children[i]->short_name);
		e += FAT_ENTRY_BYTES;
	}
	return bytes;
}
