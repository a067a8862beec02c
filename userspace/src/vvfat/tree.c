// SPDX-License-Identifier: GPL-2.0
/*
 * The files of a folder that is shown as a disk. All of them lie below it: links that lead
 * out of it are not followed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/text.h"
#include "vvfat/tree.h"

/* Files that are named one by one if they are left out or renamed. */
#define NOTES_MAX	20

static int scan_folder(struct tree *t, struct node *n, int fd);

static int open_beneath(const struct tree *t, const char *path, int flags)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return syscall(SYS_openat2, t->fd, path, &how, sizeof(how));
}

/**
 * tree_path() - the path of a file below the whole folder
 * @n: the file
 *
 * Return: it, to be freed.
 */
char *tree_path(const struct node *n)
{
	char *above, *path;

	if (n->target)
		return xstrdup(n->target);
	if (!n->parent)
		return xstrdup(".");
	if (!n->parent->parent)
		return xstrdup(n->name);
	above = tree_path(n->parent);
	path = xasprintf("%s/%s", above, n->name);
	free(above);
	return path;
}

/**
 * tree_shown_path() - the path of a file for people
 * @t: the tree
 * @n: the file
 *
 * Return: it, not escaped, to be freed.
 */
char *tree_shown_path(const struct tree *t, const struct node *n)
{
	char *path, *shown;
	size_t len = strlen(t->name);

	if (!n->parent)
		return xstrdup(t->name);
	path = tree_path(n);
	shown = xasprintf("%s%s%s", t->name, len && t->name[len - 1] == '/' ? "" : "/", path);
	free(path);
	return shown;
}

/**
 * tree_note() - tell the user about a file that is not shown as it is
 * @t: the tree
 * @n: the file
 * @fmt: printf format of the text
 */
void tree_note(struct tree *t, const struct node *n, const char *fmt, ...)
{
	char *path, *text;
	va_list args;

	if (t->nr_notes++ >= NOTES_MAX)
		return;
	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	path = tree_shown_path(t, n);
	report(path, "%s", text);
	free(path);
	free(text);
}

/**
 * tree_end_notes() - tell the user how many notes were left out
 * @t: the tree
 */
void tree_end_notes(const struct tree *t)
{
	if (t->nr_notes > NOTES_MAX)
		report(t->name, "%u more files are left out or have other names",
		       t->nr_notes - NOTES_MAX);
}

/* --- A file --- */

/* The rest of an absolute link that leads into the folder, or NULL. */
static char *target_inside(const struct tree *t, const char *path)
{
	char target[PATH_MAX];
	size_t len = strlen(t->path);
	ssize_t n = readlinkat(t->fd, path, target, sizeof(target) - 1);

	if (n < 0)
		return NULL;
	target[n] = '\0';
	len -= t->path[len - 1] == '/';
	if (strncmp(target, t->path, len) || target[len] != '/')
		return NULL;
	while (target[len] == '/')
		len++;
	return xstrdup(target[len] ? target + len : ".");
}

/* Find a file, through a link to an absolute path too. Its target is set then. */
static int look_up(const struct tree *t, struct node *n, struct stat *st)
{
	char *path = tree_path(n);
	int fd = open_beneath(t, path, O_PATH), err;

	if (fd < 0 && errno == EXDEV) {
		n->target = target_inside(t, path);
		errno = EXDEV;
		if (n->target)
			fd = open_beneath(t, n->target, O_PATH);
	}
	free(path);
	if (fd < 0)
		return -errno;
	err = fstat(fd, st) ? -errno : 0;
	close(fd);
	return err;
}

/**
 * tree_open() - open a file for reading
 * @t: the tree
 * @n: the file
 *
 * Return: its descriptor, or a negative errno, also if another file is in its place.
 */
int tree_open(const struct tree *t, const struct node *n)
{
	char *path = tree_path(n);
	int fd = open_beneath(t, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	int err = fd < 0 ? -errno : 0;
	struct stat st;

	free(path);
	if (err)
		return err;
	if (fstat(fd, &st) || st.st_dev != n->dev || st.st_ino != n->ino) {
		close(fd);
		return -ESTALE;
	}
	fcntl(fd, F_SETFL, 0);
	return fd;
}

static bool is_above(const struct node *n, const struct stat *st)
{
	for (n = n->parent; n; n = n->parent)
		if (n->dev == st->st_dev && n->ino == st->st_ino)
			return true;
	return false;
}

static const char *reason_to_skip(int err)
{
	switch (err) {
	case -EXDEV:
		return "it is a link that leads out of the folder";
	case -ELOOP:
		return "it is a link in a circle";
	case -ENOENT:
		return "it is a link to nothing";
	case -EACCES:
		return "it is not readable";
	}
	return strerror(-err);
}

static void fill(struct node *n, const struct stat *st)
{
	n->is_folder = S_ISDIR(st->st_mode);
	n->read_only = !(st->st_mode & 0222);
	n->size = n->is_folder ? 0 : st->st_size;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->mtime = st->st_mtime;
}

static void free_node(struct node *n)
{
	u32 i;

	for (i = 0; i < n->nr_children; i++)
		free_node(n->children[i]);
	free(n->children);
	free(n->long_name);
	free(n->target);
	free(n->name);
	free(n);
}

static void skip(struct tree *t, struct node *n, const char *reason)
{
	tree_note(t, n, "is left out, as %s", reason);
	free_node(n);
}

/* A file may be there, and not be for us to read. */
static int keep(struct tree *t, struct node *n)
{
	struct node *parent = n->parent;
	int fd = tree_open(t, n);

	if (fd < 0) {
		skip(t, n, reason_to_skip(fd));
		return 0;
	}
	if (++t->nr_nodes > TREE_NODES_MAX) {
		report(t->name, "has more than %u files, which is too much for a disk; take a smaller folder",
		       TREE_NODES_MAX);
		close(fd);
		free_node(n);
		return -1;
	}
	parent->children[parent->nr_children++] = n;
	if (n->is_folder)
		return scan_folder(t, n, fd);
	close(fd);
	return 0;
}

static int add_child(struct tree *t, struct node *parent, const char *name)
{
	struct node *n = xcalloc(1, sizeof(*n));
	struct stat st;
	int err;

	n->name = xstrdup(name);
	n->parent = parent;
	n->depth = parent->depth + 1;
	err = look_up(t, n, &st);
	if (err) {
		skip(t, n, reason_to_skip(err));
		return 0;
	}
	fill(n, &st);
	if (n->is_folder && n->depth > TREE_DEPTH_MAX) {
		skip(t, n, "it is a folder in too many others");
		return 0;
	}
	if (n->is_folder && is_above(n, &st)) {
		skip(t, n, "it is a link to a folder that it is in");
		return 0;
	}
	if (!n->is_folder && !S_ISREG(st.st_mode)) {
		skip(t, n, "it is a device, a pipe or a socket");
		return 0;
	}
	return keep(t, n);
}

/* --- A folder --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **read_names(DIR *dir, u32 *nr)
{
	char **names = NULL;
	struct dirent *d;

	for (*nr = 0; (d = readdir(dir));) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (!(*nr & (*nr - 1)))
			names = xrealloc(names, (*nr ? 2 * (size_t)*nr : 1) * sizeof(*names));
		names[(*nr)++] = xstrdup(d->d_name);
	}
	return names;
}

/* Scan a folder, and close its descriptor before those in it are opened. */
static int scan_folder(struct tree *t, struct node *n, int fd)
{
	DIR *dir = fdopendir(fd);
	int err = 0;
	u32 nr, i;
	char **names;

	if (!dir) {
		close(fd);
		tree_note(t, n, "is shown empty: %s", strerror(errno));
		return 0;
	}
	names = read_names(dir, &nr);
	closedir(dir);
	if (nr)
		qsort(names, nr, sizeof(*names), compare_names);
	n->children = xcalloc(nr ? nr : 1, sizeof(struct node *));
	for (i = 0; i < nr; i++) {
		if (!err)
			err = add_child(t, n, names[i]);
		free(names[i]);
	}
	free(names);
	return err;
}

/**
 * tree_scan() - look at all files of a folder
 * @t: the result; tree_free() it, after a failure too
 * @folder: its path
 *
 * Return: 0, or -1 after printing an error.
 */
int tree_scan(struct tree *t, const char *folder)
{
	struct stat st;

	memset(t, 0, sizeof(*t));
	t->name = folder;
	t->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0 && errno == ENOTDIR) {
		report(folder, "is no folder, and vvfat shows a folder as a disk; name a folder, or give another format");
		return -1;
	}
	if (t->fd < 0 || fstat(t->fd, &st)) {
		report(folder, "%s", strerror(errno));
		return -1;
	}
	t->path = realpath(folder, NULL);
	if (!t->path) {
		report(folder, "%s", strerror(errno));
		return -1;
	}
	t->root = xcalloc(1, sizeof(*t->root));
	t->root->name = xstrdup("");
	fill(t->root, &st);
	t->nr_nodes = 1;
	return scan_folder(t, t->root, open_beneath(t, ".", O_RDONLY | O_DIRECTORY));
}

/**
 * tree_free() - forget the files of a folder
 * @t: the tree
 */
void tree_free(struct tree *t)
{
	if (t->root)
		free_node(t->root);
	if (t->fd >= 0)
		close(t->fd);
	free(t->path);
}
