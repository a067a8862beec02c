// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl check: look whether the metadata of a qcow2 image is consistent, and repair it.
 */
#include <signal.h>
#include <stdlib.h>

#include "check/check_print.h"
#include "check/check_repair.h"
#include "check/check_run.h"
#include "cmd/check_foreign.h"
#include "cmd/command.h"
#include "cmd/image_options.h"
#include "device/device.h"
#include "device/which.h"
#include "image/chain.h"
#include "image/folder_image.h"
#include "image/lock.h"
#include "image/seems.h"
#include "lib/progress.h"
#include "lib/folder.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/* Repairs that need another look: entries, refcounts, and the rest. */
#define MAX_ROUNDS	3

/**
 * struct check_options - the arguments of the command line
 * @format: from image_format(); 0: probe
 * @repair: which findings to repair
 * @json: print JSON
 */
struct check_options {
	u32 format;
	enum check_repair repair;
	bool json;
};

/*
 * An image without a refcount table is damaged, but can be given one. No other field
 * is overlooked.
 */
static int parse_header(struct qcow_header *h, u8 *buf, size_t len,
			struct qcow_msg *msg)
{
	struct qcow_disk_header *d = (struct qcow_disk_header *)buf;
	bool none = len >= sizeof(*d) && !d->refcount_table_clusters;
	int err;

	if (none)
		d->refcount_table_clusters = cpu_to_be32(1);
	err = qcow_header_parse(h, buf, len, S64_MAX, msg);
	if (none) {
		d->refcount_table_clusters = 0;
		h->refcount_table_clusters = 0;
	}
	return err;
}

static void refuse_format(const struct file *f)
{
	char *seems = seems_describe(f, SEEMS_ALL, NULL);

	report(f->name, "is no qcow2 image, and images of other formats cannot be checked%s%s",
	       seems ? ": " : "", seems ? seems : "");
	free(seems);
}

/*
 * Unlike image_load(), takes a header whose tables are past the end of the file:
 * a check has to say so. Starts the check.
 */
static int load_header(struct file *f, struct check *c)
{
	u8 start[QCOW_DISK_V3_HEADER_LENGTH];
	struct qcow_msg msg = { };
	struct qcow_header h;
	size_t len;
	u8 *buf;
	int err;

	memset(c, 0, sizeof(*c));
	if (file_read(f, start, sizeof(start), 0, &len))
		return CHECK_FAILED;
	if (qcow_header_probe(start, len) < 2) {
		refuse_format(f);
		return CHECK_UNSUPPORTED;
	}
	err = qcow_header_cluster_size(start, len, &msg);
	if (err > 0) {
		buf = xcalloc(1, err);
		err = file_read(f, buf, err, 0, &len);
		if (!err)
			err = parse_header(&h, buf, len, &msg);
		if (!err)
			check_init(c, f, &h, buf, len);
		free(buf);
	}
	if (!err)
		return 0;
	report_msg(f->name, err, &msg);
	return CHECK_FAILED;
}

static int exit_code(const struct check_result *res)
{
	if (res->check_errors)
		return CHECK_FAILED;
	if (res->corruptions)
		return CHECK_CORRUPT;
	return res->leaks ? CHECK_LEAKS : CHECK_CLEAN;
}

static u64 fewer(u64 before, u64 after)
{
	return before > after ? before - after : 0;
}

/* Check the repaired image again. */
static int check_again(struct check *c, struct file *f, bool quiet)
{
	bool keep = c->keep;

	check_free(c);
	if (load_header(f, c))
		return -1;
	c->keep = keep;
	c->quiet = quiet;
	c->prefix = "not repaired: ";
	return check_run(c);
}

/* Return: -1 after saying why there is no result. */
static int repair_file(const struct check_options *o, struct check *c,
		       struct file *f)
{
	const struct check_result before = c->res;
	struct check_result *res = &c->res;
	int err, i;

	if (!before.corruptions && !before.leaks && !before.check_errors)
		return check_mark_clean(c);
	err = check_repair(c, o->repair);
	for (i = 0; err > 0 && i < MAX_ROUNDS; i++) {
		err = check_again(c, f, true);
		if (!err)
			err = check_repair(c, o->repair);
	}
	progress_end();
	if (err < 0 || check_again(c, f, false))
		return -1;
	res->corruptions_fixed = fewer(before.corruptions, res->corruptions);
	res->leaks_fixed = fewer(before.leaks, res->leaks);
	return res->corruptions || res->check_errors ? 0 : check_mark_clean(c);
}

static void say_interrupted(const struct check_options *o, const struct file *f)
{
	report(f->name, o->repair == CHECK_REPAIR_NONE ? "interrupted" :
	       "interrupted; to go on with the repair, start it anew");
}

static int check_file(const struct check_options *o, struct file *f)
{
	struct check c;
	int err = load_header(f, &c);

	if (err) {
		check_free(&c);
		return err;
	}
	err = check_run(&c);
	if (!err && o->repair != CHECK_REPAIR_NONE)
		err = repair_file(o, &c, f);
	if (err && progress_stopped())
		say_interrupted(o, f);
	if (!err && o->json)
		check_print_json(&c.res, f->name);
	else if (!err)
		check_print_text(&c.res);
	err = err ? (int)CHECK_FAILED : exit_code(&c.res);
	check_free(&c);
	return err;
}

static int check_writable(const struct file *f)
{
	if (f->writable)
		return 0;
	report(f->name, "cannot be written, and so not be repaired; change its permissions, or check it without --repair");
	return -1;
}

static int refuse_device(const char *name, const char *wrong, int index)
{
	char *path = sysfs_attr(index, "image");
	char *shown = path ? text_escape(path) : NULL;

	report(name, "%s; detach it, and check its image%s%s", wrong,
	       shown ? ", " : "", shown ? shown : "");
	free(path);
	free(shown);
	return -1;
}

/* The device that has the image writes to it. Return: -1 after printing that. */
static int refuse_child(const char *name, const char *parent)
{
	report(name, "shows a snapshot of /dev/%s, whose image is in use; detach both, and check that image",
	       parent);
	return -1;
}

static int open_read_only(struct file *f, const char *name, const struct device *d)
{
	char *parent = sysfs_parent(d->index);
	int err = parent ? refuse_child(name, parent) :
			   attached_open(f, NULL, -1, d, 0, 0);

	free(parent);
	return err ? -1 : 0;
}

/* The image of a device that writes nothing; the tables of others are in memory. */
static int open_device(struct file *f, const struct check_options *o,
		       const char *name, struct device *d)
{
	struct qcow_ioc_status status;

	if (which_device(d, name))
		return -1;
	if (o->repair != CHECK_REPAIR_NONE)
		return refuse_device(name, "is a device, which cannot be repaired", d->index);
	if (device_query(d->index, &status))
		return -1;
	if (!(status.flags & QCOW_ATTACH_RO))
		return refuse_device(name, "is a device that is written", d->index);
	return open_read_only(f, name, d);
}

static int open_image(struct file *f, const struct check_options *o,
		      const char *name)
{
	const struct file_role role = {
		.write = o->repair != CHECK_REPAIR_NONE,
	};
	/* A disk of Parallels is a folder, and one of an archive is a member. */
	char *path = folder_descriptor(name) ?: chain_archive(name, o->format);
	int err = file_open(f, path ?: name, NULL, &role);

	free(path);
	return err || (role.write && check_writable(f)) ? -1 : 0;
}

/* @d: set to the device, whose index is -1 if it is an image. */
static int open_named(struct file *f, const struct check_options *o,
		      const char *name, struct device *d)
{
	int index;

	*f = (struct file) { .fd = -1 };
	if (which_or_image(name, &index))
		return -1;
	d->index = index >= 0 && device_exists(index) ? index : -1;
	return d->index >= 0 ? open_device(f, o, name, d) : open_image(f, o, name);
}

/* A repair asks the driver, too: a write to an attached image would destroy it. */
static int lock_image(struct file *f, const struct check_options *o)
{
	bool write = o->repair != CHECK_REPAIR_NONE;

	if (lock_file(f, write) || (write && lock_check_devices(f, true)))
		return -1;
	return file_look_again(f);
}

/* An image of a format that only its parser knows. */
static int check_other(const struct check_options *o, const char *name,
		       const struct device *d)
{
	if (o->repair == CHECK_REPAIR_NONE)
		return check_foreign(name, d->index >= 0 ? d : NULL, o->format, o->json);
	report(name, "images of this format are not repaired; check it without --repair, or repair it with the program that made it");
	return CHECK_UNSUPPORTED;
}

static int check_image(const struct check_options *o, const char *name)
{
	int status = CHECK_FAILED;
	struct device d;
	struct file f;

	progress_catch_signals();
	/* A limit of the file's size is an error of a write, and nobody has to read. */
	if (o->repair != CHECK_REPAIR_NONE) {
		signal(SIGXFSZ, SIG_IGN);
		signal(SIGPIPE, SIG_IGN);
	}
	if (folder_image_wanted(o->format)) {
		f = (struct file) { .fd = -1 };
		d = (struct device) { .index = -1 };
		status = check_other(o, name, &d);
	} else if (!open_named(&f, o, name, &d)) {
		if (check_is_foreign(&f, o->format))
			status = check_other(o, name, &d);
		else if (!lock_image(&f, o))
			status = check_file(o, &f);
	}
	file_close(&f);
	return status;
}

static int parse_repair(void *field, const char *arg)
{
	enum check_repair *repair = field;

	if (!strcmp(arg, "leaks"))
		*repair = CHECK_REPAIR_LEAKS;
	else if (!strcmp(arg, "all"))
		*repair = CHECK_REPAIR_ALL;
	else
		report("--repair", "takes leaks or all");
	return *repair == CHECK_REPAIR_NONE ? -1 : 0;
}

static int run_check(void *options, int argc, char **argv)
{
	(void)argc;
	return check_image(options, argv[0]);
}

static void print_exit_codes(FILE *to)
{
	fputs("\n"
	      "Exit status: 0 no errors, 1 could not be checked, 2 corruptions, 3 only leaked\n"
	      "clusters, 63 the image's format cannot be checked.\n", to);
}

static const struct option_spec options[] = {
	{
		.name = "repair", .letter = 'r', .arg = "=WHAT", .values = "leaks all",
		.help = "repair leaks, or all that can be",
		.parse = parse_repair, .field = offsetof(struct check_options, repair),
	},
	OPTION_FORMAT(struct check_options, format,
		      "the format of the image; probe it if not given"),
	OPTION_JSON(struct check_options, json, "print JSON, with the keys of qemu-img check"),
	OPTION_PROGRESS,
	{ }
};

const struct command check_command = {
	.name = "check",
	.summary = "check the metadata of an image",
	.usage =
		"Usage: qcowctl check [options] IMAGE|DEVICE\n"
		"\n"
		"Check the metadata of an image that is not written by others, or of a device that is\n"
		"attached read-only. Only qcow2 images are repaired.\n",
	.options = options,
	.print_more = print_exit_codes,
	.size = sizeof(struct check_options),
	.one_operand = "one image or device",
	.run = run_check,
};
