// SPDX-License-Identifier: GPL-2.0
/*
 * Options that say how an image is opened.
 */
#include "cmd/image_options.h"
#include "image/image.h"
#include "image/keys.h"

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
