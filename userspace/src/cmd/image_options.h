/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_IMAGE_OPTIONS_H
#define _QCOWCTL_IMAGE_OPTIONS_H

#include "cmd/options.h"

int option_format(void *field, const char *arg);
int option_key_file(void *field, const char *arg);

/* Stored in member @m of structure @type: a u32, and a struct keys_options. */

#define OPTION_FORMAT(type, m, text)					\
	{ .name = "format", .letter = 'f', .arg = " FORMAT", .help = (text), \
	  .values = "qcow2 qcow raw",					\
	  .parse = option_format, .field = offsetof(type, m) }

#define OPTION_KEY_FILE_AS(type, m, text)				\
	{ .name = "key-file", .arg = " FILE", .help = (text),		\
	  .values = VALUE_FILE,						\
	  .parse = option_key_file, .field = offsetof(type, m) }

#define OPTION_KEY_FILE(type, m)					\
	OPTION_KEY_FILE_AS(type, m, "as of attach, for an image that is not attached")

#endif /* _QCOWCTL_IMAGE_OPTIONS_H */
