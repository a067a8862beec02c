// SPDX-License-Identifier: GPL-2.0
/*
 * Names that users give devices: udev makes /dev/qcow/ALIAS and /dev/qcow/ALIAS-partN of
 * them. The command attach and the generator of units call this.
 */
#include <linux/qcow.h>
#include <string.h>

#include "device/alias.h"

/* Names of partitions would be the same as those of another device. */
static bool ends_as_partition(const char *alias)
{
	size_t len = strlen(alias), digits = 0;

	while (digits < len && strchr("0123456789", alias[len - 1 - digits]))
		digits++;
	return digits && len - digits >= strlen("-part") &&
	       !strncmp(alias + len - digits - strlen("-part"), "-part", strlen("-part"));
}

/**
 * alias_is_valid() - whether a device may have a name
 * @alias: the name
 *
 * Return: whether the driver and udev take it.
 */
bool alias_is_valid(const char *alias)
{
	size_t len = strspn(alias, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789#+-.:=@_");

	return len && len <= QCOW_ALIAS_MAX && !alias[len] && *alias != '-' &&
	       *alias != '.' && !ends_as_partition(alias);
}
