// SPDX-License-Identifier: GPL-2.0
/*
 * Users of a device that were given its path, and show that in sysfs or configfs: loop
 * devices, zram that writes back to it, exports to other hosts.
 * in_use.c calls this.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "device/stacked.h"
#include "export/exports.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * struct place - where the path of a device is shown
 * @folder: one that has a folder for each user
 * @pattern: of their names
 * @below: of each: a folder that has folders again; NULL: none
 * @file: the file that holds the path, in the folder of the user or in each of those
 * @kind: the kind of user, in front of its name
 * @export: whether a user may be an export that this program has made
 */
struct place {
	const char *folder;
	const char *pattern;
	const char *below;
	const char *file;
	const char *kind;
	bool export;
};

static const struct place places[] = {
	{ "/sys/block", "loop*", NULL, "loop/backing_file", "/dev/", false },
	{ "/sys/block", "zram*", NULL, "backing_dev", "/dev/", false },
	{ "/sys/kernel/config/nvmet/subsystems", "*", "namespaces", "device_path",
	  "the NVMe target ", true },
	{ "/sys/kernel/config/target/core", "iblock_*", "", "udev_path",
	  "the SCSI target ", false },
};

/* Whether the namespace of the NVMe target that has a file for its path is not enabled */
static bool is_disabled(const char *file)
{
	char *enable = sysfs_read("%.*s/enable", (int)(strrchr(file, '/') - file), file);
	bool disabled = enable && !strcmp(enable, "0");

	free(enable);
	return disabled;
}

/* If a file holds the path of one of the nodes, its user is added. */
static void look_at_file(const struct target *t, const struct place *p,
			 const char *user, const char *file)
{
	char *path = sysfs_read("%s", file), *shown;
	const struct sysfs_node *node = NULL;
	bool ours;

	/* Others may be on a server that does not answer. */
	if (path && !strncmp(path, "/dev/", 5))
		node = target_node_by_path(t, path);
	free(path);
	if (!node)
		return;
	ours = p->export && exports_made_here(user);
	if (p->export && !ours && is_disabled(file))
		return;
	shown = text_escape(user);
	target_add(t, true, ours ?
		   xasprintf("/dev/%s exported as %s; run qcowctl unexport", node->name, shown) :
		   xasprintf("/dev/%s used by %s%s", node->name, p->kind, shown));
	free(shown);
}

/* Calls itself once, for the folders of a user. */
static void look_at_folder(const struct target *t, const struct place *p,
			   const char *folder, const char *pattern, const char *user)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	char *path;

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.' || fnmatch(pattern, d->d_name, 0))
			continue;
		if (p->below && !user) {
			path = xasprintf("%s/%s/%s", folder, d->d_name, p->below);
			look_at_folder(t, p, path, "*", d->d_name);
		} else {
			path = xasprintf("%s/%s/%s", folder, d->d_name, p->file);
			look_at_file(t, p, user ? user : d->d_name, path);
		}
		free(path);
	}
	closedir(dir);
}

/**
 * stacked_find() - find users that were given a device by its path
 * @t: the device, which gets the users
 */
void stacked_find(const struct target *t)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		look_at_folder(t, &places[i], places[i].folder, places[i].pattern, NULL);
}
