// SPDX-License-Identifier: GPL-2.0
/*
 * The units of a line of /etc/qcowtab: qcow@NAME.service attaches the image, and a unit that
 * needs /dev/qcow/NAME starts it; qcow-export@NAME.service exports the device. The generator
 * calls this.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/attach_unit.h"
#include "boot/tab.h"
#include "boot/unit.h"
#include "lib/report.h"

/* Longest name of a unit */
#define UNIT_NAME_MAX	255

/**
 * struct names - the names of the units of a line
 * @service: the unit that attaches the image
 * @export: the unit that exports the device
 * @device: systemd's unit of /dev/qcow/NAME
 * @ready: systemd's target between that device and its users
 * @below: systemd's unit of the block device that the image is on, or NULL
 */
struct names {
	char *service;
	char *export;
	char *device;
	char *ready;
	char *below;
};

static void names_make(struct names *n, const struct tab_entry *e)
{
	char *instance = unit_escape(e->name);
	char *path = xasprintf("dev/qcow/%s", e->name);
	char *escaped = unit_escape(path);

	n->service = xasprintf("qcow@%s.service", instance);
	n->export = xasprintf("qcow-export@%s.service", instance);
	n->device = xasprintf("%s.device", escaped);
	n->ready = xasprintf("blockdev@%s.target", escaped);
	free(escaped);
	free(path);
	free(instance);
	n->below = NULL;
	if (!strncmp(e->image, "/dev/", 5)) {
		escaped = unit_escape(e->image + 1);
		n->below = xasprintf("%s.device", escaped);
		free(escaped);
	}
}

static void names_free(struct names *n)
{
	free(n->service);
	free(n->export);
	free(n->device);
	free(n->ready);
	free(n->below);
}

static void print_relations(FILE *f, const struct tab_entry *e, const struct names *n)
{
	char *word;
	size_t i;

	/* Remounted: the image of a root filesystem that is read-only could not be written. */
	fprintf(f, "Wants=modprobe@qcow.service %s\n"
		"After=modprobe@qcow.service systemd-udevd-kernel.socket systemd-remount-fs.service\n"
		"Before=%s umount.target\n"
		"Conflicts=umount.target\n", n->ready, n->ready);
	if (e->netdev)
		fputs("Wants=network-online.target\n"
		      "After=remote-fs-pre.target network-online.target\n", f);
	if (!e->nofail)
		fprintf(f, "Before=%s\n", e->netdev ? "remote-fs.target" : "local-fs.target");
	if (n->below)
		fprintf(f, "BindsTo=%s\nAfter=%s\n", n->below, n->below);
	for (i = 0; i < e->paths.nr; i++) {
		word = unit_path_word(e->paths.words[i]);
		if (word)
			fprintf(f, "RequiresMountsFor=%s\n", word);
		free(word);
	}
}

static void print_word(FILE *f, const char *word)
{
	char *quoted = unit_command_word(word);

	fprintf(f, " %s", quoted);
	free(quoted);
}

static void print_command(FILE *f, const struct tab_entry *e)
{
	char *name = xasprintf("--name=%s", e->name);
	size_t i;

	fputs("ExecStart=" QCOW_SBINDIR "/qcowctl attach", f);
	print_word(f, name);
	free(name);
	for (i = 0; i < e->options.nr; i++)
		print_word(f, e->options.words[i]);
	name = e->key ? xasprintf("--key-file=%s", e->key) : xstrdup("--ask-password");
	print_word(f, name);
	free(name);
	fputs(" --", f);
	print_word(f, e->image);
	name = xasprintf("/dev/qcow/%s", e->name);
	fputs("\nExecStop=" QCOW_SBINDIR "/qcowctl detach --lazy --if-attached", f);
	print_word(f, name);
	fputc('\n', f);
	free(name);
}

/* Return: the unit's content, to be freed. */
static char *service_text(const char *tab, const struct tab_entry *e, const struct names *n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "# Made by qcow-generator.\n\n"
		"[Unit]\n"
		"Description=Disk image %%I\n"
		"Documentation=man:qcowtab(5) man:qcow-generator(8) man:qcowctl(8)\n"
		"SourcePath=%s\n"
		"DefaultDependencies=no\n"
		"IgnoreOnIsolate=true\n", tab);
	print_relations(f, e, n);
	fputs("\n[Service]\nType=oneshot\nRemainAfterExit=yes\n", f);
	/*
	 * Nobody knows how long somebody thinks about a passphrase. systemd has no limit
	 * of its own for a unit of type oneshot.
	 */
	fprintf(f, "TimeoutStartSec=%s\n", e->timeout ? : e->key ? "90s" : "infinity");
	print_command(f, e);
	return fclose(f) ? NULL : text;
}

/*
 * The export has a unit of its own: it waits for the network, which the image and the
 * filesystems on it need not, and its failure leaves them alone. It starts after the
 * attach, and stops before the detach and before the network is down.
 */
static char *export_text(const char *tab, const struct tab_entry *e, const struct names *n)
{
	char *path = xasprintf("/dev/qcow/%s", e->name), *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	if (f) {
		fprintf(f, "# Made by qcow-generator.\n\n"
			"[Unit]\n"
			"Description=Export of disk image %%I\n"
			"Documentation=man:qcowtab(5) man:qcow-generator(8) man:qcowctl(8)\n"
			"SourcePath=%s\n"
			"IgnoreOnIsolate=true\n"
			"BindsTo=%s\n"
			"Wants=network-online.target modprobe@nvmet.service sys-kernel-config.mount\n"
			"After=%s network-online.target modprobe@nvmet.service sys-kernel-config.mount\n"
			"\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
			"ExecStart=" QCOW_SBINDIR "/qcowctl export", tab, n->service, n->service);
		for (i = 0; i < e->export.nr; i++)
			print_word(f, e->export.words[i]);
		print_word(f, path);
		fputs("\nExecStop=" QCOW_SBINDIR "/qcowctl unexport --if-exported", f);
		print_word(f, path);
		fputc('\n', f);
		fclose(f);
	}
	free(path);
	return text;
}

/*
 * Write a unit, and free its content; NULL: that could not be made. Return: 0, or -1 after
 * printing the error.
 */
static int write_text(const char *folder, const char *unit, char *text)
{
	int err;

	if (!text) {
		report(unit, "%s", strerror(errno));
		return -1;
	}
	err = unit_write(folder, unit, text);
	free(text);
	return err;
}

/* Return: 0, or -1 after printing the error. */
static int write_export(const char *folder, const char *tab, const struct tab_entry *e,
			const struct names *n)
{
	int err = write_text(folder, n->export, export_text(tab, e, n));

	return err ? err : unit_link(folder, n->service, "wants", n->export);
}

/* Time limits of systemd's units of devices. Return: 0, or -1 after printing the error. */
static int write_timeouts(const char *folder, const struct tab_entry *e,
			  const struct names *n)
{
	char *text;
	int err;

	/* The service has a limit, and the device is not to have a shorter one. */
	err = unit_drop_in(folder, n->device, "40-qcow",
			   "# Made by qcow-generator.\n\n[Unit]\nJobTimeoutSec=infinity\n");
	if (err || !n->below || !e->device_timeout)
		return err;
	text = xasprintf("# Made by qcow-generator.\n\n[Unit]\nJobRunningTimeoutSec=%s\n",
			 e->device_timeout);
	err = unit_drop_in(folder, n->below, "50-device-timeout", text);
	free(text);
	return err;
}

static int write_units(const char *folder, const char *tab, const struct tab_entry *e,
		       const struct names *n)
{
	int err = write_text(folder, n->service, service_text(tab, e, n));

	if (!err)
		err = write_timeouts(folder, e, n);
	if (!err && e->export.nr)
		err = write_export(folder, tab, e, n);
	if (!err)
		err = unit_link(folder, n->device, "requires", n->service);
	if (!err && !e->noauto)
		err = unit_link(folder, e->netdev ? "remote-fs.target" : "local-fs.target",
				"wants", n->service);
	return err;
}

/**
 * attach_unit_write() - write the units of a line of qcowtab
 * @folder: where to
 * @tab: the file that has the line
 * @entry: the line
 *
 * Return: 0, or -1 after printing the error.
 */
int attach_unit_write(const char *folder, const char *tab, const struct tab_entry *entry)
{
	struct names n;
	int err;

	names_make(&n, entry);
	if (strlen(n.device) > UNIT_NAME_MAX || strlen(n.ready) > UNIT_NAME_MAX) {
		report(entry->name, "is too long for the name of a unit");
		err = -1;
	} else {
		err = write_units(folder, tab, entry, &n);
	}
	names_free(&n);
	return err;
}
