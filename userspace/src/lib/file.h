/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FILE_H
#define _QCOWCTL_FILE_H

#include <sys/stat.h>

#include "qcow/ondisk/pure.h"

/**
 * struct file - an open image, backing or data file
 * @fd: open for reading, or -1
 * @writable: and for writing
 * @name: as given, or as an image's name for it was resolved
 * @stat: of the file
 * @size: bytes, of a block device too
 */
struct file {
	int fd;
	bool writable;
	char *name;
	struct stat stat;
	u64 size;
};

/**
 * enum file_use - the use of a file
 * @FILE_NAMED: the user named it
 * @FILE_BACKING: it is the backing file of an image
 * @FILE_DATA: it is the external data file of an image
 * @FILE_EXTENT: it holds a part of an image of a foreign format
 */
enum file_use {
	FILE_NAMED,
	FILE_BACKING,
	FILE_DATA,
	FILE_EXTENT,
};

/**
 * struct file_role - why a file is opened, for messages and policy
 * @use: the use of the file
 * @of: name of the image that names it
 * @beneath: real path of a folder that has to hold it, or NULL
 * @write: for writing, if that can be
 * @quiet: print no error
 */
struct file_role {
	enum file_use use;
	const char *of;
	const char *beneath;
	bool write;
	bool quiet;
};

const char *file_use_name(enum file_use use);
int file_open(struct file *f, const char *name, const char *fallback,
	      const struct file_role *role);
int file_adopt(struct file *f, int fd);
int file_reopen_write(struct file *f, const struct file *from);
int file_look_again(struct file *f);
void file_show_holder(const struct file *f);
void file_close(struct file *f);
int __must_check file_read_quiet(const struct file *f, void *buf, size_t len,
				 u64 file_offset, size_t *got);
void file_say_unread(const struct file *f, u64 file_offset, int err);
int file_read(const struct file *f, void *buf, size_t len, u64 file_offset,
	      size_t *got);
bool stat_same(const struct stat *a, const struct stat *b);
bool file_same(const struct file *a, const struct file *b);
char *file_real_path(int fd);
bool file_beneath(int fd, const char *folder);

/* Bytes that a file's filesystem has allocated: stat(2) counts units of 512 bytes. */
static inline u64 file_allocated(const struct file *f)
{
	return (u64)f->stat.st_blocks * SZ_512;
}

#endif /* _QCOWCTL_FILE_H */
