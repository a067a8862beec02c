// SPDX-License-Identifier: GPL-2.0
/*
 * The names under which the parent of an image may be found: the paths that the image has, as
 * far as they mean something here, and then their last parts, for a parent that was moved
 * to the folder of its child.
 */
#include "foreign/parents.h"
#include "foreign/utf16.h"

/**
 * parents_add() - add a path
 * @parents: the names
 * @name: it, relative to the folder of the image, or absolute
 */
void parents_add(struct parents *parents, const char *name)
{
	size_t len = strlen(name);
	u32 i;

	if (!len || name[len - 1] == '/' || len >= PARENTS_NAME_SIZE ||
	    parents->nr == PARENTS_MAX)
		return;
	for (i = 0; i < parents->nr; i++)
		if (!strcmp(parents->names[i], name))
			return;
	memcpy(parents->names[parents->nr++], name, len + 1);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool has_drive(const char *path)
{
	return ((path[0] | 0x20) >= 'a') && ((path[0] | 0x20) <= 'z') && path[1] == ':';
}

/**
 * parents_add_windows() - add a path that a Windows program wrote
 * @parents: the names
 * @path: it, relative to the folder of the image, or absolute. A path with a drive, a
 *	volume or a server means nothing here, so only its last part is kept
 */
void parents_add_windows(struct parents *parents, const char *path)
{
	char name[PARENTS_NAME_SIZE], *start = name, *c;
	size_t len = strlen(path);

	if (len >= sizeof(name))
		return;
	memcpy(name, path, len + 1);
	for (c = name; (c = strchr(c, '\\'));)
		*c = '/';
	if (has_drive(name) || !strncmp(name, "//", 2))
		start = strrchr(name, '/') ? strrchr(name, '/') + 1 : name + 2;
	while (!strncmp(start, "./", 2))
		start += 2;
	parents_add(parents, start);
}

/**
 * parents_add_utf16() - add such a path in UTF-16
 * @parents: the names
 * @path: it; nothing is added if it is no UTF-16
 * @bytes: of it
 * @big_endian: the order of bytes
 */
void parents_add_utf16(struct parents *parents, const u8 *path, size_t bytes, bool big_endian)
{
	char name[PARENTS_NAME_SIZE];

	if (utf16_to_utf8(name, sizeof(name), path, bytes, big_endian) > 0)
		parents_add_windows(parents, name);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character at the start of a URL, and where the next one starts. */
static const char *take_escaped(const char *url, char *c)
{
	if (url[0] == '%' && hex_digit(url[1]) >= 0 && hex_digit(url[2]) >= 0) {
		*c = hex_digit(url[1]) << 4 | hex_digit(url[2]);
		return url + 3;
	}
	*c = *url;
	return url + 1;
}

/**
 * parents_add_url() - add the path of a URL such as file://localhost/images/a%20disk.vhd
 * @parents: the names
 * @url: it; nothing is added if it is no such URL
 */
void parents_add_url(struct parents *parents, const char *url)
{
	char name[PARENTS_NAME_SIZE];
	size_t len = 0;

	if (strncmp(url, "file://", 7))
		return;
	url = strchr(url + 7, '/');
	while (url && *url && len < sizeof(name) - 1) {
		url = take_escaped(url, &name[len]);
		if (!name[len++])
			return;
	}
	if (!url || *url)
		return;
	name[len] = '\0';
	parents_add(parents, name);
}

/**
 * parents_tell() - name the parent to the host, most likely names first
 * @parents: the names
 * @f: the image
 */
void parents_tell(struct parents *parents, struct foreign *f)
{
	u32 i, nr = parents->nr;

	for (i = 0; i < nr; i++)
		parents_add(parents, base_name(parents->names[i]));
	for (i = 0; i < parents->nr; i++)
		foreign_backing(f, parents->names[i]);
}
