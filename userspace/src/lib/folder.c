// SPDX-License-Identifier: GPL-2.0
/*
 * A folder that is a disk of some other format.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/folder.h"
#include "lib/memory.h"

/* The file that describes a disk of Parallels. */
#define DESCRIPTOR	"DiskDescriptor.xml"

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
	if (!faccessat(fd, DESCRIPTOR, F_OK, 0)) {
		*next = "its format is parallels: use -f parallels, or -F parallels for a backing file";
		return "a disk of Parallels";
	}
	return NULL;
}

/**
 * folder_descriptor() - find the file that describes the disk which a folder is
 * @name: path of a folder, or of something else
 *
 * Return: path of the descriptor of a disk of Parallels, to be freed; NULL: it is none.
 */
char *folder_descriptor(const char *name)
{
	size_t len = strlen(name);
	char *path;

	while (len > 1 && name[len - 1] == '/')
		len--;
	path = xasprintf("%.*s/" DESCRIPTOR, (int)len, name);
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

/**
 * folder_open_path() - find the file that the name of an image leads to
 * @name: path of a file; or of a folder, of whose descriptor the file then is
 *
 * Return: a descriptor with O_PATH, or -1 with errno set.
 */
int folder_open_path(const char *name)
{
	char *descriptor = folder_descriptor(name);
	int fd = open(descriptor ? descriptor : name, O_PATH | O_CLOEXEC);

	free(descriptor);
	return fd;
}
