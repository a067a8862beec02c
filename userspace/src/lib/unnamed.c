// SPDX-License-Identifier: GPL-2.0
/*
 * Files without a name, which the filesystem frees when the last process has closed them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/unnamed.h"

/* A file may become large, and /tmp is often in memory. */
#define DEFAULT_FOLDER	"/var/tmp"

/* Nobody but the owner may open them. */
#define UNNAMED_MODE	0600

/**
 * unnamed_folder() - the folder for files without a name
 * @wanted: the folder that was asked for, or NULL
 *
 * Return: its path.
 */
const char *unnamed_folder(const char *wanted)
{
	const char *folder = wanted ? wanted : getenv("TMPDIR");

	return folder && *folder ? folder : DEFAULT_FOLDER;
}

/* On a filesystem that cannot make files without a name. */
static int open_and_unlink(const char *folder)
{
	char *path = xasprintf("%s/.qcowctl.XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

/**
 * unnamed_open() - make a file that has no name, and never gets one
 * @folder: the folder whose filesystem it is on
 *
 * Return: a descriptor for reading and writing, or -1 with errno.
 */
int unnamed_open(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, UNNAMED_MODE);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_and_unlink(folder);
	return fd;
}
