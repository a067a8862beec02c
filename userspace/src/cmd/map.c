// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl map: where in which file of a chain the bytes of a disk lie, as a table
 * or as the JSON that qemu-img map prints.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/bitmap.h"
#include "cmd/command.h"
#include "cmd/image_options.h"
#include "cmd/map.h"
#include "cmd/plot.h"
#include "device/which.h"
#include "image/chain_device.h"
#include "lib/json.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/**
 * struct map - the arguments of the command line, and the map as it is made
 * @json: print JSON
 * @format: &enum qcow_format, 0: probe
 * @allow_mismatch: as of &struct chain_options
 * @expand_max: as of &struct chain_options
 * @bitmap: name of the bitmap to show, or NULL
 * @drawn: draw a picture
 * @svg: the file of the picture; NULL: draw it on standard output
 * @name: the image or device
 * @plot: the picture, or NULL
 * @chain: the images
 * @layers: one for each
 * @digits: columns of the table for a byte's number
 * @lines: printed so far
 */
struct map {
	bool json;
	u32 format;
	bool allow_mismatch;
	u64 expand_max;
	const char *bitmap;
	bool drawn;
	const char *svg;
	const char *name;
	struct plot *plot;
	struct chain chain;
	struct map_layer *layers;
	int digits;
	u64 lines;
};

/* --- Printing --- */

static const char *kind_of(const struct map_entry *n)
{
	if (n->e.compressed)
		return "compressed";
	if (n->e.data)
		return n->e.zero ? "unwritten" : "data";
	return n->present ? "zero" : "none";
}

static const char *true_false(bool b)
{
	return b ? "true" : "false";
}

/* Unlike qemu-img map, as the data of such an image may lie in any of several files. */
static void print_json_file(const struct file *f)
{
	fputs(", \"filename\": ", stdout);
	json_print_value(json_text(f->name));
}

static void print_json(const struct map *m, const struct map_entry *n)
{
	printf("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s",
	       m->lines ? ",\n" : "[", (unsigned long long)n->e.start,
	       (unsigned long long)n->e.length, n->depth,
	       true_false(n->present), true_false(n->e.zero),
	       true_false(n->e.data));
	if (n->e.mapped)
		printf(", \"offset\": %llu", (unsigned long long)n->e.host_offset);
	if (n->e.data && map_layer_has_files(map_layer_at(m->layers, n->depth)))
		print_json_file(n->e.file);
	putchar('}');
}

static void print_line(const struct map *m, const struct map_entry *n)
{
	char *name;

	printf("%*llu %*llu %5u %-10s", m->digits,
	       (unsigned long long)n->e.start, m->digits,
	       (unsigned long long)n->e.length, n->depth, kind_of(n));
	if (n->e.mapped) {
		name = text_escape(n->e.file->name);
		printf(" %*llu %s", m->digits, (unsigned long long)n->e.host_offset,
		       name);
		free(name);
	}
	putchar('\n');
}

static enum plot_kind plot_kind_of(const struct map_entry *n)
{
	if (n->e.compressed)
		return PLOT_COMPRESSED;
	if (n->e.data && n->e.zero)
		return PLOT_UNWRITTEN;
	if (n->e.data)
		return n->depth ? PLOT_BACKING : PLOT_DATA;
	return n->present ? PLOT_ZERO : PLOT_NONE;
}

static void print_entry(struct map *m, const struct map_entry *n)
{
	if (m->plot)
		plot_add(m->plot, n->e.start, n->e.length, plot_kind_of(n));
	else if (m->json)
		print_json(m, n);
	else if (n->e.length)
		print_line(m, n);
	m->lines++;
}

/* Wide enough for every byte's number there may be, as lines go out at once. */
static int count_digits(const struct map *m)
{
	u64 most = map_layer_size(m->layers);
	int digits = 6;
	u32 i;

	for (i = 0; i < m->chain.nr; i++)
		if (map_layer_longest(map_layer_at(m->layers, i)) > most)
			most = map_layer_longest(map_layer_at(m->layers, i));
	while (digits < 20 && most >= 1000000) {
		most /= 10;
		digits++;
	}
	return digits;
}

static void print_start(struct map *m)
{
	m->digits = count_digits(m);
	if (m->drawn)
		m->plot = plot_new(m->name, map_layer_size(m->layers), m->svg);
	else if (!m->json)
		printf("%*s %*s DEPTH %-10s %*s FILE\n", m->digits, "START",
		       m->digits, "LENGTH", "TYPE", m->digits, "OFFSET");
}

/* --- Making the map --- */

static bool entry_continues(const struct map_entry *a, const struct map_entry *b)
{
	return a->depth == b->depth && a->present == b->present &&
	       a->e.data == b->e.data && a->e.zero == b->e.zero &&
	       a->e.compressed == b->e.compressed &&
	       a->e.mapped == b->e.mapped &&
	       a->e.file == b->e.file &&
	       (!a->e.mapped || a->e.host_offset + a->e.length == b->e.host_offset);
}

static int print_map(struct map *m)
{
	u64 size = map_layer_size(m->layers), start = 0;
	struct map_entry now = { }, next;

	print_start(m);
	if (!m->plot)
		progress_beside_output();
	while (start < size && !ferror(stdout)) {
		if (map_find(m->layers, m->chain.nr, start, &next))
			return -1;
		start += next.e.length;
		progress("Mapping", start, size);
		if (now.e.length && entry_continues(&now, &next)) {
			now.e.length += next.e.length;
			continue;
		}
		if (now.e.length)
			print_entry(m, &now);
		now = next;
	}
	print_entry(m, &now);
	progress_end();
	if (m->plot)
		return plot_draw(m->plot);
	if (m->json)
		puts("]");
	return 0;
}

/* Entries are not encrypted: no key is needed for them. */
static int check_supported(const struct chain *c)
{
	struct qcow_msg msg = { };
	u32 i;
	int err;

	for (i = 0; i < c->nr; i++) {
		if (!image_has_tables(&c->images[i]))
			continue;
		err = qcow_header_supported(&c->images[i].header, &msg);
		if (err) {
			report_msg(c->images[i].file.name, err, &msg);
			return -1;
		}
	}
	return 0;
}

/* Of the chain in @m, which is closed. */
static int map_chain(struct map *m)
{
	int err = check_supported(&m->chain);

	if (!err) {
		m->layers = map_layers_new(&m->chain);
		err = print_map(m);
		if (m->plot)
			plot_free(m->plot);
		map_layers_free(m->layers, m->chain.nr);
	}
	chain_close(&m->chain);
	return !!err;
}

static int map_image(struct map *m, const char *name)
{
	const struct chain_options wanted = {
		.format = m->format,
		.guess_raw = true,
		.allow_mismatch = m->allow_mismatch,
		.want = PARSE_TABLE,
		.expand_max = m->expand_max,
	};

	if (!chain_open(&m->chain, name, &wanted))
		return map_chain(m);
	chain_close(&m->chain);
	return 1;
}

/* Have the driver write its dirty data and tables. */
static int sync_device(int index)
{
	char *name = xasprintf("/dev/qcow%d", index);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd);

	if (err)
		report(name, "cannot sync: %s; see the kernel log", strerror(errno));
	if (fd >= 0)
		close(fd);
	free(name);
	return err ? -1 : 0;
}

/* The tables that are walked are those of the disk as it is now. */
static int check_current(int index)
{
	char *snapshot = sysfs_attr(index, "snapshot");
	bool current = !snapshot || !snapshot[0];
	char *name;

	if (!current) {
		name = xasprintf("/dev/qcow%d", index);
		report(name, "shows snapshot %s of its image, and map knows the disk as it is now; copy it with qemu-img convert -l, and map that",
		       snapshot);
		free(name);
	}
	free(snapshot);
	return current ? 0 : -1;
}

static int map_device(struct map *m, const char *name)
{
	const struct chain_options wanted = { .want = PARSE_TABLE };
	struct device d;

	if (which_device(&d, name) || check_current(d.index) || sync_device(d.index))
		return 1;
	if (!chain_open_device(&m->chain, -1, &d, &wanted))
		return map_chain(m);
	chain_close(&m->chain);
	return 1;
}

static int run_map(void *options, int argc, char **argv)
{
	struct map *m = options;
	int index;

	(void)argc;
	m->name = argv[0];
	if (m->drawn && (m->json || m->bitmap)) {
		report("map", "--plot goes with neither --json nor --bitmap");
		return 1;
	}
	if (m->bitmap)
		return bitmap_map(argv[0], m->format, m->bitmap, m->json);
	if (which_or_image(argv[0], &index))
		return 1;
	return index >= 0 ? map_device(m, argv[0]) : map_image(m, argv[0]);
}

static int parse_plot(void *options, const char *arg)
{
	struct map *m = options;

	if (arg && (strlen(arg) < 4 || strcmp(arg + strlen(arg) - 4, ".svg"))) {
		report("--plot", "takes a name that ends in .svg, or none");
		return -1;
	}
	m->drawn = true;
	m->svg = arg;
	return 0;
}

static const struct option_spec options[] = {
	OPTION_JSON(struct map, json, "print JSON, equal to that of qemu-img map"),
	{
		.name = "bitmap", .arg = " NAME",
		.help = "show the parts that a bitmap says were written",
		.parse = option_text, .field = offsetof(struct map, bitmap),
	},
	{
		.name = "plot", .arg = "[=FILE.svg]", .values = VALUE_FILE,
		.help = "draw a picture of the disk, on standard output or as SVG",
		.parse = parse_plot,
	},
	OPTION_FORMAT(struct map, format,
		      "the format of the image; probe it if not given"),
	OPTION_ALLOW_PARENT_MISMATCH(struct map, allow_mismatch),
	OPTION_EXPAND_MAX(struct map, expand_max),
	OPTION_PROGRESS,
	{ }
};

const struct command map_command = {
	.name = "map",
	.summary = "show where the bytes of a disk lie",
	.usage =
		"Usage: qcowctl map [options] IMAGE|DEVICE\n"
		"\n"
		"Show which bytes of a disk lie where in an image and its backing files, of an\n"
		"image or of an attached device's.\n",
	.options = options,
	.size = sizeof(struct map),
	.one_operand = "one image or device",
	.run = run_map,
};
