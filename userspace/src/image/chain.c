// SPDX-License-Identifier: GPL-2.0
/*
 * The chain of an image: which file each image names as its backing and data
 * file, whether it may, and that file opened, locked and looked at.
 */
#include <stdlib.h>
#include <unistd.h>

#include "image/chain.h"
#include "image/folder_image.h"
#include "image/foreign_image.h"
#include "image/link.h"
#include "image/lock.h"
#include "image/parents.h"
#include "image/truncated.h"
#include "lib/folder.h"
#include "lib/name.h"
#include "lib/report.h"
#include "lib/text.h"

/* Whether a file is a raw disk by its kind, its end, or a name that leads to it. */
static bool suggests_raw(const struct file *f)
{
	char *path;
	bool raw;

	if (S_ISBLK(f->stat.st_mode) || name_suggests_raw(f->name) || foreign_image_is_fixed(f))
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
	bool fixed = foreign_image_is_fixed(&img->file);
	char *wrong = xasprintf("is not opened, as the image's format was only guessed, and a raw disk whose guest wrote such a header looks the same; use -f %s if it is a %s image, or -f %s if it is a %s",
				image_own_format_name(img), image_own_format_name(img),
				fixed ? "vpc" : "raw", fixed ? "fixed VHD" : "raw disk");

	link_refuse(img, use, written, wrong);
	free(wrong);
	return -1;
}

/* Whether this image may name another file at all. */
static int check_allowed(const struct chain *c, const struct image *img,
			 enum file_use use, const char *written,
			 const struct chain_options *o)
{
	if (o->untrusted)
		return link_refuse(img, use, written, "is not opened for an untrusted image; attach it without --untrusted if you trust it");
	if (o->backing == CHAIN_BACKING_NONE)
		return link_refuse(img, use, written, "is not allowed by --backing none; use --backing auto or --backing DIR if you trust the image");
	/* Nobody said that this image is not raw. */
	if (img->probed && img == c->images && suggests_raw(&img->file))
		return refuse_guessed(img, use, written);
	if (img->probed && img != c->images)
		return link_refuse(img, use, written, img[-1].format == QCOW_FORMAT_QCOW ?
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

/* Whether two images are different members of one archive, as far as both are known. */
static bool differ_in_member(const struct image *a, const struct image *b)
{
	return a->member && b->member && strcmp(a->member, b->member);
}

/*
 * A chain has each image once, and a file that is written has one role. An extent may be
 * the image itself, or have several parts of the disk.
 */
static int check_no_cycle(const struct chain *c, const struct file *f,
			  enum file_use use)
{
	const struct file *data = &c->images->data;
	const struct image *img, *last = &c->images[c->nr - 1];

	for (img = c->images; img < c->images + c->nr; img++)
		if (f != &img->file && (use != FILE_EXTENT || img->file.writable) &&
		    file_same(f, &img->file) && !differ_in_member(img, last))
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

/* The folder that has to hold the files which images name, or NULL. */
static const char *allowed_folder(const struct chain_options *o)
{
	return o->backing == CHAIN_BACKING_BENEATH ? o->beneath : NULL;
}

/* A member is in the very archive that has its child. */
static int check_archive(const struct file *f, const struct link *l, const struct image *child)
{
	if (!child || !l->member || file_same(f, &child->file))
		return 0;
	report(f->name, "has become another archive meanwhile; do it again");
	return -1;
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
		/* A member lies in a file that is open already. */
		if (!l->member)
			role.beneath = allowed_folder(o);
	}
	/* A file that is there twice would be kept from us by our own locks. */
	if (file_open(f, l->name, l->fallback, &role) ||
	    check_archive(f, l, img) || check_no_cycle(c, f, use))
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

/* --- Images of foreign formats --- */

/* The chain to which an image is being added, for the functions of its parser. */
struct loading {
	const struct chain *c;
	const struct chain_options *o;
};

/* Open an extent of the last image of a chain. */
static int open_extent(void *arg, struct file *f, const char *name)
{
	const enum file_use use = FILE_EXTENT;
	const struct loading *loading = arg;
	const struct chain *c = loading->c;
	const struct image *img = &c->images[c->nr - 1];
	struct link l = { };
	int err = check_allowed(c, img, use, name, loading->o);

	if (!err)
		err = link_resolve(&l, img, use, name);
	if (!err)
		err = open_linked(c, f, &l, img, use, loading->o);
	link_free(&l);
	return err;
}

static void tell_fault(void *arg, bool leak, const char *text)
{
	const struct loading *loading = arg;

	loading->o->fault(loading->o->arg, leak, text);
}

static struct foreign_image_how foreign_how(struct loading *loading, const struct image *img)
{
	const struct chain_options *o = loading->o;
	const struct foreign_image *child = img != loading->c->images ? img[-1].foreign : NULL;

	return (struct foreign_image_how) {
		.want = o->want,
		.child = child ? child->parsed.disk_format : NULL,
		.member = img->member,
		.expand_max = o->expand_max,
		.open = open_extent,
		.fault = o->fault ? tell_fault : NULL,
		.arg = loading,
	};
}

static int load_image(struct chain *c, struct image *img, u32 format, enum image_guess guess,
		      const struct chain_options *o)
{
	struct loading loading = { .c = c, .o = o };
	const struct foreign_image_how how = foreign_how(&loading, img);

	return image_load(img, format, guess, &how);
}

static int chain_load(struct chain *c, struct image *img, const struct link *l,
		      const struct chain_options *o)
{
	enum image_guess guess = img != c->images ? IMAGE_GUESS_BACKING :
				 o->guess_raw ? IMAGE_GUESS_RAW : IMAGE_GUESS_NONE;

	img->salvage = o->salvage;
	if (load_image(c, img, l->format, guess, o))
		return -1;
	return !o->top_only && image_has_data_file(img) ?
	       open_data_file(c, img, o) : 0;
}

/* Load an image again if its parent is not there, and need not be: it has none then. */
static int leave_parent(const struct chain *c, struct image *img,
			const struct chain_options *o)
{
	const struct foreign_format *format = img->foreign->parsed.format;
	struct loading loading = { .c = c, .o = o };
	struct foreign_image_how how = foreign_how(&loading, img);

	if (!parents_absent(img))
		return 0;
	how.alone = true;
	foreign_image_free(img->foreign);
	free(img->backing);
	img->backing = NULL;
	return foreign_image_load(&img->foreign, &img->file, format, &how);
}

/*
 * A disk of Parallels is a folder: let the link lead to the descriptor in it. No other format
 * has a file of that name, so the format need not be given.
 */
static void enter_folder(struct link *l)
{
	const u32 parallels = image_format("parallels");
	char *descriptor;

	if (l->format && l->format != parallels)
		return;
	descriptor = folder_descriptor(l->name);
	if (!descriptor && l->fallback && access(l->name, F_OK))
		descriptor = folder_descriptor(l->fallback);
	if (!descriptor)
		return;
	free(l->name);
	l->name = descriptor;
	l->format = parallels;
}

/* --- The parent of an image of a foreign format --- */

/*
 * Fitness of a file to be the parent of an image, worst first. A file whose headers cannot be
 * parsed comes before one that leads back into the chain, as more can be said about it.
 */
enum fitness {
	FIT_NOT_OPENED,
	FIT_CYCLE,
	FIT_DAMAGED,
	FIT_ANOTHER,
	FIT_RIGHT,
};

static void take_member(struct image *img, const struct link *l)
{
	if (l->member)
		img->member = xstrdup(l->member);
}

/* Load the headers of a file as the last image of the chain. */
static enum fitness try_last(struct chain *c, const struct link *l,
			     const struct chain_options *o)
{
	struct image *img = &c->images[c->nr - 1];

	take_member(img, l);
	if (open_linked(c, &img->file, l, img - 1, FILE_BACKING, o))
		return img->file.fd < 0 ? FIT_NOT_OPENED : FIT_CYCLE;
	if (chain_load(c, img, l, o))
		return FIT_DAMAGED;
	return parents_mismatch(img - 1, img) ? FIT_ANOTHER : FIT_RIGHT;
}

/* Take the image out of the chain that was added last. */
static void drop_image(struct chain *c)
{
	struct image *img = &c->images[--c->nr];

	image_close(img);
	memset(img, 0, sizeof(*img));
}

/* Look at a file that may be the parent of the chain's last image. No error is printed. */
static enum fitness try_parent(struct chain *c, struct link *l, const struct chain_options *o)
{
	struct chain_options facts = *o;
	enum fitness fitness;

	facts.want = PARSE_FACTS;
	facts.fault = NULL;
	facts.lock = false;
	facts.top_only = true;
	enter_folder(l);
	c->nr++;
	report_mute(true);
	fitness = try_last(c, l, &facts);
	report_mute(false);
	drop_image(c);
	return fitness;
}

/* The next file that may be the parent, after those of lower numbers. */
static bool next_candidate(struct link *l, const struct image *img, u32 candidate,
			   const struct chain_options *o)
{
	link_free(l);
	*l = (struct link) { .format = parents_format(img), .candidate = candidate };
	return !parents_next(l, img, allowed_folder(o));
}

/*
 * The link to the right parent, or else to the file that is the least wrong, whose errors are
 * printed when it is opened. A single file need not be tried.
 */
static int choose_parent(struct chain *c, struct image *img, struct link *l,
			 const struct chain_options *o)
{
	struct link next = { }, worse;
	enum fitness best, fitness;
	u32 candidate;

	if (!next_candidate(l, img, 0, o))
		return parents_refuse_missing(img, allowed_folder(o));
	if (c->nr == QCOW_MAX_IMAGES || !next_candidate(&next, img, l->candidate, o))
		return 0;
	best = try_parent(c, l, o);
	while (best != FIT_RIGHT && next.name) {
		candidate = next.candidate;
		fitness = try_parent(c, &next, o);
		if (fitness > best) {
			best = fitness;
			worse = *l;
			*l = next;
			next = worse;
		}
		next_candidate(&next, img, candidate, o);
	}
	link_free(&next);
	return 0;
}

/* The link to the parent of an image. */
static int next_parent(struct chain *c, struct image *img, struct link *l,
		       const struct chain_options *o)
{
	const struct parsed *p;

	if (img->foreign->parsed.disk.parent_optional && leave_parent(c, img, o))
		return -1;
	p = &img->foreign->parsed;
	if (!p->disk.has_parent)
		return 0;
	if (!p->nr_parents) {
		report(img->file.name, "shows another image where it has no data, but does not name that; convert it where that image is");
		return -1;
	}
	if (check_allowed(c, img, FILE_BACKING, p->parents[0].name, o))
		return -1;
	l->format = parents_format(img);
	if (!l->format && strcmp(p->disk.parent_format, "probe"))
		return link_refuse_field(img, "backing file's format", p->disk.parent_format,
					 "is not supported; convert that file with qemu-img convert -O qcow2");
	return choose_parent(c, img, l, o);
}

/* Take or refuse the file that was chosen. */
static int accept_parent(const struct image *child, const struct image *img,
			 const struct chain_options *o)
{
	if (!parents_mismatch(child, img))
		return 0;
	if (!o->allow_mismatch)
		return parents_refuse_mismatch(child, img);
	parents_note_mismatch(child, img);
	return 0;
}

/* An image may have several names of its parent: that of the file that was taken is the path. */
static int take_parent(struct image *child, const struct image *img,
		       const struct chain_options *o)
{
	if (accept_parent(child, img, o))
		return -1;
	if (!child->backing)
		return 0;
	free(child->backing_path);
	child->backing_path = image_full_name(img);
	return 0;
}

/* --- The chain --- */

/* The link to an image's backing file; none if it has no backing file. */
static int next_link(struct chain *c, struct image *img, struct link *l,
		     const struct chain_options *o)
{
	const enum file_use use = FILE_BACKING;
	const char *format = img->header.backing_format;

	if (img->foreign)
		return next_parent(c, img, l, o);
	if (!img->backing)
		return 0;
	if (check_allowed(c, img, use, img->backing, o) ||
	    link_resolve(l, img, use, img->backing))
		return -1;
	if (!format[0])
		return 0;
	l->format = image_format(format);
	return l->format ? 0 :
	       link_refuse_field(img, "backing file's format", format,
			    "is not supported; convert that file with qemu-img convert -O qcow2");
}

/* A folder is the only image of its chain. */
static int load_folder(struct image *img, const char *name, const struct chain_options *o)
{
	const struct vvfat_options options = { .fat_bits = o->fat_bits, .label = o->fat_label };
	int err = folder_image_load(img, name, &options);
	u32 i;

	for (i = 0; !err && o->lock && i < image_nr_files(img); i++)
		err = lock_file(image_file(img, i), false);
	return err;
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
	take_member(img, l);
	enter_folder(l);
	if (img == c->images && folder_image_wanted(l->format)) {
		err = load_folder(img, l->name, o);
	} else if (o->fat_bits || o->fat_label) {
		report(l->name, "--fat-type and --fat-label are for a folder that is shown as a disk; use -f vvfat");
		err = -1;
	} else {
		err = open_linked(c, &img->file, l, img == c->images ? NULL : img - 1,
				  FILE_BACKING, o);
		if (!err)
			err = chain_load(c, img, l, o);
	}
	if (!err && img != c->images && img[-1].foreign)
		err = take_parent(img - 1, img, o);
	link_free(l);
	if (err || o->top_only)
		return err;
	return next_link(c, img, l, o);
}

/* Whether a file is an archive, by its format if that is given, else by its content. */
static bool is_archive(const char *name, u32 format)
{
	const struct file_role role = { .use = FILE_NAMED, .quiet = true };
	const u32 ova = image_format("ova");
	struct file f;
	bool is;

	if (format)
		return format == ova && !access(name, F_OK);
	is = !file_open(&f, name, NULL, &role) &&
	     foreign_image_probe(&f) == foreign_format_at(ova - IMAGE_FORMAT_FOREIGN);
	file_close(&f);
	return is;
}

/**
 * chain_archive() - find the archive in a name such as ARCHIVE:MEMBER
 * @name: of an image
 * @format: of the image, from image_format(); 0: probe
 *
 * No other file is taken for the one that was named.
 *
 * Return: the path of the archive, to be freed; NULL, also if a file has all of the name.
 */
char *chain_archive(const char *name, u32 format)
{
	const char *colon = strrchr(name, ':');
	char *archive;

	if (!colon || !colon[1] || !access(name, F_OK))
		return NULL;
	archive = xstrndup(name, colon - name);
	if (is_archive(archive, format))
		return archive;
	free(archive);
	return NULL;
}

/* The link to the first image. */
static void choose_name(struct link *l, const char *name, u32 format)
{
	char *archive = chain_archive(name, format);

	*l = (struct link) { .name = archive ? archive : xstrdup(name), .format = format };
	if (!archive)
		return;
	l->member = xstrdup(strrchr(name, ':') + 1);
	l->format = image_format("ova");
}

static int chain_walk(struct chain *c, const char *name,
		      const struct chain_options *o)
{
	struct link l;
	int err = 0;

	choose_name(&l, name, o->format);
	c->is_member = l.member;
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

/*
 * Whether the first image is of a format that is only read. No error is printed yet. It is
 * opened for that alone: a format that is only read takes no lock of a writer, and udev looks
 * at a block device again that was open for writing.
 */
static bool is_only_read(const char *name, const struct chain_options *o)
{
	const struct file_role role = { .use = FILE_NAMED, .quiet = true };
	struct link l;
	struct file f = { .fd = -1 };
	bool is = o->format >= IMAGE_FORMAT_FOREIGN;

	if (o->format)
		return is;
	choose_name(&l, name, o->format);
	enter_folder(&l);
	if (l.format)
		is = true;
	else if (!file_open(&f, l.name, NULL, &role))
		is = image_is_foreign(&f);
	file_close(&f);
	link_free(&l);
	return is;
}

static int open_as(struct chain *c, const char *name, const struct chain_options *o)
{
	memset(c, 0, sizeof(*c));
	return chain_walk(c, name, o);
}

/**
 * chain_open() - open an image and all that it is made of
 * @c: the result; chain_close() it, after a failure too
 * @name: the image
 * @o: how to open it
 *
 * A file that is to be written but can only be read is opened for reading, and so is all
 * the rest; @c->unwritable is then set. An image of a foreign format is opened for reading.
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

	reading.write = false;
	if (o->write && is_only_read(name, o))
		o = &reading;
	err = open_as(c, name, o);
	unwritable = err || !o->write ? NULL : find_unwritable(c);
	if (!unwritable)
		return err;
	/* All of it anew: to read takes other locks than to write. */
	kept = xstrdup(unwritable);
	chain_close(c);
	err = open_as(c, name, &reading);
	c->unwritable = kept;
	return err;
}

/**
 * chain_writable() - whether a chain is open for writing
 * @c: the open chain
 *
 * Return: whether its first image is, and that one's data file if it has one.
 */
bool chain_writable(const struct chain *c)
{
	return c->images->file.writable && !c->images->foreign;
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
	u32 i;

	for (img = c->images; img < c->images + c->nr; img++) {
		for (i = 0; i < image_nr_files(img); i++)
			file_show_holder(image_file(img, i));
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
