// SPDX-License-Identifier: GPL-2.0
/*
 * A folder that is a disk of some other format.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "lib/folder.h"

/**
 * folder_kind() - tell whether a folder is a disk of some other format
 * @fd: the folder, may be O_PATH
 * @next: the result: advice
 *
 * Return: its kind, or NULL if it is none that is known.
 */
const char *folder_kind(int fd, const char **next)
{
	if (!faccessat(fd, "bands", F_OK, 0) && !faccessat(fd, "Info.plist", F_OK, 0)) {
		*next = "on a Mac make a raw image of it with hdiutil convert -format UDTO";
		return "a macOS sparse bundle";
	}
	if (!faccessat(fd, "DiskDescriptor.xml", F_OK, 0)) {
		*next = "convert the .hds file in it with qemu-img convert -f parallels -O qcow2";
		return "a disk of Parallels";
	}
	return NULL;
}
