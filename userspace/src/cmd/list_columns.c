// SPDX-License-Identifier: GPL-2.0
/*
 * The columns of qcowctl list.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/list.h"
#include "device/attached.h"
#include "device/in_use.h"
#include "export/exports.h"
#include "lib/child.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

static char *text_of_size(const struct row *r, u64 bytes)
{
	char buf[32];

	if (r->json || r->bytes)
		return xasprintf("%llu", (unsigned long long)bytes);
	text_size(buf, sizeof(buf), bytes);
	return xstrdup(buf);
}

static char *cell_name(const struct row *r)
{
	return xasprintf("%sqcow%d", r->json ? "/dev/" : "", r->index);
}

static char *cell_size(const struct row *r)
{
	u64 sectors;

	if (!sysfs_read_u64(&sectors, "/sys/block/qcow%d/size", r->index))
		return NULL;
	return text_of_size(r, sectors * SZ_512);
}

/* Make a cell of @bytes, which the image's author chose, and free them. */
static char *cell_text(const struct row *r, char *bytes)
{
	char *text = bytes ? text_shown(bytes, r->json) : NULL;

	free(bytes);
	return text;
}

static char *cell_snapshot(const struct row *r)
{
	return cell_text(r, sysfs_attr(r->index, "snapshot"));
}

static char *cell_parent(const struct row *r)
{
	char *parent = sysfs_parent(r->index), *text = NULL;

	if (parent)
		text = xasprintf("%s%s", r->json ? "/dev/" : "", parent);
	free(parent);
	return text;
}

/* Where the path leads that the driver shows of an image. */
enum path_state {
	PATH_UNKNOWN,
	PATH_NAMED,
	PATH_DELETED,
	PATH_REPLACED,
	PATH_UNREACHABLE,
};

/**
 * struct path_question - a path, whose target is looked for
 * @index: the N of /dev/qcowN
 * @path: the path that the driver shows
 */
struct path_question {
	int index;
	const char *path;
};

static int path_looked_up(const void *arg)
{
	const struct path_question *q = arg;
	bool is, known;
	int fd;

	fd = open(q->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return PATH_UNREACHABLE;
	is = attached_is_image(q->index, fd, &known);
	close(fd);
	if (!known)
		return PATH_UNKNOWN;
	return is ? PATH_NAMED : PATH_REPLACED;
}

static enum path_state path_leads_to(int index, const char *path)
{
	const struct path_question question = { .index = index, .path = path };
	int state = child_ask(path_looked_up, &question, NULL);

	return state < 0 ? PATH_UNKNOWN : state;
}

/* The kernel adds " (deleted)" to the path of a file that was. */
static enum path_state path_state(const struct row *r, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path), n = sizeof(deleted) - 1;
	enum path_state state = PATH_UNKNOWN;

	/* A device that goes may wait for the very filesystem that has the path. */
	if (r->known && !(r->status.state & QCOW_STATE_GOING))
		state = path_leads_to(r->index, path);
	if (state != PATH_NAMED && len > n && !strcmp(path + len - n, deleted))
		return PATH_DELETED;
	return state;
}

static char *cell_image(const struct row *r)
{
	char *path = sysfs_attr(r->index, "image");
	const char *more = "";
	char *text;

	if (!path || r->json)
		return cell_text(r, path);
	switch (path_state(r, path)) {
	case PATH_REPLACED:
		more = " (another file now)";
		break;
	case PATH_UNREACHABLE:
		more = " (not found by that name)";
		break;
	default:
		break;
	}
	text = text_shown(path, false);
	free(path);
	path = xasprintf("%s%s%s", text, more, sysfs_temporary(r->index) ? " (temporary)" : "");
	free(text);
	return path;
}

static char *cell_image_state(const struct row *r)
{
	static const char *const names[] = {
		[PATH_UNKNOWN] = "unknown",
		[PATH_NAMED] = "named",
		[PATH_DELETED] = "deleted",
		[PATH_REPLACED] = "replaced",
		[PATH_UNREACHABLE] = "unreachable",
	};
	char *path = sysfs_attr(r->index, "image");
	enum path_state state = path ? path_state(r, path) : PATH_UNKNOWN;

	free(path);
	return xstrdup(names[state]);
}

static char *cell_mountpoints(const struct row *r)
{
	char **list = in_use_mountpoints(r->index);
	char *text = NULL;
	char *more, *path;
	size_t i;

	for (i = 0; list[i]; i++) {
		path = text_shown(list[i], r->json);
		more = xasprintf("%s%s%s", text ? text : "", text ? "\n" : "", path);
		free(path);
		free(text);
		text = more;
	}
	in_use_free_mountpoints(list);
	return text;
}

static char *cell_export(const struct row *r)
{
	return cell_text(r, exports_names(r->index));
}

static char *cell_state(const struct row *r)
{
	u32 state = r->status.state;
	const char *corrupt = state & QCOW_STATE_CORRUPT ? "corrupt" : "";
	const char *leaves = "";

	if (!r->known)
		return NULL;
	if (state & QCOW_STATE_GOING)
		leaves = "going";
	else if (state & QCOW_STATE_LAZY)
		leaves = "lazy";
	if (!*corrupt && !*leaves)
		return xstrdup("ok");
	return xasprintf("%s%s%s", corrupt, *corrupt && *leaves ? "," : "", leaves);
}

static char *cell_cluster(const struct row *r)
{
	return r->known ? text_of_size(r, r->status.cluster_size) : NULL;
}

static char *cell_cache(const struct row *r)
{
	return r->known ? text_of_size(r, r->status.cache_size) : NULL;
}

/**
 * list_cell() - the text of a cell
 * @c: its column
 * @r: its line
 *
 * Return: the text, to be freed, or NULL: there is nothing to show.
 */
char *list_cell(const struct column *c, const struct row *r)
{
	return c->attr ? sysfs_read("/sys/block/qcow%d/%s", r->index, c->attr) :
			 c->text(r);
}

/* A column of text, and one of numbers; 1 in JSON is true in a column of truths. */
#define TEXT		.width = 5, .type = CELL_STRING
#define NUMBER		.width = 5, .flags = SCOLS_FL_RIGHT, .type = CELL_NUMBER
#define DIGITS		.width = 1, .flags = SCOLS_FL_RIGHT, .type = CELL_NUMBER
#define TRUTH		.width = 1, .flags = SCOLS_FL_RIGHT, .type = CELL_BOOLEAN
#define DEFAULT		.by_default = true

const struct column list_columns[] = {
	{ "NAME", DEFAULT, .width = 0.1, .type = CELL_STRING, .text = cell_name },
	{ "SIZE", DEFAULT, NUMBER, .text = cell_size },
	{ "FORMAT", DEFAULT, TEXT, .attr = "qcow/format" },
	{ "RO", DEFAULT, TRUTH, .attr = "ro" },
	{ "DEPTH", DEFAULT, DIGITS, .attr = "qcow/depth" },
	{ "OPEN", DEFAULT, DIGITS, .attr = "qcow/openers" },
	{ "IMAGE", DEFAULT, .width = 0.3, .type = CELL_STRING, .text = cell_image },
	{ "MOUNTPOINTS", DEFAULT, .width = 0.2, .flags = SCOLS_FL_WRAP,
	  .type = CELL_MOUNTPOINTS, .text = cell_mountpoints },
	{ "MAJ:MIN", .width = 5, .flags = SCOLS_FL_RIGHT, .type = CELL_STRING, .attr = "dev" },
	{ "OFFSET", NUMBER, .attr = "qcow/offset" },
	{ "DIRECT", TRUTH, .attr = "qcow/direct_io" },
	{ "TEMPORARY", TRUTH, .attr = "qcow/temporary" },
	{ "AUTOCLEAR", TRUTH, .attr = "qcow/autoclear" },
	{ "CORRUPT", TRUTH, .attr = "qcow/corrupt" },
	{ "STATE", TEXT, .text = cell_state },
	{ "CLUSTER", NUMBER, .text = cell_cluster },
	{ "CACHE", NUMBER, .text = cell_cache },
	{ "SNAPSHOT", TEXT, .text = cell_snapshot },
	{ "PARENT", TEXT, .text = cell_parent },
	{ "IMAGE-STATE", TEXT, .text = cell_image_state },
	{ "ALIAS", TEXT, .attr = "qcow/alias" },
	{ "EXPORT", TEXT, .text = cell_export },
	{ "LOG-SEC", NUMBER, .attr = "queue/logical_block_size" },
	{ }
};
