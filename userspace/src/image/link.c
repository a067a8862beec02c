// SPDX-License-Identifier: GPL-2.0
/*
 * The names of files that images hold: the paths that they mean, and messages about them.
 */
#include <stdlib.h>
#include <unistd.h>

#include "image/link.h"
#include "lib/name.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * link_free() - free the names of a link
 * @l: the link; there is none afterwards
 */
void link_free(struct link *l)
{
	free(l->name);
	free(l->fallback);
	free(l->member);
	memset(l, 0, sizeof(*l));
}

/**
 * link_refuse_field() - report something about a name that an image holds
 * @img: the image
 * @field: the name of the name
 * @written: the name
 * @wrong: the fault and the remedy
 *
 * Return: -1.
 */
int link_refuse_field(const struct image *img, const char *field,
		      const char *written, const char *wrong)
{
	char *shown = text_escape(written);

	report(img->file.name, "its %s \"%s\" %s", field, shown, wrong);
	free(shown);
	return -1;
}

/**
 * link_refuse() - report something about the name of a file that an image holds
 * @img: the image
 * @use: the use of the file
 * @written: the name
 * @wrong: the fault and the remedy
 *
 * Return: -1.
 */
int link_refuse(const struct image *img, enum file_use use, const char *written,
		const char *wrong)
{
	return link_refuse_field(img, file_use_name(use), written, wrong);
}

/*
 * How a local file that an image names in JSON is named from the image's folder. QEMU
 * looks a relative name up in its working folder, unlike one that is not in JSON.
 */
static char *name_from_folder(const struct image *img, const char *path)
{
	char *beside = name_resolve(img->file.name, path);
	char *full = path[0] == '/' ? NULL : realpath(path, NULL);

	if (full && !access(beside, F_OK)) {
		free(full);
		full = NULL;
	}
	free(beside);
	return full ? full : xstrdup(path);
}

/* The format that the header gives for the backing file goes before that of its name. */
static const char *local_format(const struct image *img, const struct name_local *local)
{
	u32 format = image_format(img->header.backing_format);

	if (format)
		return image_format_name(format);
	return local->format ? local->format : "FORMAT";
}

/* The command that puts a plain name in place of one in JSON. */
static char *rename_command(const struct image *img, enum file_use use,
			    const struct name_local *local)
{
	char *name = name_from_folder(img, local->path);
	char *word = text_shell(name), *image = text_shell(img->file.name);
	char *command;

	if (use != FILE_BACKING)
		command = xasprintf("qemu-img amend -f qcow2 -o data_file=%s %s", word, image);
	else
		command = xasprintf("qemu-img rebase -u -b %s -F %s %s", word,
				    local_format(img, local), image);
	free(name);
	free(word);
	free(image);
	return command;
}

/* Refuse a name that is not that of a file. */
static int refuse_no_name(const struct image *img, enum file_use use,
			  const char *written, const char *refused)
{
	bool backing = use == FILE_BACKING;
	struct name_local local;
	char *wrong, *command;

	if (name_from_json(&local, written)) {
		command = rename_command(img, use, &local);
		wrong = xasprintf("is %s of a local file; name the file itself with %s",
				  refused, command);
		free(command);
	} else {
		wrong = xasprintf("is %s, not a file's name; copy it to a local file and name that%s",
				  refused, backing ? " with qemu-img rebase -u" : "");
	}
	free(local.path);
	link_refuse(img, use, written, wrong);
	free(wrong);
	return -1;
}

/**
 * link_resolve() - turn a name that an image holds into paths
 * @l: the result
 * @img: the image
 * @use: the use of the file
 * @written: the name
 *
 * Return: 0, or -1 after printing the error.
 */
int link_resolve(struct link *l, const struct image *img, enum file_use use,
		 const char *written)
{
	const char *refused = name_refused(written);
	char *path;

	if (refused)
		return refuse_no_name(img, use, written, refused);
	l->name = name_resolve(img->file.name, written);
	path = file_real_path(img->file.fd);
	if (path)
		l->fallback = name_resolve(path, written);
	free(path);
	return 0;
}
