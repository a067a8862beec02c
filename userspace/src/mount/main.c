// SPDX-License-Identifier: GPL-2.0
/*
 * mount.qcow2, which mount(8) runs for the type qcow2: attaches an image, and mounts a
 * filesystem of it. The same program is umount.qcow2.
 */
#define _GNU_SOURCE
#include <libgen.h>
#include <libmount.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/report.h"
#include "mount/fstab.h"
#include "mount/held.h"
#include "mount/perform.h"
#include "mount/share.h"
#include "mount/signals.h"
#include "mount/unmount.h"

/* Options of qcowctl in messages, as they are spelled here; a longer one first. */
static const struct report_words words[] = {
	{ "attach it read-only with -r", "mount it read-only with -o ro" },
	{ "attached read-only, as ", "mounted read-only, as " },
	{ "attaching it read-only", "mounting it read-only" },
	{ "attach the rest with -r --salvage", "mount the rest with -o salvage" },
	{ "detach it, then attach it with --sector-size ", "mount it with -o sector-size=" },
	{ "give it with --key-file", "give it with -o key-file=FILE" },
	{ "-f ", "-o format=" },
	{ "--offset", "-o image-offset=" },
	{ "--allow-parent-mismatch", "-o allow-parent-mismatch" },
	{ "--expand-max", "-o expand-max=" },
	{ "--temporary", "-o temporary" },
	{ "--backing ", "-o backing=" },
	{ "--backing", "-o backing=" },
	{ "--direct-io ", "-o direct-io=" },
	{ "--direct-io", "-o direct-io=" },
	{ "--key-file", "-o key-file=" },
	{ "--size-limit", "-o size-limit=" },
	{ "--sector-size", "-o sector-size=" },
	{ "--cache-size", "-o cache-size=" },
	{ "--snapshot", "-o snapshot=" },
	{ }
};

static void print_usage(FILE *to)
{
	fputs("Usage: mount -t qcow2[.FSTYPE] IMAGE DIRECTORY [-o OPTIONS]\n"
	      "       mount.qcow2 IMAGE DIRECTORY [-fnsv] [-o OPTIONS] [-t qcow2.FSTYPE]\n"
	      "       umount.qcow2 [-flnrv] DIRECTORY|IMAGE\n"
	      "\n"
	      "Mount a filesystem in a disk image. The image is detached when it is unmounted.\n"
	      "\n"
	      "Options, besides those of mount(8) and of the filesystem:\n", to);
	request_print_options(to);
}

/* --- The command line --- */

static const char letters[] = "fnsvN:o:t:";

/* Have messages name the line of fstab, if the mount is of one. */
static void name_line(int argc, char **argv)
{
	char **own = xcalloc(argc + 1, sizeof(*own));
	const char *options = "";
	char *line = NULL;
	int letter;

	/* getopt() sorts the arguments, and is to find them as they are once more. */
	memcpy(own, argv, argc * sizeof(*own));
	while ((letter = getopt(argc, own, letters)) != -1)
		if (letter == 'o')
			options = optarg;
	if (argc == optind + 2)
		line = fstab_line_of(own[optind], own[optind + 1], options);
	/* The name is used until the program ends. */
	if (line)
		report_as(xasprintf("mount.qcow2: %s", line), words);
	free(line);
	free(own);
	optind = 0;
}

static int usage_error(const char *what)
{
	report("mount.qcow2", "%s; see mount.qcow2 -h", what);
	return -1;
}

static int parse_letter(struct request *r, int letter)
{
	switch (letter) {
	case 'f':
		r->fake = true;
		return 0;
	case 'n':
		r->no_mtab = true;
		return 0;
	case 's':
		r->sloppy = true;
		return 0;
	case 'v':
		r->verbose = true;
		return 0;
	case 'N':
		r->namespace = optarg;
		return 0;
	case 'o':
		return request_options(r, optarg);
	case 't':
		return request_type(r, optarg);
	default:
		return usage_error("unknown option, or one without its value");
	}
}

static int parse(struct request *r, int argc, char **argv)
{
	int letter, err = 0;

	while (!err && (letter = getopt(argc, argv, letters)) != -1)
		err = parse_letter(r, letter);
	if (err)
		return err;
	if (argc != optind + 2)
		return usage_error("takes an image and a directory");
	r->image = argv[optind];
	r->dir = argv[optind + 1];
	return 0;
}

/* --- Checks before anything is attached --- */

static int check_dir(const struct request *r)
{
	struct stat st;

	if (r->namespace)
		return 0;
	/* Automounts on the way to it are triggered now: they may be of the same image. */
	if (stat(r->dir, &st)) {
		if (r->make_dir)
			return 0;
		report(r->dir, "cannot be mounted on: %s; %s", strerror(errno),
		       errno == ENOENT ? "make the directory with mkdir" : "name another directory");
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return 0;
	report(r->dir, "is no directory; name one to mount on");
	return -1;
}

/* Return: whether the image is missing, which is no error. */
static bool may_be_missing(const struct request *r)
{
	struct stat st;

	if (!r->nofail || !stat(r->image, &st) || errno != ENOENT)
		return false;
	if (r->verbose)
		report(r->image, "does not exist, which is no error with nofail");
	return true;
}

/* As far as it goes without the driver. */
static int try_only(struct request *r)
{
	struct chain chain;
	int err = chain_open(&chain, r->image, &r->attach.chain) || chain_check(&chain);

	chain_close(&chain);
	return err ? MNT_EX_FAIL : MNT_EX_SUCCESS;
}

/* --- Mount --- */

static int mount_picked(const struct held *h, const struct request *r, const struct pick *p)
{
	if (perform_done(r, p)) {
		if (r->verbose)
			report(r->dir, "the image is mounted there already");
		return MNT_EX_SUCCESS;
	}
	if (h->shared && share_set_access(p, r))
		return MNT_EX_FAIL;
	return perform_mount(r, p);
}

static int mount_held(struct held *h, const struct request *r)
{
	int status = MNT_EX_FAIL;
	struct pick p;

	if (!pick_filesystem(&p, &h->device, r))
		status = mount_picked(h, r, &p);
	pick_free(&p);
	return status;
}

static int mount_image(struct request *r)
{
	struct held h = { };
	int status;

	if (held_attach(&h, r))
		return MNT_EX_FAIL;
	status = mount_held(&h, r);
	held_release(&h, status == MNT_EX_SUCCESS || status == MNT_EX_FILEIO);
	return status;
}

static int mount_request(struct request *r)
{
	if (geteuid()) {
		report("mount.qcow2", "only root may mount images (the option user does not change that); use sudo");
		return MNT_EX_USAGE;
	}
	if (may_be_missing(r))
		return MNT_EX_SUCCESS;
	if (check_dir(r))
		return MNT_EX_FAIL;
	if (r->fake)
		return try_only(r);
	return r->remount ? perform_remount(r) : mount_image(r);
}

static int mount_main(int argc, char **argv)
{
	struct request r = { };
	int status = MNT_EX_USAGE;

	name_line(argc, argv);
	if (!parse(&r, argc, argv))
		status = mount_request(&r);
	request_free(&r);
	return status;
}

/* --- Other requests --- */

static bool is_word(int argc, char **argv, const char *letter, const char *word)
{
	return argc == 2 && (!strcmp(argv[1], letter) || !strcmp(argv[1], word));
}

/* Return: whether it was a request to print something. */
static bool print_asked(int argc, char **argv)
{
	if (is_word(argc, argv, "-h", "--help"))
		print_usage(stdout);
	else if (is_word(argc, argv, "-V", "--version"))
		puts("mount.qcow2 " QCOW_VERSION);
	else if (is_word(argc, argv, "--completion", "--completion"))
		request_print_words(stdout);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	bool unmount = argc && !strcmp(basename(argv[0]), "umount.qcow2");

	if (report_open_files())
		return MNT_EX_SYSERR;
	setlocale(LC_CTYPE, "");
	/* mount(8) passes options behind operands. */
	unsetenv("POSIXLY_CORRECT");
	opterr = 0;
	report_as(unmount ? "umount.qcow2" : "mount.qcow2", words);
	signals_end_program(MNT_EX_USER);
	if (print_asked(argc, argv))
		return fflush(stdout) ? MNT_EX_FAIL : MNT_EX_SUCCESS;
	return unmount ? unmount_main(argc, argv) : mount_main(argc, argv);
}
