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

static bool has_ending(const char *path, const char *ending)
{
	size_t len = strlen(path), n = strlen(ending);

	return len >= n && !strcasecmp(path + len - n, ending);
}

/* A flat part of a disk that VMware has split: disk-f001.vmdk. */
static bool is_flat_part(const char *path)
{
	const char *part = strrchr(path, '-');
	size_t digits;

	if (!part || strncasecmp(part, "-f", 2))
		return false;
	digits = strspn(part + 2, "0123456789");
	return digits && !strcasecmp(part + 2 + digits, ".vmdk");
}

/**
 * name_suggests_raw() - whether a file has a name that raw disks usually have
 * @path: of the file
 *
 * The raw parts of disks of VMware and Parallels count as well.
 *
 * Return: whether its name ends so, in upper or lower case.
 */
bool name_suggests_raw(const char *path)
{
	static const char *const endings[] = {
		".raw", ".img", ".dd", ".bin", ".iso", ".cdr", ".hds", ".hdd",
		"-flat.vmdk", "-rdm.vmdk", "-rdmp.vmdk",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(endings); i++)
		if (has_ending(path, endings[i]))
			return true;
	return is_flat_part(path);
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
