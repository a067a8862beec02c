// SPDX-License-Identifier: GPL-2.0
/*
 * The parent of an image of a foreign format: it may have several names, of which some are
 * out of date, or none but an identifier.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "image/foreign_image.h"
#include "image/parents.h"
#include "lib/fat_time.h"
#include "lib/name.h"
#include "lib/report.h"
#include "lib/text.h"

/* Files of a folder that are looked at for an identifier. */
#define SEARCH_MAX	1000
/* Of them, those with the identifier that are kept: more than two are not named */
#define SEARCH_FOUND_MAX	3

/**
 * parents_format() - the format of the parent of an image
 * @child: the image
 *
 * Return: from image_format(); 0: it is probed, or not known: parent_format tells.
 */
u32 parents_format(const struct image *child)
{
	const struct parsed *p = &child->foreign->parsed;
	const char *name = p->disk.parent_format;

	return image_format(name[0] ? name : p->disk_format->name);
}

/* --- By an identifier --- */

/**
 * struct found - a file that may be the parent
 * @path: of it
 * @stat: of it
 */
struct found {
	char *path;
	struct stat stat;
};

/**
 * struct search - a search for the parent that has an identifier
 * @child: the image
 * @ending: of the names of files that are looked at
 * @beneath: real path of a folder that has to hold it, or NULL
 * @left: files that may still be looked at
 * @found: files with the identifier
 * @nr: of them
 * @right: they have the right last change, too
 */
struct search {
	const struct image *child;
	const char *ending;
	const char *beneath;
	u32 left;
	struct found found[SEARCH_FOUND_MAX];
	u32 nr;
	bool right;
};

static bool has_change(const struct foreign_disk *child, const struct foreign_disk *parent)
{
	return !child->parent_change_id[0] ||
	       !strcmp(child->parent_change_id, parent->change_id);
}

/*
 * Whether a file has the identifier, and the last change. No error is printed: others of its
 * folder may be damaged.
 */
static bool has_id(const struct search *s, const struct file *f, bool *right)
{
	const struct parsed *child = &s->child->foreign->parsed;
	const struct parse_how how = {
		.format = child->disk_format, .file = f, .want = PARSE_FACTS, .quiet = true,
	};
	struct parsed p;
	bool has = false;

	if (file_same(f, &s->child->file) || foreign_image_probe(f) != child->disk_format)
		return false;
	if (!parse_image(&p, &how)) {
		has = !strcmp(p.disk.id, child->disk.parent_id);
		*right = has_change(&child->disk, &p.disk);
	}
	parsed_free(&p);
	return has;
}

static void forget_found(struct search *s)
{
	while (s->nr)
		free(s->found[--s->nr].path);
}

static bool is_found(const struct search *s, const struct stat *stat)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (stat_same(&s->found[i].stat, stat))
			return true;
	return false;
}

/* Keep a file with the identifier: one with the right last change goes before all others. */
static void add_found(struct search *s, const char *path, const struct stat *stat, bool right)
{
	if (right && !s->right)
		forget_found(s);
	s->right |= right;
	if (s->right != right || s->nr == SEARCH_FOUND_MAX || is_found(s, stat))
		return;
	s->found[s->nr++] = (struct found) { .path = xstrdup(path), .stat = *stat };
}

static bool has_ending(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len > n && !strcasecmp(name + len - n, ending);
}

static void look_at(struct search *s, const char *folder, const char *name)
{
	const struct file_role role = {
		.use = FILE_BACKING, .of = s->child->file.name, .beneath = s->beneath, .quiet = true,
	};
	bool right = false;
	struct file f;
	char *path;

	if (!has_ending(name, s->ending) || !s->left)
		return;
	s->left--;
	path = xasprintf("%s/%s", folder, name);
	if (!file_open(&f, path, NULL, &role) && has_id(s, &f, &right))
		add_found(s, path, &f.stat, right);
	file_close(&f);
	free(path);
}

static void search_folder(struct search *s, const char *folder)
{
	struct dirent **list;
	int nr = scandir(folder, &list, NULL, alphasort), i;

	for (i = 0; i < nr; i++) {
		look_at(s, folder, list[i]->d_name);
		free(list[i]);
	}
	if (nr >= 0)
		free(list);
}

/* The folder of the image, the one above, and that of its snapshots; forget_found() then. */
static void search(struct search *s, const struct image *child, const char *pattern,
		   const char *beneath)
{
	static const char *const places[] = { "", "/..", "/Snapshots" };
	char *path = file_real_path(child->file.fd), *slash, *folder;
	size_t i;

	*s = (struct search) {
		.child = child, .ending = pattern + (pattern[0] == '*'), .beneath = beneath,
		.left = SEARCH_MAX,
	};
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		*slash = '\0';
	for (i = 0; slash && i < ARRAY_SIZE(places); i++) {
		folder = xasprintf("%s%s", path, places[i]);
		search_folder(s, folder);
		free(folder);
	}
	free(path);
}

/* The path of the only file that is found, to be freed; or NULL. */
static char *search_one(const struct image *child, const char *pattern, const char *beneath)
{
	char *path = NULL;
	struct search s;

	search(&s, child, pattern, beneath);
	if (s.nr == 1)
		path = xstrdup(s.found[0].path);
	forget_found(&s);
	return path;
}

/* --- By names --- */

static bool is_beneath(const char *path, const char *beneath)
{
	char *real = realpath(path, NULL);
	size_t len = strlen(beneath);
	bool is;

	len -= len && beneath[len - 1] == '/';
	is = real && !strncmp(real, beneath, len) && real[len] == '/';
	free(real);
	return is;
}

static bool is_there(const char *path, const char *beneath)
{
	return path && !access(path, F_OK) && (!beneath || is_beneath(path, beneath));
}

/* The archive that has the child has its parent, too. */
static void link_to_member(struct link *l, const struct image *child, const char *member)
{
	l->name = xstrdup(child->file.name);
	l->member = xstrdup(member);
	l->format = image_format("ova");
}

/* Try a name. Whether there is such a file is asked again when it is opened. */
static bool try_name(struct link *l, const struct image *child, const char *name,
		     const char *beneath)
{
	struct link found = { .format = l->format, .candidate = l->candidate };

	if (child->foreign->parsed.disk.parent_by_id) {
		l->name = search_one(child, name, beneath);
		return l->name;
	}
	if (name_refused(name) || link_resolve(&found, child, FILE_BACKING, name))
		return false;
	if (is_there(found.name, beneath) || is_there(found.fallback, beneath)) {
		*l = found;
		return true;
	}
	link_free(&found);
	return false;
}

/**
 * parents_next() - find the next file that may be the parent of an image
 * @l: the result; its candidate is the number of the first name to try, and afterwards that
 *	of the next one
 * @child: the image
 * @beneath: real path of a folder that has to hold it, or NULL
 *
 * Return: 0; -1: there is none.
 */
int parents_next(struct link *l, const struct image *child, const char *beneath)
{
	const struct parsed *p = &child->foreign->parsed;

	const struct parsed_parent *parent;

	while (l->candidate < p->nr_parents) {
		parent = &p->parents[l->candidate++];
		if (parent->is_member)
			link_to_member(l, child, parent->name);
		if (parent->is_member || try_name(l, child, parent->name, beneath))
			return 0;
	}
	return -1;
}

/* Whether there is no such file, whatever may be opened and may not. */
static bool is_absent(const char *image, const char *name)
{
	char *plain = xasprintf("%s%s", name[0] == '/' ? "" : "./", name);
	char *path = name_resolve(image, plain);
	struct stat st;
	bool absent = lstat(path, &st) && errno == ENOENT;

	free(path);
	free(plain);
	return absent;
}

/**
 * parents_absent() - whether no file has one of the names of an image's parent
 * @child: the image
 *
 * A file that may not be opened is there all the same.
 *
 * Return: whether there is none; false if that cannot be told.
 */
bool parents_absent(const struct image *child)
{
	const struct parsed *p = &child->foreign->parsed;
	char *path = file_real_path(child->file.fd);
	bool absent = path;
	u32 i;

	for (i = 0; absent && i < p->nr_parents; i++)
		absent = is_absent(child->file.name, p->parents[i].name) &&
			 is_absent(path, p->parents[i].name);
	free(path);
	return absent;
}

/* Names as a list, of which a long one is cut off; to be freed. */
static char *list_names(const struct parsed *p)
{
	char *list = xstrdup(""), *longer, *shown;
	u32 i;

	for (i = 0; i < p->nr_parents && i < 4; i++) {
		shown = text_escape(p->parents[i].name);
		longer = xasprintf("%s%s\"%s\"", list, i ? ", " : "", shown);
		free(shown);
		free(list);
		list = longer;
	}
	return list;
}

/* Report that no file, or more than one, has the identifier. */
static void report_search(const struct image *child, const char *beneath)
{
	const struct parsed *p = &child->foreign->parsed;
	char *id = text_escape(p->disk.parent_id), *names = NULL, *last = NULL;
	struct search s;

	search(&s, child, p->parents[0].name, beneath);
	if (s.nr > 1) {
		names = text_escape(s.found[0].path);
		last = text_escape(s.found[1].path);
		report(child->file.name, "its backing file has the id %s, and so have %s and %s%s; move all but the right one to another folder",
		       id, names, last, s.nr > 2 ? " and others" : "");
	} else {
		names = list_names(p);
		report(child->file.name, "its backing file with the id %s is not among the files %s of its folder, the one above and Snapshots, or is not allowed; put it beside the image",
		       id, names);
	}
	forget_found(&s);
	free(last);
	free(names);
	free(id);
}

/**
 * parents_refuse_missing() - report that none of the files is there, or that several are
 * @child: the image
 * @beneath: real path of a folder that has to hold it, or NULL
 *
 * Return: -1.
 */
int parents_refuse_missing(const struct image *child, const char *beneath)
{
	const struct parsed *p = &child->foreign->parsed;
	char *names;

	if (p->disk.parent_by_id) {
		report_search(child, beneath);
		return -1;
	}
	names = list_names(p);
	report(child->file.name, "its backing file %s is not there, or is not allowed; put it beside the image",
	       names);
	free(names);
	return -1;
}

/* --- The right one --- */

static const char *own_id(const struct image *img)
{
	return img->foreign ? img->foreign->parsed.disk.id : "";
}

static bool differs_in_id(const struct foreign_disk *child, const struct image *parent)
{
	return child->parent_id[0] && strcmp(child->parent_id, own_id(parent));
}

static const char *own_change(const struct image *img)
{
	return img->foreign ? img->foreign->parsed.disk.change_id : "";
}

static bool differs_in_change(const struct foreign_disk *child, const struct image *parent)
{
	return child->parent_change_id[0] &&
	       strcmp(child->parent_change_id, own_change(parent));
}

static bool differs_in_time(const struct foreign_disk *child, const struct image *parent)
{
	s64 mtime = parent->file.stat.st_mtim.tv_sec;

	return (child->parent_mtime && mtime != child->parent_mtime) ||
	       (child->parent_fat_time && fat_time(mtime) != child->parent_fat_time);
}

static bool differs_in_size(const struct foreign_disk *child, const struct image *parent)
{
	return child->parent_size && child->parent_size != parent->file.size;
}

/**
 * parents_mismatch() - whether an image is another than the one that a child was made over
 * @child: the child, of a foreign format
 * @parent: the image
 *
 * Return: whether it is.
 */
bool parents_mismatch(const struct image *child, const struct image *parent)
{
	const struct foreign_disk *d = &child->foreign->parsed.disk;

	return differs_in_id(d, parent) || differs_in_change(d, parent) ||
	       differs_in_time(d, parent) || differs_in_size(d, parent);
}

static char *describe_change(const char *name, const struct foreign_disk *child,
			     const struct image *parent)
{
	char *is = text_escape(own_change(parent)), *wanted = text_escape(child->parent_change_id);
	char *text = xasprintf("its backing file %s was changed since it was made over that: the last change is %s, not %s",
			       name, is[0] ? is : "(none)", wanted);

	free(is);
	free(wanted);
	return text;
}

/* The difference in words, to be freed. */
static char *describe_mismatch(const struct image *child, const struct image *parent)
{
	const struct foreign_disk *d = &child->foreign->parsed.disk;
	char *full = image_full_name(parent), *name = text_escape(full), *text, *is, *wanted;

	is = text_escape(own_id(parent));
	wanted = text_escape(d->parent_id);
	if (differs_in_id(d, parent))
		text = xasprintf("its backing file %s has the id %s, but it was made over %s",
				 name, is[0] ? is : "(none)", wanted);
	else if (differs_in_change(d, parent))
		text = describe_change(name, d, parent);
	else if (differs_in_size(d, parent))
		text = xasprintf("its backing file %s has %llu bytes, but it was made over one of %llu",
				 name, (unsigned long long)parent->file.size,
				 (unsigned long long)d->parent_size);
	else if (d->parent_fat_time)
		text = xasprintf("its backing file %s was changed since it was made over that", name);
	else
		text = xasprintf("its backing file %s was changed at %lld, but it was made over one that was changed at %lld (seconds since 1970)",
				 name, (long long)parent->file.stat.st_mtim.tv_sec,
				 (long long)d->parent_mtime);
	free(full);
	free(name);
	free(is);
	free(wanted);
	return text;
}

/**
 * parents_note_mismatch() - report a parent that is not the right one, but allowed
 * @child: the image
 * @parent: its parent
 */
void parents_note_mismatch(const struct image *child, const struct image *parent)
{
	char *text = describe_mismatch(child, parent);

	report(child->file.name, "%s; its content there may be wrong", text);
	free(text);
}

/**
 * parents_refuse_mismatch() - refuse a parent that is not the right one
 * @child: the image
 * @parent: its parent
 *
 * Return: -1.
 */
int parents_refuse_mismatch(const struct image *child, const struct image *parent)
{
	char *text = describe_mismatch(child, parent);

	report(child->file.name, "%s; restore that, or take this one with --allow-parent-mismatch",
	       text);
	free(text);
	return -1;
}
