/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACHED_H
#define _QCOWCTL_ATTACHED_H

#include <linux/qcow.h>
#include <stdbool.h>

#include "lib/file.h"

/**
 * struct device - an attached device
 * @index: the N of /dev/qcowN
 * @diskseq: tells it from a later device of that number; 0: not known
 */
struct device {
	int index;
	u64 diskseq;
};

/**
 * struct attached_search - a search for the devices that a file belongs to
 * @fd: the file, may be O_PATH
 * @stat: of the file
 * @control: the driver's control node, or -1: it cannot be opened
 * @guess: the driver cannot be asked: found by the paths that sysfs shows, which may
 *	lead to other files by now
 * @next: the lowest N to look at
 * @found: a device that was found
 */
struct attached_search {
	int fd;
	struct stat stat;
	int control;
	bool guess;
	int next;
	struct qcow_ioc_file found;
};

void attached_begin(struct attached_search *s, int fd);
bool attached_next(struct attached_search *s);
void attached_end(struct attached_search *s);
bool attached_as_image(const struct attached_search *s);
bool attached_is_image(int index, int fd, bool *known);
int attached_open(struct file *f, u32 *format, int control,
		  const struct device *d, u32 image, u32 flags);
int attached_open_part(struct file *f, int control, const struct device *d, u32 image,
		       u32 number);
bool attached_all(const struct device *d, bool (*accept)(int fd, void *arg), void *arg);

#endif /* _QCOWCTL_ATTACHED_H */
