// SPDX-License-Identifier: GPL-2.0
/*
 * Makes exports of the kernel's NVMe target, and removes them. An export is a subsystem with
 * one namespace, links to the hosts that may connect, and a link from a port, which is an
 * address. Other hosts see it from that last link on. The commands export, unexport and
 * detach call this, with the tree locked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/build.h"
#include "export/exports.h"
#include "export/nqn.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* Ports have 16 bits of a number. */
#define LAST_PORT	65535

/* --- Removal --- */

static bool has_entries(const char *folder, const char *name, const char *below)
{
	struct tree_names list;
	bool has;

	tree_list(&list, "%s/%s/%s", folder, name, below);
	has = list.nr;
	tree_list_free(&list);
	return has;
}

/* Remove a port that this program has made, and that no export is at any more. */
static void drop_port(const char *port)
{
	if (atoi(port) >= EXPORT_FIRST_PORT && !has_entries("ports", port, "subsystems"))
		tree_rmdir("ports/%s", port);
}

static bool has_value(const char *nqn, const char *attr)
{
	char *value = sysfs_read(TREE "/hosts/%s/%s", nqn, attr);
	bool has = value && *value;

	free(value);
	return has;
}

/*
 * Remove a host that may connect to nothing any more: the kernel keeps the others. One
 * with a key was made by somebody else. @others: hosts that stay in any case, or NULL
 */
static void drop_host(const char *nqn, const struct tree_names *others)
{
	size_t i;

	for (i = 0; others && i < others->nr; i++)
		if (!strcmp(others->names[i], nqn))
			return;
	if (!has_value(nqn, "dhchap_key") && !has_value(nqn, "dhchap_ctrl_key"))
		tree_rmdir("hosts/%s", nqn);
}

/**
 * build_hide() - close an export to other hosts, and keep the rest of it
 * @nqn: its name
 *
 * This does not wait for the device.
 */
void build_hide(const char *nqn)
{
	struct tree_names ports;
	size_t i;

	tree_list(&ports, "ports");
	for (i = 0; i < ports.nr; i++) {
		if (tree_has("ports/%s/subsystems/%s", ports.names[i], nqn))
			tree_unlink("ports/%s/subsystems/%s", ports.names[i], nqn);
		drop_port(ports.names[i]);
	}
	tree_list_free(&ports);
}

static void remove_spaces(const char *nqn)
{
	struct tree_names spaces;
	size_t i;

	tree_list(&spaces, "subsystems/%s/namespaces", nqn);
	for (i = 0; i < spaces.nr; i++) {
		tree_write("0", "subsystems/%s/namespaces/%s/enable", nqn, spaces.names[i]);
		tree_rmdir("subsystems/%s/namespaces/%s", nqn, spaces.names[i]);
	}
	tree_list_free(&spaces);
}

static void forbid_hosts(const char *nqn, const struct tree_names *others)
{
	struct tree_names hosts;
	size_t i;

	tree_list(&hosts, "subsystems/%s/allowed_hosts", nqn);
	for (i = 0; i < hosts.nr; i++) {
		tree_unlink("subsystems/%s/allowed_hosts/%s", nqn, hosts.names[i]);
		drop_host(hosts.names[i], others);
	}
	tree_list_free(&hosts);
}

/* As build_remove(), but @others, hosts, stay. */
static int remove_but(const char *nqn, const struct tree_names *others)
{
	int err;

	build_hide(nqn);
	remove_spaces(nqn);
	forbid_hosts(nqn, others);
	err = tree_rmdir("subsystems/%s", nqn);
	if (!err || err == -ENOENT)
		return 0;
	report(nqn, "cannot be removed: %s; %s", strerror(-err),
	       err == -EPERM || err == -EACCES ? "use sudo" : "see the kernel log");
	return -1;
}

/**
 * build_remove() - remove an export, also one that is half made
 * @nqn: its name
 *
 * The hosts that are connected lose the connection first, and wait for the disk to come
 * back, as they would if this host were down; but not those that are connected to another
 * export at the same port. The device is closed then.
 *
 * Return: 0, or -1 after printing the error.
 */
int build_remove(const char *nqn)
{
	return remove_but(nqn, NULL);
}

/* --- Steps of making one: each prints its error and returns -1 --- */

static int failed(const char *what, int err)
{
	if (err == -EPERM || err == -EACCES)
		report(what, "only root of the host may export; use sudo");
	else
		report(what, "%s; see the kernel log", strerror(-err));
	return -1;
}

static int name_disk(const struct build *b)
{
	char serial[NQN_SERIAL_SIZE];
	int err;

	nqn_serial(b->disk, serial);
	err = tree_write(EXPORT_MODEL, "subsystems/%s/attr_model", b->nqn);
	if (!err)
		err = tree_write(serial, "subsystems/%s/attr_serial", b->nqn);
	return err ? failed(b->nqn, err) : 0;
}

/* The kernels that there are open the device for writing. */
static void report_device(const struct build *b, const char *path, int err)
{
	u64 read_only = 0;

	if (err == -EACCES &&
	    sysfs_read_u64(&read_only, "/sys/block/qcow%d/ro", b->index) && read_only)
		report(path, "is read-only, and the kernel exports only disks that can be written; attach the image with --temporary, which does not change it");
	else
		report(path, "the NVMe target cannot open it: %s; see the kernel log",
		       strerror(-err));
}

static int make_space(const struct build *b)
{
	char *space = xasprintf("subsystems/%s/namespaces/%d", b->nqn, EXPORT_NSID);
	char *path = xasprintf("/dev/qcow%d", b->index);
	char uuid[NQN_UUID_SIZE];
	int err;

	nqn_uuid(b->disk, uuid);
	err = tree_mkdir("%s", space);
	if (!err)
		err = tree_write(path, "%s/device_path", space);
	if (!err)
		err = tree_write(uuid, "%s/device_uuid", space);
	if (err)
		err = failed(b->nqn, err);
	else if ((err = tree_write("1", "%s/enable", space)))
		report_device(b, path, err);
	free(path);
	free(space);
	return err ? -1 : 0;
}

/* The device may have gone, and another one have its number, when the target opened it. */
static int check_disk(const struct build *b)
{
	char name[32];

	if (sysfs_is_disk(b->index, b->diskseq))
		return 0;
	snprintf(name, sizeof(name), "/dev/qcow%d", b->index);
	report(name, "is another device meanwhile; see qcowctl list");
	return -1;
}

static int allow_host(const struct build *b, const char *host)
{
	char *target = xasprintf("hosts/%s", host);
	int err = tree_mkdir("hosts/%s", host);
	bool made = !err;

	if (!err || err == -EEXIST)
		err = tree_link(target, "subsystems/%s/allowed_hosts/%s", b->nqn, host);
	free(target);
	/* The same host may be named twice. */
	if (!err || err == -EEXIST)
		return 0;
	if (made)
		drop_host(host, NULL);
	return failed(host, err);
}

static int allow_hosts(const struct build *b)
{
	size_t i;

	for (i = 0; i < b->nr_hosts; i++)
		if (allow_host(b, b->hosts[i]))
			return -1;
	return 0;
}

static bool is_port_at(const char *port, const struct address *a)
{
	struct address other;

	return exports_port_address(&other, port) && !strcmp(other.host, a->host) &&
	       !strcmp(other.port, a->port) && other.ipv6 == a->ipv6;
}

/*
 * Return: the port that is at an address, to be freed, or NULL. Ports that a call of this
 * program has left behind, which was killed, are removed.
 */
static char *find_port(const struct address *a)
{
	struct tree_names ports;
	char *found = NULL;
	size_t i;

	tree_list(&ports, "ports");
	for (i = 0; i < ports.nr; i++) {
		drop_port(ports.names[i]);
		if (!found && is_port_at(ports.names[i], a))
			found = xstrdup(ports.names[i]);
	}
	tree_list_free(&ports);
	return found;
}

static int set_address(const char *port, const struct address *a)
{
	int err = tree_write("tcp", "ports/%s/addr_trtype", port);

	if (!err)
		err = tree_write(a->ipv6 ? "ipv6" : "ipv4", "ports/%s/addr_adrfam", port);
	if (!err)
		err = tree_write(a->host, "ports/%s/addr_traddr", port);
	if (!err)
		err = tree_write(a->port, "ports/%s/addr_trsvcid", port);
	return err;
}

/* Return: a new port for an address, to be freed, or NULL after printing the error. */
static char *make_port(const struct address *a)
{
	int number = EXPORT_FIRST_PORT, err;
	char *port;

	while ((err = tree_mkdir("ports/%d", number)) == -EEXIST && number < LAST_PORT)
		number++;
	port = xasprintf("%d", number);
	if (!err) {
		err = set_address(port, a);
		if (err)
			tree_rmdir("ports/%s", port);
	}
	if (!err)
		return port;
	failed("ports", err);
	free(port);
	return NULL;
}

static void report_address(const struct address *a, int err)
{
	char *text = address_text(a);

	if (err == -EADDRINUSE)
		report(text, "another program listens there; choose another port");
	else if (err == -EADDRNOTAVAIL)
		report(text, "is no address of this host; see ip address");
	else if (err == -EACCES || err == -EPERM)
		failed(text, err);
	else
		report(text, "the NVMe target cannot listen there: %s; see the kernel log, and whether modprobe nvmet-tcp works",
		       strerror(-err));
	free(text);
}

static int open_port(const struct build *b)
{
	char *subsystem = xasprintf("subsystems/%s", b->nqn);
	char *port = find_port(b->address);
	int err = -1;

	if (!port)
		port = make_port(b->address);
	if (port) {
		err = tree_link(subsystem, "ports/%s/subsystems/%s", port, b->nqn);
		if (err) {
			report_address(b->address, err);
			drop_port(port);
		}
	}
	free(port);
	free(subsystem);
	return err ? -1 : 0;
}

/* --- All of it --- */

static bool is_at_port(const char *nqn)
{
	struct tree_names ports;
	bool is = false;
	size_t i;

	tree_list(&ports, "ports");
	for (i = 0; i < ports.nr && !is; i++)
		is = tree_has("ports/%s/subsystems/%s", ports.names[i], nqn);
	tree_list_free(&ports);
	return is;
}

/* Whether an attribute of a subsystem has the value that it is made with, or is not there. */
static bool is_unset(const char *nqn, const char *attr)
{
	char *value = sysfs_read(TREE "/subsystems/%s/%s", nqn, attr);
	bool unset = !value || !*value || !strcmp(value, "0") || !strcmp(value, "(null)");

	free(value);
	return unset;
}

/* Whether nobody has done anything with a subsystem yet. */
static bool is_blank(const char *nqn)
{
	return !has_entries("subsystems", nqn, "namespaces") &&
	       !has_entries("subsystems", nqn, "allowed_hosts") &&
	       is_unset(nqn, "attr_allow_any_host") && is_unset(nqn, "passthru/device_path");
}

/*
 * Remove an export that a call of this program has left half made, which was killed: no
 * port leads to it. Return: 0, or -1 after saying that there is another of that name.
 */
static int clear_name(const char *nqn)
{
	if (!tree_has("subsystems/%s", nqn))
		return 0;
	if (!is_at_port(nqn) && (exports_made_here(nqn) || is_blank(nqn)))
		return build_remove(nqn);
	report(nqn, "there is an export of that name; choose another name with --nqn");
	return -1;
}

static int interrupted(const struct build *b)
{
	report(b->nqn, "interrupted; nothing is exported");
	return -1;
}

/**
 * build_export() - export a device to other hosts
 * @b: how
 *
 * Signals are to be caught, by progress_catch_signals(). Nothing is left of an export that
 * could not be made, or that was interrupted.
 *
 * Return: 0, or -1 after printing the error.
 */
int build_export(const struct build *b)
{
	static int (*const steps[])(const struct build *b) = {
		name_disk, make_space, check_disk, allow_hosts, open_port,
	};
	struct tree_names others;
	size_t i;
	int err;

	if (clear_name(b->nqn))
		return -1;
	err = tree_mkdir("subsystems/%s", b->nqn);
	if (err)
		return failed(b->nqn, err);
	tree_list(&others, "hosts");
	for (i = 0; i < ARRAY_SIZE(steps) && !err; i++)
		err = progress_stopped() ? interrupted(b) : steps[i](b);
	if (err)
		remove_but(b->nqn, &others);
	tree_list_free(&others);
	return err;
}
