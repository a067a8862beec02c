// SPDX-License-Identifier: GPL-2.0
/*
 * A picture of a disk, on a terminal or as SVG.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/plot.h"
#include "lib/memory.h"
#include "lib/report.h"
#include "lib/text.h"

/* Characters of a line of a terminal, if it does not tell; and bounds of that */
#define WIDTH_DEFAULT	80
#define WIDTH_MIN	40
#define WIDTH_MAX	256

/* Characters before and behind the cells of a line */
#define MARGIN		10

/* The most lines of cells */
#define ROWS		16

/* SVG: cells of a row, most rows, and the size of a cell in pixels */
#define SVG_COLUMNS	64
#define SVG_ROWS	64
#define SVG_CELL	10U
#define SVG_LINE	18

/**
 * struct plot - a picture
 * @name: of the image or device
 * @file: of the SVG to write; NULL: draw on standard output
 * @size: bytes of the disk
 * @bytes: of each kind
 * @columns: cells in a row
 * @cell: bytes of a cell, a power of two
 * @nr: number of cells
 * @cells: bytes of each kind in each cell
 */
struct plot {
	const char *name;
	const char *file;
	u64 size;
	u64 bytes[PLOT_KINDS];
	u32 columns;
	u64 cell;
	size_t nr;
	u64 (*cells)[PLOT_KINDS];
};

static const struct {
	const char *name;
	const char *block;
	char letter;
	u8 colour;
	const char *svg;
} looks[PLOT_KINDS] = {
	[PLOT_DATA] = { "data", "█", '#', 32, "#2a9d4e" },
	[PLOT_COMPRESSED] = { "compressed", "▓", 'c', 35, "#9b51b6" },
	[PLOT_BACKING] = { "backing file", "▒", 'b', 34, "#3f7fd0" },
	[PLOT_UNWRITTEN] = { "unwritten", "░", 'u', 33, "#d9b13b" },
	[PLOT_ZERO] = { "zeros", "0", '0', 36, "#9fd6d9" },
	[PLOT_NONE] = { "nothing", "·", '.', 90, "#e8e8e8" },
};

static u32 terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;
	long width = WIDTH_DEFAULT;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col)
		width = w.ws_col;
	else if (columns && atoi(columns) > 0)
		width = atoi(columns);
	if (width < WIDTH_MIN)
		return WIDTH_MIN;
	return width < WIDTH_MAX ? width : WIDTH_MAX;
}

/**
 * plot_new() - begin a picture
 * @name: the image or device, which stays
 * @size: bytes of its disk
 * @file: the SVG to write, which stays; NULL: draw on standard output
 *
 * Return: the picture.
 */
struct plot *plot_new(const char *name, u64 size, const char *file)
{
	struct plot *p = xcalloc(1, sizeof(*p));
	u64 most;

	p->name = name;
	p->file = file;
	p->size = size;
	p->columns = file ? SVG_COLUMNS : terminal_width() - MARGIN;
	most = (u64)p->columns * (file ? SVG_ROWS : ROWS);
	p->cell = SZ_512;
	while ((size + p->cell - 1) / p->cell > most)
		p->cell *= 2;
	p->nr = (size + p->cell - 1) / p->cell;
	p->cells = xcalloc(p->nr + 1, sizeof(*p->cells));
	return p;
}

/**
 * plot_add() - tell a picture of a part of the disk
 * @p: the picture
 * @start: byte at which it begins
 * @length: bytes, not beyond the disk's end
 * @kind: its content
 */
void plot_add(struct plot *p, u64 start, u64 length, enum plot_kind kind)
{
	u64 n;

	p->bytes[kind] += length;
	for (; length; start += n, length -= n) {
		n = min(length, p->cell - start % p->cell);
		p->cells[start / p->cell][kind] += n;
	}
}

/*
 * A cell looks like most of its stored bytes: a little data in a large cell is seen, too.
 */
static enum plot_kind cell_kind(const u64 *cell)
{
	u32 most = PLOT_DATA, kind;

	for (kind = PLOT_DATA; kind <= PLOT_UNWRITTEN; kind++)
		if (cell[kind] > cell[most])
			most = kind;
	if (cell[most])
		return most;
	return cell[PLOT_ZERO] > cell[PLOT_NONE] ? PLOT_ZERO : PLOT_NONE;
}

static enum plot_kind kind_at(const struct plot *p, size_t i)
{
	return cell_kind(p->cells[i]);
}

/* --- On a terminal --- */

/**
 * struct style - how kinds look on this terminal
 * @blocks: it has the characters for that
 * @colours: it has colours
 */
struct style {
	bool blocks;
	bool colours;
};

static void draw_mark(const struct style *style, enum plot_kind kind)
{
	if (style->blocks)
		fputs(looks[kind].block, stdout);
	else
		putchar(looks[kind].letter);
}

static void begin_colour(const struct style *style, enum plot_kind kind)
{
	if (style->colours)
		printf("\033[%dm", looks[kind].colour);
}

static void end_colour(const struct style *style)
{
	if (style->colours)
		fputs("\033[0m", stdout);
}

static void draw_row(const struct plot *p, const struct style *style, size_t first)
{
	size_t end = min(first + p->columns, p->nr), i;
	char at[32];

	text_size(at, sizeof(at), first * p->cell);
	printf("%7s ", at);
	for (i = first; i < end; i++) {
		if (i == first || kind_at(p, i) != kind_at(p, i - 1))
			begin_colour(style, kind_at(p, i));
		draw_mark(style, kind_at(p, i));
	}
	end_colour(style);
	putchar('\n');
}

static void draw_legend(const struct plot *p, const struct style *style)
{
	char bytes[32];
	u32 kind;

	for (kind = 0; kind < PLOT_KINDS; kind++) {
		if (!p->bytes[kind])
			continue;
		text_size(bytes, sizeof(bytes), p->bytes[kind]);
		fputs("      ", stdout);
		begin_colour(style, kind);
		draw_mark(style, kind);
		end_colour(style);
		printf(" %s %s\n", looks[kind].name, bytes);
	}
}

static void draw_text(const struct plot *p)
{
	const struct style style = {
		.blocks = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
	};
	char size[32], cell[32], *name = text_escape(p->name);
	size_t i;

	text_size(size, sizeof(size), p->size);
	text_size(cell, sizeof(cell), p->cell);
	printf("%s: a disk of %s, %s a character\n", name, size, cell);
	free(name);
	for (i = 0; i < p->nr; i += p->columns)
		draw_row(p, &style, i);
	draw_legend(p, &style);
}

/* --- As SVG --- */

/* Print text that others wrote as part of an XML document. */
static void print_xml(const char *text, FILE *to)
{
	char *shown = text_utf8(text), *escaped = text_escape(shown);
	const char *s;

	for (s = escaped; *s; s++) {
		if (strchr("<>&\"'", *s))
			fprintf(to, "&#%d;", *s);
		else
			fputc(*s, to);
	}
	free(escaped);
	free(shown);
}

/* Cells that look alike and lie side by side are one rectangle. */
static void svg_row(const struct plot *p, size_t first, u32 y, FILE *to)
{
	size_t end = min(first + p->columns, p->nr), i, run_start = first;

	for (i = first; i < end; i++) {
		if (i + 1 < end && kind_at(p, i + 1) == kind_at(p, run_start))
			continue;
		fprintf(to, "<rect x=\"%zu\" y=\"%u\" width=\"%zu\" height=\"%u\" fill=\"%s\"/>\n",
			(run_start - first) * SVG_CELL, y, (i + 1 - run_start) * SVG_CELL,
			SVG_CELL - 1, looks[kind_at(p, run_start)].svg);
		run_start = i + 1;
	}
}

static void svg_legend(const struct plot *p, u32 y, FILE *to)
{
	char bytes[32];
	u32 kind;

	for (kind = 0; kind < PLOT_KINDS; kind++) {
		if (!p->bytes[kind])
			continue;
		text_size(bytes, sizeof(bytes), p->bytes[kind]);
		fprintf(to, "<rect x=\"0\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n",
			y, SVG_CELL, SVG_CELL, looks[kind].svg);
		fprintf(to, "<text x=\"%u\" y=\"%u\">%s %s</text>\n", 2 * SVG_CELL,
			y + SVG_CELL, looks[kind].name, bytes);
		y += SVG_LINE;
	}
}

static void draw_svg(const struct plot *p, FILE *to)
{
	u32 rows = (p->nr + p->columns - 1) / p->columns;
	u32 height = rows * SVG_CELL + (PLOT_KINDS + 2) * SVG_LINE;
	char size[32], cell[32];
	u32 row;

	text_size(size, sizeof(size), p->size);
	text_size(cell, sizeof(cell), p->cell);
	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"12\">\n",
		p->columns * SVG_CELL, height);
	fputs("<text x=\"0\" y=\"12\">", to);
	print_xml(p->name, to);
	fprintf(to, ": a disk of %s, %s a cell</text>\n", size, cell);
	for (row = 0; row < rows; row++)
		svg_row(p, (size_t)row * p->columns, SVG_LINE + row * SVG_CELL, to);
	svg_legend(p, 2 * SVG_LINE + rows * SVG_CELL, to);
	fputs("</svg>\n", to);
}

/* An existing file is replaced if it is such a picture, and nothing else is. */
static bool may_replace(int fd)
{
	char start[5] = "";
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	return !st.st_size || (pread(fd, start, 4, 0) == 4 && !strcmp(start, "<svg"));
}

static int write_svg(const struct plot *p)
{
	int fd = open(p->file, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	FILE *to;
	int err;

	if (fd < 0) {
		report(p->file, "cannot be written: %s", strerror(errno));
		return -1;
	}
	if (!may_replace(fd)) {
		report(p->file, "exists and is no SVG, so it is not replaced; give another name");
		close(fd);
		return -1;
	}
	to = ftruncate(fd, 0) ? NULL : fdopen(fd, "w");
	if (to)
		draw_svg(p, to);
	err = !to || ferror(to);
	if (to ? fclose(to) : close(fd))
		err = 1;
	if (err)
		report(p->file, "cannot be written: %s", strerror(errno));
	return err ? -1 : 0;
}

/**
 * plot_draw() - draw a picture
 * @p: the picture
 *
 * Return: 0, or -1 after printing the error.
 */
int plot_draw(const struct plot *p)
{
	if (p->file)
		return write_svg(p);
	draw_text(p);
	return 0;
}

/**
 * plot_free() - free a picture
 * @p: the picture
 */
void plot_free(struct plot *p)
{
	free(p->cells);
	free(p);
}
