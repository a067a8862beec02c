// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl create: make a new image.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/command.h"
#include "cmd/create_options.h"
#include "cmd/image_options.h"
#include "create/create.h"
#include "create/new_file.h"
#include "image/chain.h"
#include "image/keys.h"
#include "lib/name.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * struct create - the arguments of the command line
 * @format: of the new image
 * @words: its properties
 * @unsafe: do not look at the backing file
 * @force: replace files
 * @keys: the file with the passphrase
 */
struct create {
	u32 format;
	struct create_words words;
	bool unsafe;
	bool force;
	struct keys_options keys;
};

/* --- Options --- */

static int parse_format(void *options, const char *arg)
{
	struct create *c = options;

	if (image_parse_format(&c->format, arg))
		return -1;
	if (c->format == QCOW_FORMAT_QCOW2 || c->format == QCOW_FORMAT_RAW)
		return 0;
	report("--format", "%s images are not made; use qcow2 or raw", arg);
	return -1;
}

static int parse_options(void *options, const char *arg)
{
	struct create *c = options;

	return create_options_parse(&c->words, arg);
}

static int parse_backing(void *options, const char *arg)
{
	struct create *c = options;

	c->words.p.backing = arg;
	if (*arg)
		return 0;
	report("--backing-file", "is empty; give the name of a file");
	return -1;
}

static int parse_backing_format(void *options, const char *arg)
{
	struct create *c = options;

	c->words.p.backing_format = arg;
	return 0;
}

static const struct option_spec options[] = {
	{
		.name = "format", .letter = 'f', .arg = " FORMAT", .values = "qcow2 raw",
		.help = "make a qcow2 image, or a raw one; qcow2 if not given",
		.parse = parse_format,
	},
	{
		.name = "backing-file", .letter = 'b', .arg = " BASE", .values = VALUE_FILE,
		.help = "the image shows BASE, and keeps the writes; a name\n"
			"that is relative is looked up in the image's folder",
		.parse = parse_backing,
	},
	{
		.name = "backing-format", .letter = 'F', .arg = " FORMAT",
		.values = "qcow2 qcow raw",
		.help = "the format of BASE, such as qcow2, raw or vmdk",
		.parse = parse_backing_format,
	},
	{
		.name = "options", .letter = 'o', .arg = " LIST",
		.print_values = create_options_print_words,
		.help = "properties of the image, name=value with commas\n"
			"between them; -o help lists them",
		.parse = parse_options,
	},
	{
		.name = "unsafe", .letter = 'u',
		.help = "do not look at BASE, which may be missing now",
		.parse = option_true, .field = offsetof(struct create, unsafe),
	},
	{
		.name = "force",
		.help = "replace FILE, unless it is in use",
		.parse = option_true, .field = offsetof(struct create, force),
	},
	OPTION_KEY_FILE_AS(struct create, keys,
			   "the passphrase for an encrypted image is the content of\n"
			   "FILE, every byte of it; -: standard input. Without it\n"
			   "the terminal is asked"),
	OPTION_PROGRESS,
	{ }
};

/* --- The backing file --- */

/* Name the format that a backing file seems to have. */
static int refuse_no_format(const char *name, const char *path)
{
	const struct chain_options o = { .guess_raw = true, .top_only = true };
	struct chain chain;
	const char *seems;

	if (!chain_open(&chain, path, &o)) {
		seems = image_own_format_name(chain.images);
		report(name, "the format of a backing file has to be given; it seems to be %s: use -F %s",
		       seems, seems);
	}
	chain_close(&chain);
	return -1;
}

static bool is_same(const struct file *f, const struct stat *st)
{
	return f->fd >= 0 && stat_same(&f->stat, st);
}

static bool has_file(const struct image *img, const struct stat *st)
{
	u32 i;

	for (i = 0; i < image_nr_files(img); i++)
		if (is_same(image_file(img, i), st))
			return true;
	return image_has_data_file(img) && is_same(&img->data, st);
}

/* Making the image would remove a file that it needs. */
static int check_not_itself(const char *name, const struct chain *chain)
{
	const struct image *img;
	struct stat st;

	if (stat(name, &st))
		return 0;
	for (img = chain->images; img < chain->images + chain->nr; img++) {
		if (!has_file(img, &st))
			continue;
		report(name, "is a file of its own backing chain; choose another name");
		return -1;
	}
	return 0;
}

static int check_backing_chain(struct create *c, const char *name, const char *path)
{
	const struct chain_options o = {
		.format = image_format(c->words.p.backing_format),
	};
	struct chain chain;
	int err;

	err = chain_open(&chain, path, &o);
	if (!err)
		err = check_not_itself(name, &chain);
	if (!err)
		err = chain_check(&chain);
	if (!err && !c->words.has_size) {
		c->words.p.size = image_disk_size(chain.images);
		c->words.has_size = true;
	}
	chain_close(&chain);
	return err;
}

static int check_backing_name(struct create *c, const char *name, const char *path)
{
	const struct create_params *p = &c->words.p;
	char *formats;

	if (!p->backing_format && c->unsafe) {
		report(name, "the format of a backing file has to be given with -F");
		return -1;
	}
	if (!p->backing_format)
		return refuse_no_format(name, path);
	if (!image_format(p->backing_format)) {
		formats = image_list_formats();
		report("--backing-format", "is %s", formats);
		free(formats);
		return -1;
	}
	return c->unsafe ? 0 : check_backing_chain(c, name, path);
}

static int check_backing(struct create *c, const char *name)
{
	const char *backing = c->words.p.backing;
	const char *refused;
	char *path;
	int err;

	if (!backing)
		return 0;
	refused = name_refused(backing);
	if (refused && !c->unsafe) {
		report("--backing-file", "is %s, not the name of a file; copy it to a local file and name that",
		       refused);
		return -1;
	}
	path = refused ? xstrdup(backing) : name_resolve(name, backing);
	if (strcmp(name, backing)) {
		err = check_backing_name(c, name, path);
	} else {
		report(name, "would be its own backing file; choose another name");
		err = -1;
	}
	free(path);
	return err;
}

/* --- The passphrase --- */

static int type_twice(struct secret *s, const char *name)
{
	struct secret again = { };
	int err;

	err = secret_prompt(s, name);
	if (!err)
		err = secret_prompt(&again, name);
	if (!err && (s->len != again.len || memcmp(s->bytes, again.bytes, s->len))) {
		report(name, "the passphrases differ; do it again");
		err = -1;
	}
	secret_wipe(&again);
	return err;
}

static int get_passphrase(const struct create *c, const char *name, struct secret *s)
{
	if (c->words.p.crypt_method != QCOW_DISK_CRYPT_LUKS)
		return 0;
	if (c->keys.nr)
		return secret_read_file(s, c->keys.files[0]);
	return type_twice(s, name);
}

static int check_keys(const struct create *c)
{
	if (c->keys.nr > 1)
		report("--key-file", "a new image has one passphrase");
	else if (!c->keys.nr || c->words.p.crypt_method == QCOW_DISK_CRYPT_LUKS)
		return 0;
	else if (c->words.p.crypt_method)
		report("--key-file", "an image with encrypt.format=aes does not hold its passphrase; leave it out");
	else
		report("--key-file", "is for an encrypted image; use -o encrypt.format=luks");
	return -1;
}

/* --- The files --- */

/**
 * struct files - the files of the new image
 * @image: the image
 * @data: its external data file
 * @has_data: whether it has one
 */
struct files {
	struct new_file image;
	struct new_file data;
	bool has_data;
};

static int open_data_file(const struct create *c, struct files *f, const char *name)
{
	const char *written = c->words.p.data_file;
	const char *refused = name_refused(written);
	char *path;
	int err = -1;

	if (refused) {
		report("data_file", "is %s, not the name of a file", refused);
		return -1;
	}
	path = name_resolve(name, written);
	if (strcmp(path, name)) {
		f->has_data = true;
		err = new_file_open(&f->data, path, c->force);
	} else {
		report(name, "would be its own data file; choose another name for that");
	}
	free(path);
	return err;
}

static int write_files(const struct create *c, const struct files *f, const char *name,
		       const struct secret *passphrase)
{
	const struct create_params *p = &c->words.p;
	const struct create_fds fds = {
		.image = f->image.fd,
		.data = f->has_data ? f->data.fd : -1,
	};

	if (c->format == QCOW_FORMAT_RAW)
		return create_write_raw(name, p, fds.image);
	return create_write(name, p, &fds, passphrase);
}

static int publish(struct files *f, const char *name)
{
	if (progress_stopped()) {
		report(name, "was not made, because of a signal");
		return -1;
	}
	if (f->has_data && new_file_publish(&f->data))
		return -1;
	if (!new_file_publish(&f->image))
		return 0;
	if (f->has_data)
		new_file_withdraw(&f->data);
	return -1;
}

static int make(const struct create *c, struct files *f, const char *name)
{
	struct secret passphrase = { };
	int err = 0;

	if (c->words.p.data_file)
		err = open_data_file(c, f, name);
	if (!err)
		err = get_passphrase(c, name, &passphrase);
	if (!err)
		err = write_files(c, f, name, &passphrase);
	secret_wipe(&passphrase);
	return err ? err : publish(f, name);
}

static int make_image(const struct create *c, const char *name)
{
	struct files f = { };
	int err;

	progress_catch_signals();
	/* A write beyond the limit of a file's size fails instead. */
	signal(SIGXFSZ, SIG_IGN);
	err = new_file_open(&f.image, name, c->force);
	if (!err)
		err = make(c, &f, name);
	new_file_close(&f.image);
	if (f.has_data)
		new_file_close(&f.data);
	return err;
}

/* --- The command --- */

static int check(struct create *c, const char *name)
{
	if (!*name) {
		report("create", "the name of the image is empty");
		return -1;
	}
	if (c->format == QCOW_FORMAT_RAW && create_options_for_raw(&c->words))
		return -1;
	if (create_options_check(&c->words) || check_keys(c) || check_backing(c, name))
		return -1;
	if (!c->words.has_size) {
		report(name, "needs a size, such as 20G, behind its name");
		return -1;
	}
	return create_params_check(name, &c->words.p);
}

static int run_create(void *options, int argc, char **argv)
{
	struct create *c = options;

	if (c->words.help) {
		create_options_print(stdout);
		return 0;
	}
	if (argc < 1 || argc > 2) {
		report("create", "takes the name of the image, and its size; see qcowctl create --help");
		return 1;
	}
	if (argc > 1 && create_options_size(&c->words, argv[1]))
		return 1;
	return check(c, argv[0]) || make_image(c, argv[0]) ? 1 : 0;
}

/* Options begin as zeros, but these have other defaults. */
static void prepare_create(void *options, int *argc, char **argv)
{
	struct create *c = options;

	(void)argc;
	(void)argv;
	c->format = QCOW_FORMAT_QCOW2;
	c->words.p = (struct create_params)CREATE_DEFAULTS;
}

static void release_create(void *options)
{
	struct create *c = options;

	create_options_free(&c->words);
	free(c->keys.files);
}

const struct command create_command = {
	.name = "create",
	.summary = "make a new image",
	.usage =
		"Usage: qcowctl create [options] FILE [SIZE]\n"
		"\n"
		"Make a new image of a disk of SIZE bytes, such as 20G. With -b it may be left\n"
		"out, and is that of BASE.\n",
	.options = options,
	.size = sizeof(struct create),
	.prepare = prepare_create,
	.run = run_create,
	.release = release_create,
};
