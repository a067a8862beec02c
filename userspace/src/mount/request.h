/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_REQUEST_H
#define _QCOWCTL_REQUEST_H

#include <stdbool.h>
#include <stdio.h>

#include "cmd/attach.h"

/**
 * struct request - the arguments of mount.qcow2
 * @attach: how to attach the image
 * @image: the image
 * @dir: where to mount
 * @type: of the filesystem in the image; NULL: any
 * @partition: its number, label or UUID; NULL: any
 * @options: options that are libmount's or the filesystem's, to free; may be NULL
 * @namespace: a path that leads to another mount namespace; NULL: this one
 * @fake: do all but attach and mount
 * @sloppy: the filesystem may ignore options that it does not know
 * @no_mtab: leave no note for umount(8)
 * @verbose: say what is done
 * @nofail: it is no error if the image is missing
 * @remount: change the options of a mount
 * @make_dir: libmount makes the directory
 */
struct request {
	struct attach attach;
	const char *image;
	const char *dir;
	const char *type;
	const char *partition;
	char *options;
	const char *namespace;
	bool fake;
	bool sloppy;
	bool no_mtab;
	bool verbose;
	bool nofail;
	bool remount;
	bool make_dir;
};

int request_type(struct request *r, const char *type);
int request_options(struct request *r, const char *text);
bool request_read_only(const struct request *r);
void request_free(struct request *r);
void request_print_options(FILE *to);
void request_print_words(FILE *to);

#endif /* _QCOWCTL_REQUEST_H */
