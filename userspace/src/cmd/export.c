// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl export and unexport: give devices to other hosts by the NVMe target of the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/export_list.h"
#include "cmd/export_options.h"
#include "cmd/options.h"
#include "device/in_use.h"
#include "device/which.h"
#include "export/build.h"
#include "export/exports.h"
#include "export/identity.h"
#include "export/nqn.h"
#include "lib/clock.h"
#include "lib/progress.h"
#include "lib/report.h"

/* --- export --- */

/**
 * struct export_run - the arguments of the command line
 * @how: to export it
 * @force: also a device that is in use
 * @list: show the exports
 * @json: print JSON
 */
struct export_run {
	struct export_options how;
	bool force;
	bool list;
	bool json;
};

static int run_list(const struct export_run *e, int argc, char **argv)
{
	struct device d = { .index = -1 };

	if (argc > 1 || *e->how.address.host || e->how.nr_hosts || e->how.nqn || e->force) {
		report("export", "--list takes one device or image at most, and --json; see qcowctl export --help");
		return 1;
	}
	if (argc && which_device(&d, argv[0]))
		return 1;
	return export_print_all(d.index, e->json);
}

/*
 * Return: 0, or -1 after printing the name of an export. A call that was killed may have left
 * a part of one behind, to which no address leads: that is removed.
 */
static int check_not_exported(const char *name, int index)
{
	const struct export *e;
	struct exports all;
	int err = 0;
	size_t i;

	exports_find(&all, index);
	for (i = 0; i < all.nr && !err; i++) {
		e = &all.list[i];
		if (e->ours && !e->ports.nr) {
			err = build_remove(e->nqn);
			continue;
		}
		if (e->ours)
			report(name, "is exported already, as %s; run qcowctl unexport %s first",
			       e->nqn, name);
		else
			report(name, "is exported already, as %s, by another program; end it with that",
			       e->nqn);
		err = -1;
	}
	exports_free(&all);
	return err;
}

/* Print who uses a device. @busy: the kernel knows of a user. Return: 0, or -1 after that. */
static int check_users(const char *name, int index, bool busy)
{
	struct in_use users;
	bool named;

	in_use_find(&users, index);
	if (busy && !users.lasting)
		in_use_find_hidden(&users, index);
	named = users.lasting;
	if (named || busy)
		report(name, "is in use on this host: %s; end that, or add --force if no two hosts write at a time",
		       named ? users.lines[0] :
			       "a user that does not show, such as a filesystem after umount -l, see USERS THAT DO NOT SHOW in qcowctl(8)");
	in_use_free(&users);
	return named || busy ? -1 : 0;
}

/*
 * Have the device for this program alone until it is exported: the target opens it as one of
 * several. Mounts and the like are refused meanwhile. Return: 0, or -1 after printing the
 * error; *@fd is to be closed unless it is -1. Where there is no node, the target finds none.
 */
static int claim_device(const char *name, int index, int *fd)
{
	*fd = open(name, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	return check_users(name, index, *fd < 0 && errno == EBUSY);
}

/* Return: 0, or -1 after printing the error. */
static int export_locked(const struct export_run *e, const char *name, const struct build *b)
{
	int lock = tree_lock(true), fd = -1, err;

	if (lock < 0)
		return -1;
	progress_catch_signals();
	err = check_not_exported(name, b->index);
	if (!err && !e->force)
		err = claim_device(name, b->index, &fd);
	if (!err)
		err = build_export(b);
	if (fd >= 0)
		close(fd);
	tree_unlock(lock);
	return err;
}

static int export_device(const struct export_run *e, const struct device *d)
{
	char *name = xasprintf("/dev/qcow%d", d->index);
	struct build b = {
		.index = d->index,
		.diskseq = d->diskseq,
		.address = &e->how.address,
		.hosts = e->how.hosts,
		.nr_hosts = e->how.nr_hosts,
	};
	struct identity id;
	int err = identity_find(&id, d->index, d->diskseq, e->how.nqn);

	if (!err) {
		b.nqn = id.nqn;
		b.disk = id.disk;
		err = export_locked(e, name, &b);
	}
	if (!err)
		export_print_new(d->index, b.nqn, b.address, e->json);
	identity_release(&id);
	free(name);
	return err ? 1 : 0;
}

static int run_export(void *options, int argc, char **argv)
{
	const struct export_run *e = options;
	struct device d;

	if (e->list)
		return run_list(e, argc, argv);
	if (argc != 1)
		report("export", "takes one device or image, or --list; see qcowctl export --help");
	else if (!*e->how.address.host)
		report("export", "takes --tcp ADDR[:PORT], an address of this host");
	else if (!e->how.nr_hosts)
		report("export", "takes --allow-host NQN for each host that may connect; it is in that host's file /etc/nvme/hostnqn");
	else if (!which_device(&d, argv[0]))
		return export_device(e, &d);
	return 1;
}

static void release_export(void *options)
{
	struct export_run *e = options;

	export_options_release(&e->how);
}

static const struct option_spec export_specs[] = {
	{
		.name = "tcp", .arg = " ADDR[:PORT]",
		.help = "the IP address of this host that others connect to; port\n"
			"4420 if none is given",
		.parse = export_take_address, .field = offsetof(struct export_run, how),
	},
	{
		.name = "allow-host", .arg = " NQN",
		.help = "a host that may connect; repeat it for further ones",
		.parse = export_take_host, .field = offsetof(struct export_run, how),
	},
	{
		.name = "nqn", .arg = " NQN",
		.help = "the name of the export; else it is made of this host's\n"
			"machine ID and the image's path; required if there is\n"
			"no machine ID, or no lasting name of a block device",
		.parse = export_take_nqn, .field = offsetof(struct export_run, how),
	},
	{
		.name = "force",
		.help = "export a device that is in use on this host",
		.parse = option_true, .field = offsetof(struct export_run, force),
	},
	{
		.name = "list", .letter = 'l',
		.help = "show the exports",
		.parse = option_true, .field = offsetof(struct export_run, list),
	},
	OPTION_JSON(struct export_run, json, "print JSON"),
	{ }
};

const struct command export_command = {
	.name = "export",
	.summary = "give a device to other hosts over NVMe/TCP",
	.usage =
		"Usage: qcowctl export --tcp ADDR[:PORT] --allow-host NQN [options] DEVICE|IMAGE\n"
		"       qcowctl export --list [--json] [DEVICE|IMAGE]\n"
		"\n"
		"Export an attached device by the NVMe target of the kernel, and print the command\n"
		"with which another host connects to it.\n",
	.takes_device = true,
	.options = export_specs,
	.size = sizeof(struct export_run),
	.run = run_export,
	.release = release_export,
};

/* --- unexport --- */

/* How long to wait until the target has closed a device, in microseconds */
#define UNEXPORT_USEC	(15 * 1000000ULL)

/**
 * struct unexport - the arguments of the command line
 * @all: all exports
 * @if_exported: a device that is not exported is no error
 */
struct unexport {
	bool all;
	bool if_exported;
};

static int remove_one(const struct export *e, const char *name)
{
	if (e->ours)
		return build_remove(e->nqn);
	report(name, "is exported as %s by another program; end it with that", e->nqn);
	return -1;
}

static int remove_exports(const struct exports *all, const char *name)
{
	int err = 0;
	size_t i;

	for (i = 0; i < all->nr; i++)
		err |= remove_one(&all->list[i], name);
	return err;
}

/* Return: whether a word is the name of an export of this program. */
static bool is_nqn(const char *name)
{
	return nqn_is_valid(name) && tree_has("subsystems/%s", name) &&
	       exports_made_here(name);
}

/* Lock the tree once. Return: 0, or -1 after printing the error. */
static int lock_tree(int *lock)
{
	if (*lock < 0)
		*lock = tree_lock(false);
	return *lock < 0 ? -1 : 0;
}

/*
 * Find exports. If there are any, the tree is locked and they are found anew: a call that has
 * nothing to do waits for no other one. Return: 0, or -1 after printing the error.
 */
static int find_locked(struct exports *all, int index, int *lock)
{
	exports_find(all, index);
	if (!all->nr)
		return 0;
	exports_free(all);
	if (lock_tree(lock))
		return -1;
	exports_find(all, index);
	return 0;
}

static int unexport_named(const struct unexport *u, const char *name, int *lock)
{
	struct exports all;
	struct device d;
	int err = 0;

	if (is_nqn(name))
		return lock_tree(lock) ? -1 : build_remove(name);
	if (u->if_exported && which_is_missing(name))
		return 0;
	if (which_device(&d, name) || find_locked(&all, d.index, lock))
		return -1;
	if (all.nr) {
		err = remove_exports(&all, name);
	} else if (!u->if_exported) {
		report(name, "is not exported; see qcowctl export --list");
		err = -1;
	}
	exports_free(&all);
	return err;
}

/* Those that this program has made */
static int unexport_all(int *lock)
{
	struct exports all;
	int err = 0;
	size_t i;

	if (find_locked(&all, -1, lock))
		return -1;
	for (i = 0; i < all.nr; i++)
		if (all.list[i].ours)
			err |= build_remove(all.list[i].nqn);
	exports_free(&all);
	return err;
}

/* Return: the exit code. */
static int unexport(const struct unexport *u, char **names)
{
	int lock = -1, err = 0;

	if (u->all)
		err = unexport_all(&lock);
	for (; *names && !u->all; names++)
		err |= unexport_named(u, *names, &lock);
	if (lock >= 0)
		tree_unlock(lock);
	return err ? 1 : 0;
}

/*
 * The target waits for the requests of a disk, and no signal ends that. Return: the exit code
 * of the child that makes the change, or 1 after saying that it takes long.
 */
static int wait_unexport(pid_t pid)
{
	u64 end = clock_now() + UNEXPORT_USEC;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (clock_now() > end) {
			report("unexport", "takes long, as the kernel waits for requests of the device; it goes on in the background");
			return 1;
		}
		clock_pause();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run_unexport(void *options, int argc, char **argv)
{
	const struct unexport *u = options;
	pid_t pid;

	if (u->all != !argc) {
		report("unexport", "takes devices, images or --all; see qcowctl unexport --help");
		return 1;
	}
	/* Without the target nothing is exported: the words are only looked at. */
	pid = tree_is_there() ? fork() : -1;
	if (!pid)
		_exit(unexport(u, argv));
	return pid < 0 ? unexport(u, argv) : wait_unexport(pid);
}

static const struct option_spec unexport_specs[] = {
	{
		.name = "all", .letter = 'a',
		.help = "all exports that qcowctl has made",
		.parse = option_true, .field = offsetof(struct unexport, all),
	},
	{
		.name = "if-exported",
		.help = "a device that is not exported, or not there, is no error",
		.parse = option_true, .field = offsetof(struct unexport, if_exported),
	},
	{ }
};

const struct command unexport_command = {
	.name = "unexport",
	.summary = "take exported devices back",
	.usage =
		"Usage: qcowctl unexport [options] DEVICE|IMAGE|NQN...\n"
		"       qcowctl unexport --all\n"
		"\n"
		"End exports. Hosts that are connected wait for the disk to come back, unless they\n"
		"use another export at the same port.\n",
	.takes_device = true,
	.options = unexport_specs,
	.size = sizeof(struct unexport),
	.run = run_unexport,
};
