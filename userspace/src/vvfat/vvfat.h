/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VVFAT_H
#define _QCOWCTL_VVFAT_H

#include <linux/qcow_map.h>

#include "qcow/ondisk/pure.h"

/* Bytes of files that are copied if there are more of them than a table can have. */
#define VVFAT_COPY_MAX	(256ULL * SZ_1M)

/**
 * struct vvfat_options - choices of a user; zeros: the usual ones
 * @label: of the filesystem, up to 11 characters; NULL: the name of the folder
 * @serial: number of the filesystem and of the disk; 0: from the path of the folder
 * @fat_bits: 16 or 32; 0: FAT16 for small folders
 * @size: bytes that the disk has at least
 * @files_max: files that the table may have
 * @copy_max: bytes of files that may be copied
 */
struct vvfat_options {
	const char *label;
	u32 serial;
	u32 fat_bits;
	u64 size;
	u32 files_max;
	u64 copy_max;
};

/**
 * struct vvfat_file - a file of the table
 * @fd: open for reading
 * @path: for people; that of number 0 is the folder's
 */
struct vvfat_file {
	int fd;
	char *path;
};

/**
 * struct vvfat - a folder as a disk with one FAT partition
 * @size: bytes of the disk
 * @fat_bits: 16 or 32
 * @cluster_size: of the filesystem, in bytes
 * @serial: its number
 * @label: its label
 * @files: of the table; number 0 has all that is not in files of the folder, and no name
 * @nr_files: of them
 * @entries: of the table
 * @nr_entries: of them
 */
struct vvfat {
	u64 size;
	u32 fat_bits;
	u32 cluster_size;
	u32 serial;
	char label[12];
	struct vvfat_file *files;
	u32 nr_files;
	struct qcow_map_entry *entries;
	u64 nr_entries;
};

int vvfat_make(struct vvfat *v, const char *folder, const struct vvfat_options *options);
void vvfat_free(struct vvfat *v);

#endif /* _QCOWCTL_VVFAT_H */
