/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_IMAGE_OPTIONS_H
#define _QCOWCTL_IMAGE_OPTIONS_H

#include "cmd/options.h"
#include "image/image.h"

int option_format(void *field, const char *arg);
int option_key_file(void *field, const char *arg);
int option_expand_max(void *field, const char *arg);

/* Stored in member @m of structure @type: a u32, and a struct keys_options. */

#define OPTION_FORMAT(type, m, text)					\
	{ .name = "format", .letter = 'f', .arg = " FORMAT", .help = (text), \
	  .values = "qcow2 qcow raw",					\
	  .print_values = image_print_formats,				\
	  .parse = option_format, .field = offsetof(type, m) }

/* A bool, and a u64. */

#define OPTION_ALLOW_PARENT_MISMATCH(type, m)				\
	{ .name = "allow-parent-mismatch",				\
	  .help = "a parent of a VMDK, VHD, ... may be another, or newer, than\n" \
		  "the one that the image was made over",		\
	  .parse = option_true, .field = offsetof(type, m) }

#define OPTION_EXPAND_MAX(type, m)					\
	{ .name = "expand-max", .arg = " SIZE",				\
	  .help = "bytes of data that are decompressed beforehand, as the\n" \
		  "driver cannot, at most; 4G if not given",		\
	  .parse = option_expand_max, .field = offsetof(type, m) }

#define OPTION_KEY_FILE_AS(type, m, text)				\
	{ .name = "key-file", .arg = " FILE", .help = (text),		\
	  .values = VALUE_FILE,						\
	  .parse = option_key_file, .field = offsetof(type, m) }

#define OPTION_KEY_FILE(type, m)					\
	OPTION_KEY_FILE_AS(type, m, "as of attach, for an image that is not attached")

#endif /* _QCOWCTL_IMAGE_OPTIONS_H */
