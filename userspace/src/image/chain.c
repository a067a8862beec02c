// SPDX-License-Identifier: GPL-2.0
/*
 * The chain of an image: which file each image names as its backing and data
 * file, whether it may, and that file opened, locked and looked at.
 */
#include <stdlib.h>
#include <unistd.h>

#include "image/chain.h"
#include "image/lock.h"
#include "image/truncated.h"
#include "lib/name.h"
#include "lib/report.h"
#include "lib/text.h"

/* A file to open: by two names if the image that names it is a symlink. */
struct link {
	char *name;
	char *fallback;
	u32 format;
};

static void link_free(struct link *l)
{
	free(l->name);
	free(l->fallback);
	memset(l, 0, sizeof(*l));
}

/* Report something about a name that an image holds. */
static int refuse_field(const struct image *img, const char *field,
			const char *written, const char *wrong)
{
	char *shown = text_escape(written);

	report(img->file.name, "its %s \"%s\" %s", field, shown, wrong);
	free(shown);
	return -1;
}

static int refuse_name(const struct image *img, enum file_use use,
		       const char *written, const char *wrong)
{
	return refuse_field(img, file_use_name(use), written, wrong);
}

/*
 * How a local file that an image names in JSON is named from the image's folder. QEMU
 * looks a relative name up in its working folder, unlike one that is not in JSON.
 */
static char *name_from_folder(const struct image *img, const char *path)
{
	char *beside = name_resolve(img->file.name, path);
	char *full = path[0] == '/' ? NULL : realpath(path, NULL);

	if (full && !access(beside, F_OK)) {
		free(full);
		full = NULL;
	}
	free(beside);
	return full ? full : xstrdup(path);
}

/* The format that the header gives for the backing file goes before that of its name. */
static const char *local_format(const struct image *img, const struct name_local *local)
{
	u32 format = image_format(img->header.backing_format);

	if (format)
		return image_format_name(format);
	return local->format ? local->format : "FORMAT";
}

/* The command that puts a plain name in place of one in JSON. */
static char *rename_command(const struct image *img, enum file_use use,
			    const struct name_local *local)
{
	char *name = name_from_folder(img, local->path);
	char *word = text_shell(name), *image = text_shell(img->file.name);
	char *command;

	if (use != FILE_BACKING)
		command = xasprintf("qemu-img amend -f qcow2 -o data_file=%s %s", word, image);
	else
		command = xasprintf("qemu-img rebase -u -b %s -F %s %s", word,
				    local_format(img, local), image);
	free(name);
	free(word);
	free(image);
	return command;
}

/* Refuse a name that is not that of a file. */
static int refuse_no_name(const struct image *img, enum file_use use,
			  const char *written, const char *refused)
{
	bool backing = use == FILE_BACKING;
	struct name_local local;
	char *wrong, *command;

	if (name_from_json(&local, written)) {
		command = rename_command(img, use, &local);
		wrong = xasprintf("is %s of a local file; name the file itself with %s",
				  refused, command);
		free(command);
	} else {
		wrong = xasprintf("is %s, not a file's name; copy it to a local file and name that%s",
				  refused, backing ? " with qemu-img rebase -u" : "");
	}
	free(local.path);
	refuse_name(img, use, written, wrong);
	free(wrong);
	return -1;
}

/* Turn a name that an image holds into paths. */
static int link_resolve(struct link *l, const struct image *img,
			enum file_use use, const char *written)
{
	const char *refused = name_refused(written);
	char *path;

	if (refused)
		return refuse_no_name(img, use, written, refused);
	l->name = name_resolve(img->file.name, written);
	path = file_real_path(img->file.fd);
	if (path)
		l->fallback = name_resolve(path, written);
	free(path);
	return 0;
}

/* Whether a file is a raw disk by its kind, or by a name that leads to it. */
static bool suggests_raw(const struct file *f)
{
	char *path;
	bool raw;

	if (S_ISBLK(f->stat.st_mode) || name_suggests_raw(f->name))
		return true;
	path = file_real_path(f->fd);
	raw = path && name_suggests_raw(path);
	free(path);
	return raw;
}

/*
 * The guest of a raw disk can write a header to it, and in the header the name of
 * any file of the host.
 */
static int refuse_guessed(const struct image *img, enum file_use use,
			  const char *written)
{
	char *wrong = xasprintf("is not opened, as the image's format was only guessed, and a raw disk whose guest wrote such a header looks the same; use -f %s if it is a %s image, or -f raw if it is a raw disk",
				image_format_name(img->format),
				image_format_name(img->format));

	refuse_name(img, use, written, wrong);
	free(wrong);
	return -1;
}

/* Whether this image may name another file at all. */
static int check_allowed(const struct chain *c, const struct image *img,
			 enum file_use use, const char *written,
			 const struct chain_options *o)
{
	if (o->untrusted)
		return refuse_name(img, use, written, "is not opened for an untrusted image; attach it without --untrusted if you trust it");
	if (o->backing == CHAIN_BACKING_NONE)
		return refuse_name(img, use, written, "is not allowed by --backing none; use --backing auto or --backing DIR if you trust the image");
	/* Nobody said that this image is not raw. */
	if (img->probed && img == c->images && suggests_raw(&img->file))
		return refuse_guessed(img, use, written);
	if (img->probed && img != c->images)
		return refuse_name(img, use, written, img[-1].format == QCOW_FORMAT_QCOW ?
				   "is not opened, as the image above does not say this one's format, being qcow version 1; convert that one with qemu-img convert -O qcow2 -B FILE -F qcow2" :
				   "is not opened, as the image above does not say this one's format; set it there with qemu-img rebase -u -b FILE -F qcow2");
	return 0;
}

static int refuse_cycle(const struct file *f, enum file_use use,
			const struct file *as)
{
	char *shown = text_escape(as->name);

	report(f->name, "is a %s of itself (as %s); restore the chain with qemu-img rebase -u",
	       file_use_name(use), shown);
	free(shown);
	return -1;
}

/* A chain has each file once, and a file that is written has one role. */
static int check_no_cycle(const struct chain *c, const struct file *f,
			  enum file_use use)
{
	const struct file *data = &c->images->data;
	const struct image *img;

	for (img = c->images; img < c->images + c->nr; img++)
		if (f != &img->file && file_same(f, &img->file))
			return refuse_cycle(f, use, &img->file);
	if (data->writable && f != data && file_same(f, data))
		return refuse_cycle(f, use, data);
	return 0;
}

/* Whether a guest's writes go to a file: to both of the first image, or to none. */
static bool is_written(const struct chain *c, const struct file *f,
		       const struct chain_options *o)
{
	const struct image *top = c->images;

	if (!o->write)
		return false;
	return f == &top->file || (f == &top->data && top->file.writable);
}

/* Open a file that @img names, or that the user does if there is no @img. */
static int open_linked(const struct chain *c, struct file *f,
		       const struct link *l, const struct image *img,
		       enum file_use use, const struct chain_options *o)
{
	struct file_role role = { .write = is_written(c, f, o) };

	if (img) {
		role.use = use;
		role.of = img->file.name;
		if (o->backing == CHAIN_BACKING_BENEATH)
			role.beneath = o->beneath;
	}
	/* A file that is there twice would be kept from us by our own locks. */
	if (file_open(f, l->name, l->fallback, &role) ||
	    check_no_cycle(c, f, use))
		return -1;
	if (!o->lock)
		return 0;
	return lock_file(f, f->writable) ? -1 : file_look_again(f);
}

static int open_data_file(const struct chain *c, struct image *img,
			  const struct chain_options *o)
{
	const enum file_use use = FILE_DATA;
	struct link l = { };
	int err;

	if (!img->data_name) {
		report(img->file.name, "needs an external data file but does not name it; restore it from a copy");
		return -1;
	}
	err = check_allowed(c, img, use, img->data_name, o);
	if (!err)
		err = link_resolve(&l, img, use, img->data_name);
	if (!err)
		err = open_linked(c, &img->data, &l, img, use, o);
	link_free(&l);
	return err;
}

/* The link to an image's backing file; none if it has no backing file. */
static int next_link(const struct chain *c, struct image *img, struct link *l,
		     const struct chain_options *o)
{
	const enum file_use use = FILE_BACKING;
	const char *format = img->header.backing_format;

	if (!img->backing)
		return 0;
	if (check_allowed(c, img, use, img->backing, o) ||
	    link_resolve(l, img, use, img->backing))
		return -1;
	if (!format[0])
		return 0;
	l->format = image_format(format);
	return l->format ? 0 :
	       refuse_field(img, "backing file's format", format,
			    "is not supported; convert that file with qemu-img convert -O qcow2");
}

static int chain_load(struct chain *c, struct image *img, const struct link *l,
		      const struct chain_options *o)
{
	enum image_guess guess = img != c->images ? IMAGE_GUESS_BACKING :
				 o->guess_raw ? IMAGE_GUESS_RAW : IMAGE_GUESS_NONE;

	img->salvage = o->salvage;
	if (image_load(img, l->format, guess))
		return -1;
	return !o->top_only && image_has_data_file(img) ?
	       open_data_file(c, img, o) : 0;
}

/* Add the image that @l leads to; @l then leads to the next. */
static int chain_add(struct chain *c, struct link *l,
		     const struct chain_options *o)
{
	struct image *img = &c->images[c->nr];
	int err;

	if (c->nr == QCOW_MAX_IMAGES) {
		report(c->images[0].file.name, "has more than %u images in its chain; merge some with qemu-img commit",
		       QCOW_MAX_IMAGES);
		return -1;
	}
	c->nr++;
	err = open_linked(c, &img->file, l, img == c->images ? NULL : img - 1,
			  FILE_BACKING, o);
	if (!err)
		err = chain_load(c, img, l, o);
	link_free(l);
	if (err || o->top_only)
		return err;
	return next_link(c, img, l, o);
}

static int chain_walk(struct chain *c, const char *name,
		      const struct chain_options *o)
{
	struct link l = { .name = xstrdup(name), .format = o->format };
	int err = 0;

	c->images = xcalloc(QCOW_MAX_IMAGES, sizeof(*c->images));
	while (!err && l.name)
		err = chain_add(c, &l, o);
	link_free(&l);
	return err;
}

/* The name of a file that should be, but is not, open for writing; or NULL. */
static const char *find_unwritable(const struct chain *c)
{
	const struct image *img = c->images;

	if (!img->file.writable)
		return img->file.name;
	return image_has_data_file(img) && !img->data.writable ?
	       img->data.name : NULL;
}

/**
 * chain_open() - open an image and all that it is made of
 * @c: the result; chain_close() it, after a failure too
 * @name: the image
 * @o: how to open it
 *
 * A file that is to be written but can only be read is opened for reading, and so is all
 * the rest; @c->unwritable is then set.
 *
 * Return: 0, or -1 after printing the error.
 */
int chain_open(struct chain *c, const char *name,
	       const struct chain_options *o)
{
	struct chain_options reading = *o;
	const char *unwritable;
	char *kept;
	int err;

	memset(c, 0, sizeof(*c));
	err = chain_walk(c, name, o);
	unwritable = err || !o->write ? NULL : find_unwritable(c);
	if (!unwritable)
		return err;
	/* All of it anew: to read takes other locks than to write. */
	kept = xstrdup(unwritable);
	chain_close(c);
	reading.write = false;
	err = chain_walk(c, name, &reading);
	c->unwritable = kept;
	return err;
}

/* --- The chain of a device --- */

/* The data file of the image of a number, if that has one. */
static int open_device_data(struct image *img, int control,
			    const struct device *d, u32 number)
{
	int ret;

	if (!image_has_data_file(img))
		return 0;
	ret = attached_open(&img->data, NULL, control, d, number, QCOW_FILE_DATA);
	if (ret > 0)
		report(img->file.name, "has become another image meanwhile; do it again");
	return ret ? -1 : 0;
}

/* Return: 0; 1: the chain has ended; or -1 after printing the error. */
static int add_device_image(struct chain *c, int control, const struct device *d,
			    bool top_only)
{
	struct image *img = &c->images[c->nr];
	u32 format;
	int ret = attached_open(&img->file, &format, control, d, c->nr, 0);

	if (ret > 0)
		return 1;
	c->nr++;
	if (ret || image_load(img, format, IMAGE_GUESS_NONE))
		return -1;
	if (c->nr > 1)
		img[-1].backing_path = xstrdup(img->file.name);
	return top_only ? 0 : open_device_data(img, control, d, c->nr - 1);
}

/* The path of the backing file, which is not opened otherwise. */
static int name_device_backing(struct image *img, int control,
			       const struct device *d)
{
	struct file f;
	int ret = img->backing ? attached_open(&f, NULL, control, d, 1, 0) : 1;

	if (!ret)
		img->backing_path = xstrdup(f.name);
	if (img->backing)
		file_close(&f);
	return ret < 0 ? -1 : 0;
}

/**
 * chain_open_device() - open the files of a device for reading
 * @c: the result; chain_close() it, after a failure too
 * @control: the driver's control node, or -1: open it
 * @d: the device
 * @top_only: its image alone
 *
 * These are the files that are attached, whatever has their names by now. They are not
 * locked.
 *
 * Return: 0, or -1 after printing the error.
 */
int chain_open_device(struct chain *c, int control, const struct device *d,
		      bool top_only)
{
	int ret;

	memset(c, 0, sizeof(*c));
	c->images = xcalloc(QCOW_MAX_IMAGES, sizeof(*c->images));
	do
		ret = add_device_image(c, control, d, top_only);
	while (!ret && !top_only && c->nr < QCOW_MAX_IMAGES);
	if (!ret && top_only)
		ret = name_device_backing(c->images, control, d);
	return ret < 0 || !c->nr ? -1 : 0;
}

/**
 * chain_writable() - whether a chain is open for writing
 * @c: the open chain
 *
 * Return: whether its first image is, and that one's data file if it has one.
 */
bool chain_writable(const struct chain *c)
{
	return c->images->file.writable;
}

/**
 * chain_backing_path() - which file an image's backing file would be
 * @img: a loaded image
 *
 * Return: its path, to free, whether there is such a file or not; NULL if the
 * image has no backing file or names it in a way that is not followed.
 */
char *chain_backing_path(const struct image *img)
{
	struct link l = { };
	char *path = NULL;

	if (img->backing_path)
		return xstrdup(img->backing_path);
	if (!img->backing || name_refused(img->backing))
		return NULL;
	if (!link_resolve(&l, img, FILE_BACKING, img->backing)) {
		path = l.fallback && access(l.name, F_OK) &&
		       !access(l.fallback, F_OK) ? l.fallback : l.name;
		path = xstrdup(path);
	}
	link_free(&l);
	return path;
}

/* Images that are not to be written before they are repaired. */
static int check_unmarked(const struct image *img)
{
	const char *wrong = NULL;

	if (img->header.incompatible & QCOW_DISK_INCOMPAT_CORRUPT)
		wrong = "is marked corrupt; repair it with qcowctl check --repair=all";
	else if (img->header.incompatible & QCOW_DISK_INCOMPAT_DIRTY)
		wrong = "was not closed cleanly (dirty); repair it with qcowctl check --repair=all";
	if (!wrong)
		return 0;
	report(img->file.name, "%s, or attach it read-only with -r", wrong);
	return -1;
}

/**
 * chain_check() - refuse a chain whose disk cannot be used
 * @c: the open chain
 *
 * Refuses images with features that are not supported and files cut short; and,
 * for writing, an image that has to be repaired first.
 *
 * Return: 0, or -1 after printing the error.
 */
int chain_check(const struct chain *c)
{
	const struct image *img;
	struct qcow_msg msg = { };
	int err;

	for (img = c->images; img < c->images + c->nr; img++) {
		if (!image_has_tables(img))
			continue;
		err = qcow_header_supported(&img->header, &msg);
		if (err) {
			report_msg(img->file.name, err, &msg);
			return -1;
		}
		if ((!img->salvage && truncated_check(img)) ||
		    (img->file.writable && check_unmarked(img)))
			return -1;
	}
	return 0;
}

/**
 * chain_note_truncated() - say which files of a chain that is salvaged are cut short
 * @c: the open chain
 */
void chain_note_truncated(const struct chain *c)
{
	const struct image *img;

	for (img = c->images; img < c->images + c->nr; img++)
		if (img->salvage && image_has_tables(img))
			(void)truncated_check(img);
}

/**
 * chain_show_holder() - let /proc show until the end that this process holds a chain
 * @c: the chain, which may be closed then
 */
void chain_show_holder(const struct chain *c)
{
	const struct image *img;

	for (img = c->images; img < c->images + c->nr; img++) {
		file_show_holder(&img->file);
		if (image_has_data_file(img))
			file_show_holder(&img->data);
	}
}

/**
 * chain_close() - undo chain_open()
 * @c: the chain
 */
void chain_close(struct chain *c)
{
	u32 i;

	for (i = 0; i < c->nr; i++)
		image_close(&c->images[i]);
	free(c->images);
	free(c->unwritable);
	memset(c, 0, sizeof(*c));
}
