/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VVFAT_TREE_H
#define _QCOWCTL_VVFAT_TREE_H

#include <sys/types.h>
#include <time.h>

#include "qcow/ondisk/pure.h"

/* Files and folders that a tree may have. */
#define TREE_NODES_MAX	SZ_1M

/* Folders above a file, at most. Functions call themselves for each. */
#define TREE_DEPTH_MAX	128

/* Characters of a name, in UTF-16, and bytes of a short one. */
#define LONG_NAME_MAX	255
#define SHORT_NAME_SIZE	11

/**
 * struct node - a file or folder
 * @name: in its folder
 * @target: path below the whole folder, if it is not by @parent and @name; or NULL
 * @parent: NULL: the whole folder
 * @depth: folders above it, with those that links lead through
 * @children: of a folder, sorted by names
 * @nr_children: of them
 * @is_folder: whether it is one
 * @read_only: nobody may write to it
 * @size: bytes of a file
 * @dev: its filesystem
 * @ino: its number there
 * @mtime: when it was changed
 * @long_name: in UTF-16; NULL: the short name is all
 * @long_len: characters of it
 * @short_name: in the form of FAT
 * @dir_size: bytes of a folder's directory
 * @cluster: the first one; 0: none
 * @clusters: how many
 * @file: of the table; 0: the bytes are copied
 */
struct node {
	char *name;
	char *target;
	struct node *parent;
	u32 depth;
	struct node **children;
	u32 nr_children;
	bool is_folder;
	bool read_only;
	u64 size;
	dev_t dev;
	ino_t ino;
	time_t mtime;
	u16 *long_name;
	u32 long_len;
	u8 short_name[SHORT_NAME_SIZE];
	u32 dir_size;
	u32 cluster;
	u32 clusters;
	u32 file;
};

/**
 * struct tree - a folder with all that is in it
 * @name: as it was given
 * @path: its real path
 * @fd: of the folder
 * @root: the folder
 * @nr_nodes: files and folders
 * @nr_notes: files of which a user was told something
 */
struct tree {
	const char *name;
	char *path;
	int fd;
	struct node *root;
	u32 nr_nodes;
	u32 nr_notes;
};

int tree_scan(struct tree *t, const char *folder);
char *tree_path(const struct node *n);
char *tree_shown_path(const struct tree *t, const struct node *n);
int tree_open(const struct tree *t, const struct node *n);
void tree_note(struct tree *t, const struct node *n, const char *fmt, ...) __printf(3, 4);
void tree_end_notes(const struct tree *t);
void tree_free(struct tree *t);

#endif /* _QCOWCTL_VVFAT_TREE_H */
