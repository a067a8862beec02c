// SPDX-License-Identifier: GPL-2.0
/*
 * Options that say how an image is opened.
 */
#include <stdlib.h>

#include "cmd/image_options.h"
#include "image/keys.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * option_format() - store the format of an image
 * @field: a u32, for &enum qcow_format
 * @arg: the format's name
 *
 * Return: 0, or -1 after printing the error.
 */
int option_format(void *field, const char *arg)
{
	return image_parse_format(field, arg);
}

/**
 * option_key_file() - add a file that holds a passphrase
 * @field: a struct keys_options
 * @arg: the file's name
 *
 * Return: 0, or -1 after printing the error.
 */
int option_key_file(void *field, const char *arg)
{
	return keys_add_file(field, arg);
}

/**
 * option_expand_max() - store the most bytes that are decompressed
 * @field: a u64
 * @arg: bytes, with a suffix or without one
 *
 * Return: 0, or -1 after printing the error.
 */
int option_expand_max(void *field, const char *arg)
{
	char *shown;
	u64 bytes;

	if (!text_parse_size(arg, &bytes) && bytes) {
		*(u64 *)field = bytes;
		return 0;
	}
	shown = text_escape(arg);
	report("--expand-max", "bad value \"%s\"; give a size, such as 20G", shown);
	free(shown);
	return -1;
}
