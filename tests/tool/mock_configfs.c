// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's NVMe target in configfs, as far as qcowctl uses it: a folder gets its
 * attributes and folders when it is made, and goes with them; one that is linked to, or
 * that has others in it, stays.
 *
 * $MOCK_CONFIGFS_FAIL: the number of the change below nvmet/ that fails, the first is 1:
 * mkdir, symlink, or an attribute that is opened for writing; with $MOCK_CONFIGFS_ERRNO.
 * $MOCK_CONFIGFS_SIGNAL: the signal that comes just before that change, which does not
 * fail then.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mock.h"

#define NVMET	"/sys/kernel/config/nvmet/"

/* Entries of the folders of each kind: attributes, and folders with a slash behind */
static const struct {
	const char *in;
	const char *const entries[8];
} kinds[] = {
	{ "subsystems", { "attr_model", "attr_serial", "attr_allow_any_host", "namespaces/", "allowed_hosts/" } },
	{ "namespaces", { "device_path", "device_uuid", "enable", "revalidate_size" } },
	{ "hosts", { "dhchap_key", "dhchap_ctrl_key" } },
	{ "ports", { "addr_trtype", "addr_adrfam", "addr_traddr", "addr_trsvcid",
		     "subsystems/" } },
};

/* Return: the entries of a folder of nvmet/, or NULL: it is none. */
static const char *const *entries_of(const char *path)
{
	char parent[4096], *last;
	size_t i;

	if (strncmp(path, NVMET, strlen(NVMET)))
		return NULL;
	snprintf(parent, sizeof(parent), "%s", path);
	last = strrchr(parent, '/');
	*last = 0;
	last = strrchr(parent, '/') + 1;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(last, kinds[i].in))
			return kinds[i].entries;
	return NULL;
}

int configfs_fails(const char *path)
{
	static int changes;
	int number = atoi(env("MOCK_CONFIGFS_FAIL", "0"));
	int signal = atoi(env("MOCK_CONFIGFS_SIGNAL", "0"));

	if (strncmp(path, NVMET, strlen(NVMET)) || ++changes != number)
		return 0;
	if (!signal) {
		fail(atoi(env("MOCK_CONFIGFS_ERRNO", "5")));
		return 1;
	}
	raise(signal);
	return 0;
}

static void make_entry(const char *folder, const char *name)
{
	char path[8192];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (name[strlen(name) - 1] == '/') {
		NEXT(mkdir)(path, 0755);
		return;
	}
	fd = NEXT(open64)(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
}

int mkdir(const char *path, mode_t mode)
{
	const char *const *entry = entries_of(path);
	char buf[4096];
	const char *to = mapped(path, buf);

	if (configfs_fails(path) || NEXT(mkdir)(to, mode))
		return -1;
	for (; entry && *entry; entry++)
		make_entry(to, *entry);
	return 0;
}

int symlink(const char *target, const char *path)
{
	char buf[4096];

	return configfs_fails(path) ? -1 : NEXT(symlink)(target, mapped(path, buf));
}

/* Whether a subsystem has a link to a host */
static int is_linked(const char *host)
{
	char buf[4096], path[8192];
	DIR *dir = NEXT(opendir)(mapped(NVMET "subsystems", buf));
	struct dirent *d;
	int linked = 0;

	while (dir && !linked && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/allowed_hosts/%s", buf, d->d_name, host);
		linked = !NEXT(faccessat)(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);
	}
	if (dir)
		closedir(dir);
	return linked;
}

int rmdir(const char *path)
{
	const char *const *entries = entries_of(path), *const *entry;
	char buf[4096], inner[8192];
	const char *folder = mapped(path, buf);

	if (entries && strstr(path, "nvmet/hosts/") && is_linked(strrchr(path, '/') + 1))
		return fail(EBUSY);
	/* Folders first: one that has something in it stays. */
	for (entry = entries; entry && *entry; entry++) {
		snprintf(inner, sizeof(inner), "%s/%s", folder, *entry);
		if (inner[strlen(inner) - 1] == '/' && NEXT(rmdir)(inner))
			return -1;
	}
	for (entry = entries; entry && *entry; entry++) {
		snprintf(inner, sizeof(inner), "%s/%s", folder, *entry);
		NEXT(unlink)(inner);
	}
	return NEXT(rmdir)(folder);
}
