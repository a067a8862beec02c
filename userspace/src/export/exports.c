// SPDX-License-Identifier: GPL-2.0
/*
 * The disks that the kernel's NVMe target exports, as far as they are devices of ours.
 * Commands that show devices, or that an export stands in the way of, call this.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/stat.h>

#include "export/exports.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/*
 * The N of the device or partition that a path leads to, or -1. Others may export files of a
 * server that does not answer: those are not looked at.
 */
static int index_of_path(const char *path)
{
	bool partition;
	struct stat st;

	if (!path || strncmp(path, "/dev/", 5) || stat(path, &st) || !S_ISBLK(st.st_mode))
		return -1;
	return sysfs_index_of(st.st_rdev, &partition);
}

/**
 * exports_made_here() - whether this program has made an export
 * @nqn: its name
 *
 * Return: whether it has.
 */
bool exports_made_here(const char *nqn)
{
	char *model = sysfs_read(TREE "/subsystems/%s/attr_model", nqn);
	bool ours = model && !strcmp(model, EXPORT_MODEL);

	free(model);
	return ours;
}

/* The ports that an export is at */
static void find_ports(struct export *e)
{
	struct tree_names all;
	size_t i, nr = 0;

	tree_list(&all, "ports");
	for (i = 0; i < all.nr; i++) {
		if (tree_has("ports/%s/subsystems/%s", all.names[i], e->nqn))
			all.names[nr++] = all.names[i];
		else
			free(all.names[i]);
	}
	all.nr = nr;
	e->ports = all;
}

static void add_export(struct exports *all, const char *nqn, int index, bool ours)
{
	struct export *e;

	all->list = xrealloc(all->list, (all->nr + 1) * sizeof(*all->list));
	e = &all->list[all->nr++];
	*e = (struct export) {
		.nqn = xstrdup(nqn),
		.index = index,
		.ours = ours,
	};
	find_ports(e);
	tree_list(&e->hosts, "subsystems/%s/allowed_hosts", nqn);
}

static bool is_enabled(const char *nqn, const char *space)
{
	char *enable = sysfs_read(TREE "/subsystems/%s/namespaces/%s/enable", nqn, space);
	bool enabled = enable && !strcmp(enable, "1");

	free(enable);
	return enabled;
}

/*
 * Look at the namespaces of a subsystem. One of this program may be half made; those of others
 * have the device open only if they are enabled.
 */
static void look_at_subsystem(struct exports *all, const char *nqn, int wanted)
{
	bool added = false, ours = exports_made_here(nqn);
	struct tree_names spaces;
	char *path;
	size_t i;
	int index;

	tree_list(&spaces, "subsystems/%s/namespaces", nqn);
	for (i = 0; i < spaces.nr && !added; i++) {
		path = sysfs_read(TREE "/subsystems/%s/namespaces/%s/device_path", nqn,
				  spaces.names[i]);
		index = index_of_path(path);
		free(path);
		added = index >= 0 && (wanted < 0 || index == wanted) &&
			(ours || is_enabled(nqn, spaces.names[i]));
		if (added)
			add_export(all, nqn, index, ours);
	}
	tree_list_free(&spaces);
	if (!added && wanted < 0 && ours)
		add_export(all, nqn, -1, ours);
}

/**
 * exports_find() - find exports
 * @e: the result, for exports_free()
 * @index: those of /dev/qcowN and its partitions; -1: of all our devices, and what this
 *	program has made whose device is gone
 */
void exports_find(struct exports *e, int index)
{
	struct tree_names all;
	size_t i;

	*e = (struct exports) { };
	tree_list(&all, "subsystems");
	for (i = 0; i < all.nr; i++)
		look_at_subsystem(e, all.names[i], index);
	tree_list_free(&all);
}

/**
 * exports_free() - free the result of exports_find()
 * @e: the result
 */
void exports_free(struct exports *e)
{
	struct export *one;

	while (e->nr) {
		one = &e->list[--e->nr];
		free(one->nqn);
		tree_list_free(&one->ports);
		tree_list_free(&one->hosts);
	}
	free(e->list);
	*e = (struct exports) { };
}

/**
 * exports_port_address() - the address of a port
 * @a: the result
 * @port: number of the port in configfs
 *
 * Return: whether it is a TCP port of an IP address.
 */
bool exports_port_address(struct address *a, const char *port)
{
	char *type = sysfs_read(TREE "/ports/%s/addr_trtype", port);
	char *family = sysfs_read(TREE "/ports/%s/addr_adrfam", port);
	char *host = sysfs_read(TREE "/ports/%s/addr_traddr", port);
	char *service = sysfs_read(TREE "/ports/%s/addr_trsvcid", port);
	bool ok = type && family && host && service && !strcmp(type, "tcp") &&
		  strlen(host) < sizeof(a->host) && strlen(service) < sizeof(a->port);

	if (ok) {
		memcpy(a->host, host, strlen(host) + 1);
		memcpy(a->port, service, strlen(service) + 1);
		a->ipv6 = !strcmp(family, "ipv6");
	}
	free(service);
	free(host);
	free(family);
	free(type);
	return ok;
}

/**
 * exports_names() - the names that a device is exported with
 * @index: the N of /dev/qcowN
 *
 * Return: NQNs with blanks between them, to be freed; NULL: it is not exported.
 */
char *exports_names(int index)
{
	struct exports e;
	char *names = NULL, *more;
	size_t i;

	exports_find(&e, index);
	for (i = 0; i < e.nr; i++) {
		more = xasprintf("%s%s%s", names ? names : "", names ? " " : "", e.list[i].nqn);
		free(names);
		names = more;
	}
	exports_free(&e);
	return names;
}

/**
 * exports_resized() - have other hosts hear of the new size of a device
 * @index: the N of /dev/qcowN
 *
 * A kernel that cannot tell them tells them when they ask.
 */
void exports_resized(int index)
{
	struct tree_names spaces;
	struct exports e;
	size_t i, n;

	exports_find(&e, index);
	for (i = 0; i < e.nr; i++) {
		tree_list(&spaces, "subsystems/%s/namespaces", e.list[i].nqn);
		for (n = 0; n < spaces.nr; n++)
			tree_write("1", "subsystems/%s/namespaces/%s/revalidate_size",
				   e.list[i].nqn, spaces.names[n]);
		tree_list_free(&spaces);
	}
	exports_free(&e);
}
