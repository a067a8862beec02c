/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NEW_FILE_H
#define _QCOWCTL_NEW_FILE_H

#include <stdbool.h>

#include "lib/file.h"

/**
 * struct new_file - a file that gets its name when it is complete
 * @fd: the file, open for reading and writing, or -1
 * @name: as given, for messages
 * @path: the path that it gets
 * @temporary: the path that it has until then; NULL: it has none
 * @replaced: the file that had the path before, if @replace
 * @replace: whether there was one
 */
struct new_file {
	int fd;
	char *name;
	char *path;
	char *temporary;
	struct file replaced;
	bool replace;
};

int new_file_open(struct new_file *f, const char *name, bool force);
int new_file_open_unnamed(struct new_file *f, const char *folder);
int new_file_publish(struct new_file *f);
void new_file_withdraw(struct new_file *f);
void new_file_close(struct new_file *f);

#endif /* _QCOWCTL_NEW_FILE_H */
