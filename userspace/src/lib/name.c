// SPDX-License-Identifier: GPL-2.0
/*
 * Names of files as images write them: which are allowed, and which path they
 * mean. Only names of local files are followed.
 */
#include <stdlib.h>
#include <strings.h>

#include "lib/name.h"
#include "lib/report.h"

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* As in QEMU: a colon in front of the first slash ends a protocol's name. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/**
 * name_refused() - tell names that are not those of local files
 * @written: the name as the image has it
 *
 * Return: the kind of name it is instead, or NULL.
 */
const char *name_refused(const char *written)
{
	if (starts_with(written, "json:"))
		return "a json: description";
	if (starts_with(written, "file:"))
		written += strlen("file:");
	else if (has_protocol(written))
		return "a URL";
	return *written ? NULL : "an empty name";
}

/**
 * name_url_advice() - advice about a URL that was given for a file
 * @name: the given name; there is no such file
 *
 * Return: advice, or NULL: it is no URL that is known.
 */
const char *name_url_advice(const char *name)
{
	static const struct {
		const char *start;
		const char *advice;
	} known[] = {
		{ "http:", "download it with curl -O" },
		{ "https:", "download it with curl -O" },
		{ "ftp:", "download it with curl -O" },
		{ "ftps:", "download it with curl -O" },
		{ "ssh:", "copy it with scp" },
		{ "sftp:", "copy it with scp" },
		{ "nbd:", "connect it with nbd-client, which makes a block device" },
		{ "nbd+unix:", "connect it with nbd-client, which makes a block device" },
		{ "iscsi:", "log in with iscsiadm, which makes a block device" },
		{ "rbd:", "map it with rbd map, which makes a block device" },
		{ "s3:", "download it with aws s3 cp" },
		{ "gs:", "download it with gcloud storage cp" },
		{ "file:", "give the path alone" },
		{ "host_device:", "give the path alone" },
		{ "json:", "give the path of the file in it" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strncasecmp(name, known[i].start, strlen(known[i].start)))
			return known[i].advice;
	return strstr(name, "://") ? "copy it to a local file" : NULL;
}

/**
 * name_suggests_raw() - whether a file has a name that raw disks usually have
 * @path: of the file
 *
 * Return: whether its name ends so, in upper or lower case.
 */
bool name_suggests_raw(const char *path)
{
	static const char *const endings[] = { ".raw", ".img", ".dd", ".bin", ".iso" };
	size_t len = strlen(path), i, n;

	for (i = 0; i < ARRAY_SIZE(endings); i++) {
		n = strlen(endings[i]);
		if (len >= n && !strcasecmp(path + len - n, endings[i]))
			return true;
	}
	return false;
}

/**
 * name_resolve() - the path that a name in an image means
 * @image: the image's own path
 * @written: the name as the image has it, one that name_refused() lets pass
 *
 * Return: a string to free; a relative name is taken from the image's folder.
 */
char *name_resolve(const char *image, const char *written)
{
	const char *slash = strrchr(image, '/');

	if (starts_with(written, "file:"))
		written += strlen("file:");
	if (written[0] == '/' || !slash)
		return xstrdup(written);
	return xasprintf("%.*s/%s", (int)(slash - image), image, written);
}
