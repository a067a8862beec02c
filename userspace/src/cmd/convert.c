// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl convert: make a qcow2 image of any image: an overlay over it, which a stream makes
 * independent of it, or convert_packed.c, if it is to be compressed. So an interrupted one
 * goes on.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/convert_packed.h"
#include "cmd/create_options.h"
#include "cmd/image_options.h"
#include "cmd/stream.h"
#include "create/create.h"
#include "create/new_file.h"
#include "image/chain.h"
#include "lib/name.h"
#include "lib/progress.h"
#include "lib/report.h"

/**
 * struct convert - the arguments of the command line
 * @work: the format and the keys of the source
 * @words: properties of the new image
 * @compress: compress it
 * @resume: the image is there, from a conversion that was interrupted
 */
struct convert {
	struct work_options work;
	struct create_words words;
	bool compress;
	bool resume;
};

/* The properties of a new image that are offered, as the other ones belong to other uses. */
#define CONVERT_WORDS	"cluster_size= compression_type="

static int option_words(void *field, const char *arg)
{
	return create_options_parse(field, arg);
}

static const struct option_spec options[] = {
	{
		.name = "compress", .letter = 'c', .help = "compress the new image",
		.parse = option_true, .field = offsetof(struct convert, compress),
	},
	{
		.name = "options", .letter = 'o', .arg = " LIST", .values = CONVERT_WORDS,
		.help = "properties of the new image: cluster_size=SIZE and\n"
			"compression_type=zlib|zstd, with a comma between them",
		.parse = option_words, .field = offsetof(struct convert, words),
	},
	OPTION_FORMAT(struct convert, work.format, "the format of SOURCE; probe it if not given"),
	{
		.name = "resume",
		.help = "go on with a conversion that was interrupted",
		.parse = option_true, .field = offsetof(struct convert, resume),
	},
	OPTION_KEY_FILE(struct convert, work.keys),
	OPTION_PROGRESS,
	{ }
};

/* The new image names its source until it has all of the data. */
static int make_overlay(const struct convert *wanted, struct new_file *f, const char *name,
			const struct image *source, const char *path)
{
	const struct create_fds fds = { .image = f->fd, .data = -1 };
	struct create_params p = wanted->words.p;

	p.size = image_disk_size(source);
	/* All of it may be incompressible, and it has tables. */
	if (wanted->compress)
		p.file_room = p.size + p.size / 8 + SZ_16M;
	p.backing = path;
	p.backing_format = image_own_format_name(source);
	return create_params_check(name, &p) || create_write(name, &p, &fds, NULL) ? -1 :
	       new_file_publish(f);
}

static int begin(const struct convert *wanted, const char *name, const struct image *source,
		 const char *path)
{
	struct new_file f;
	int err = new_file_open(&f, name, false);

	if (!err)
		err = make_overlay(wanted, &f, name, source, path);
	new_file_close(&f);
	return err;
}

static int refuse_other(const char *name)
{
	report(name, "is no conversion of this source that was interrupted; choose another name, and leave out --resume");
	return -1;
}

/* The new image reads as its source does only if both take the source for the same format. */
static int check_format(const char *name, const struct image *img, const struct image *source)
{
	const char *named = image_backing_format(img), *format = image_own_format_name(source);

	if (!named[0] || image_format(named) == image_format(format))
		return 0;
	report(name, "names its source as an image of the format %s, but that is read as %s; give -f %s",
	       named, format, named);
	return -1;
}

/* Whether a name, or NULL, leads to the file that is open. */
static bool leads_to(const char *path, const struct file *f)
{
	struct stat st;

	return path && !stat(path, &st) && stat_same(&st, &f->stat);
}

/* Whether an image that is there names the source still. */
static int check_begun(const char *name, const struct image *source)
{
	const struct chain_options o = { .format = QCOW_FORMAT_QCOW2, .top_only = true };
	struct chain c;
	char *below;
	int err;

	err = chain_open(&c, name, &o);
	if (err)
		goto out;
	below = chain_backing_path(c.images);
	if (!leads_to(below, &source->file) || c.images->header.nr_snapshots)
		err = refuse_other(name);
	else
		err = check_format(name, c.images, source);
	free(below);
out:
	chain_close(&c);
	return err;
}

/* The new image names the source with its format, so the format must not be a guess. */
static int check_source(const struct chain *c, const char *path)
{
	const struct image *source = c->images;
	const char *name = source->file.name;

	if (c->is_member)
		report(name, "is a disk of an archive, which an image cannot name; take it out with tar -xf, and convert that");
	else if (!leads_to(path, &source->file))
		report(name, "has no name that an image can name; attach it, and copy the disk");
	else if (source->probed && (name_suggests_raw(path) || S_ISBLK(source->file.stat.st_mode)))
		report(name, "may be a raw disk whose guest wrote the header of an image; give its format with -f");
	else
		return chain_check(c);
	return -1;
}

static int find_image(const struct convert *wanted, const char *name,
		      const struct image *source, const char *path)
{
	if (wanted->resume)
		return check_begun(name, source);
	if (access(name, F_OK))
		return begin(wanted, name, source, path);
	report(name, "is there; choose another name, or go on with --resume if its conversion was interrupted");
	return -1;
}

/* Make the image, or find the one of an earlier call. */
static int prepare(const struct convert *wanted, const char *from, const char *to)
{
	const struct chain_options o = { .format = wanted->work.format, .lock = true };
	char *path = NULL;
	struct chain c;
	int err;

	err = chain_open(&c, from, &o);
	if (!err) {
		path = file_real_path(c.images->file.fd);
		err = check_source(&c, path);
	}
	if (!err)
		err = find_image(wanted, to, c.images, path);
	free(path);
	chain_close(&c);
	return err;
}

static int run_convert(void *options, int argc, char **argv)
{
	struct work work = stream_work;
	struct convert *wanted = options;

	if (wanted->words.help) {
		create_options_print_for_convert(stdout);
		return 0;
	}
	if (argc != 2) {
		report("convert", "takes an image, and the name of a new one; see qcowctl convert --help");
		return 1;
	}
	progress_catch_signals();
	/* A write beyond the limit of a file's size fails instead. */
	signal(SIGXFSZ, SIG_IGN);
	if (create_options_for_convert(&wanted->words) || prepare(wanted, argv[0], argv[1]))
		return 1;
	work.interrupted = "it reads the same as its source, which it still needs: to go on, add --resume";
	if (wanted->compress)
		return convert_packed(&wanted->work, argv[0], argv[1], work.interrupted);
	wanted->work.format = QCOW_FORMAT_QCOW2;
	return work_run(&work, &wanted->work, argv[1]);
}

/* Options begin as zeros, but these have other defaults. */
static void prepare_convert(void *options, int *argc, char **argv)
{
	struct convert *wanted = options;

	(void)argc;
	(void)argv;
	wanted->words.p = (struct create_params)CREATE_DEFAULTS;
}

static void release_convert(void *options)
{
	struct convert *wanted = options;

	create_options_free(&wanted->words);
	work_release(&wanted->work);
}

const struct command convert_command = {
	.name = "convert",
	.summary = "make a qcow2 image of any image",
	.usage =
		"Usage: qcowctl convert [options] SOURCE IMAGE\n"
		"\n"
		"Make a qcow2 image that has the disk of SOURCE, an image of any format that can be\n"
		"attached, and of its backing files. Zeros take no space. Interrupted, it leaves an\n"
		"image that reads the same, and needs SOURCE; --resume goes on.\n",
	.options = options,
	.size = sizeof(struct convert),
	.prepare = prepare_convert,
	.run = run_convert,
	.release = release_convert,
};
