/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOREIGN_IMAGE_H
#define _QCOWCTL_FOREIGN_IMAGE_H

#include "foreign/parse.h"

/**
 * struct foreign_image - an image of a format that the driver does not parse
 * @parsed: the findings of its parser
 * @files: those of its table, from number 1 on
 * @nr_files: of them
 */
struct foreign_image {
	struct parsed parsed;
	struct file *files;
	u32 nr_files;
};

/**
 * struct foreign_image_how - the way to load such an image
 * @want: the reason
 * @child: format of the image above it; NULL: none, or one that is no foreign one
 * @alone: it has no parent, although it may
 * @member: of an archive: the member that is the image, or NULL
 * @expand_max: bytes of decompressed data that may be kept; 0: the usual limit
 * @open: open a file that the image names as a part of it. Return: 0, or -1 after printing
 *	the error
 * @fault: as of &struct parse_host; may be NULL
 * @arg: the first argument of the functions
 */
struct foreign_image_how {
	enum parse_want want;
	const struct foreign_format *child;
	bool alone;
	const char *member;
	u64 expand_max;
	int (*open)(void *arg, struct file *f, const char *name);
	void (*fault)(void *arg, bool leak, const char *text);
	void *arg;
};

const struct foreign_format *foreign_image_probe(const struct file *f);
const struct foreign_format *foreign_image_probe_backing(const struct file *f,
							 const struct foreign_format *child);
bool foreign_image_is_fixed(const struct file *f);
int foreign_image_load(struct foreign_image **result, const struct file *file,
		       const struct foreign_format *format,
		       const struct foreign_image_how *how);
void foreign_image_free(struct foreign_image *foreign);

#endif /* _QCOWCTL_FOREIGN_IMAGE_H */
