// SPDX-License-Identifier: GPL-2.0
/*
 * One image: its format, and its header if it has one.
 */
#include <stdlib.h>

#include "image/foreign_image.h"
#include "image/image.h"
#include "image/seems.h"
#include "lib/report.h"
#include "lib/text.h"

/* Enough for the fixed part of a header. */
#define START_BYTES	SZ_512

static const struct {
	const char *name;
	u32 format;
} formats[] = {
	{ "qcow2", QCOW_FORMAT_QCOW2 },
	{ "qcow", QCOW_FORMAT_QCOW },
	{ "raw", QCOW_FORMAT_RAW },
	/* QEMU's names of drivers that show a file's bytes as they are. */
	{ "file", QCOW_FORMAT_RAW },
	{ "host_device", QCOW_FORMAT_RAW },
};

/**
 * image_format() - look up a format
 * @name: as in a header's backing format
 *
 * Return: &enum qcow_format, or a number from IMAGE_FORMAT_FOREIGN on; 0 if it is not one
 *	that we know.
 */
u32 image_format(const char *name)
{
	const struct foreign_format *format;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (!strcmp(name, formats[i].name))
			return formats[i].format;
	for (i = 0; (format = foreign_format_at(i)); i++)
		if (!strcmp(name, format->name))
			return IMAGE_FORMAT_FOREIGN + i;
	return 0;
}

/**
 * image_print_formats() - print the formats that only parsers know, for the completion
 * @to: where to
 */
void image_print_formats(FILE *to)
{
	const struct foreign_format *format;
	u32 i;

	for (i = 0; (format = foreign_format_at(i)); i++)
		fprintf(to, " %s", format->name);
}

/**
 * image_list_formats() - name all formats, for a message
 *
 * Return: the names, to be freed.
 */
char *image_list_formats(void)
{
	char *list = xstrdup("qcow2, qcow, raw"), *longer;
	const struct foreign_format *format;
	u32 i;

	for (i = 0; (format = foreign_format_at(i)); i++) {
		longer = xasprintf("%s%s%s", list, foreign_format_at(i + 1) ? ", " : " or ",
				   format->name);
		free(list);
		list = longer;
	}
	return list;
}

/**
 * image_parse_format() - the value of --format
 * @format: the result
 * @arg: the value; not QEMU's "file" and "host_device", which are for backing files
 *
 * Return: 0, or -1 after printing the error.
 */
int image_parse_format(u32 *format, const char *arg)
{
	char *shown, *names;

	if (strcmp(arg, "file") && strcmp(arg, "host_device")) {
		*format = image_format(arg);
		if (*format)
			return 0;
	}
	shown = text_escape(arg);
	names = image_list_formats();
	report("--format", "bad value \"%s\"; give %s", shown, names);
	free(names);
	free(shown);
	return -1;
}

/**
 * image_format_name() - name of a format
 * @format: from image_format()
 *
 * Return: its name.
 */
const char *image_format_name(u32 format)
{
	size_t i;

	if (format >= IMAGE_FORMAT_FOREIGN)
		return foreign_format_at(format - IMAGE_FORMAT_FOREIGN)->name;
	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].format == format)
			return formats[i].name;
	return "unknown";
}

/**
 * image_own_format_name() - name of the format of an image
 * @img: loaded, or at least its format is known
 *
 * Return: its name.
 */
const char *image_own_format_name(const struct image *img)
{
	return img->foreign ? img->foreign->parsed.format->name :
			      image_format_name(img->format);
}

/**
 * image_full_name() - name of an image, with its member if it is in an archive
 * @img: loaded
 *
 * Return: the name, not escaped, to be freed.
 */
char *image_full_name(const struct image *img)
{
	return img->member ? xasprintf("%s:%s", img->file.name, img->member) :
			     xstrdup(img->file.name);
}

/* Reasons to take a file for a raw disk. */
static const char as_raw[] = "use -f raw";
static const char as_raw_backing[] = "say so there with qemu-img rebase -u -F raw";

/* A file that is no image of the format wanted may be something that can be named. */
static int refuse_foreign(const struct image *img, enum image_guess guess, int err,
			  const struct qcow_msg *msg)
{
	bool backing = guess == IMAGE_GUESS_BACKING;
	char *seems = seems_describe(&img->file, SEEMS_ALL, backing ? as_raw_backing : as_raw);

	if (backing)
		report(img->file.name, "not a qcow2 image, as the image above it says%s%s",
		       seems ? ": " : "; if it is a raw disk, ",
		       seems ? seems : as_raw_backing);
	else if (seems)
		report(img->file.name, "not a qcow2 image: %s", seems);
	else
		report_msg(img->file.name, err, msg);
	free(seems);
	return -1;
}

static int refuse(const struct image *img, enum image_guess guess, int err,
		  const struct qcow_msg *msg)
{
	if (msg->code == QCOW_MSG_FOREIGN)
		return refuse_foreign(img, guess, err, msg);
	report_msg(img->file.name, err, msg);
	return -1;
}

/*
 * No format was given, and the file has no magic of ours. Of a backing file only what
 * QEMU would recognize is refused, as to show its bytes as a disk would be wrong.
 */
static int take_for_raw(struct image *img, enum image_guess guess)
{
	char *seems = seems_describe(&img->file, guess == IMAGE_GUESS_BACKING ?
				     SEEMS_FORMATS : SEEMS_FILES, as_raw);

	if (seems) {
		report(img->file.name, "not a qcow2 image: %s", seems);
		free(seems);
		return -1;
	}
	img->format = QCOW_FORMAT_RAW;
	img->probed = true;
	return 0;
}

static void keep_parent(struct image *img)
{
	const struct parsed *p = &img->foreign->parsed;

	/* An identifier is no name. */
	if (!p->nr_parents || (p->disk.parent_by_id && !p->parents[0].is_member))
		return;
	img->backing = xstrdup(p->parents[0].name);
	if (p->parents[0].is_member)
		img->backing_path = xasprintf("%s:%s", img->file.name, img->backing);
}

/* The parser chooses the member if the archive has only one disk. */
static void keep_member(struct image *img)
{
	const char *member = parsed_text(&img->foreign->parsed, "member");

	if (member && !img->member)
		img->member = xstrdup(member);
}

static int load_foreign(struct image *img, const struct foreign_format *format,
			const struct foreign_image_how *how)
{
	int err;

	img->format = QCOW_FORMAT_MAP;
	err = foreign_image_load(&img->foreign, &img->file, format, how);
	if (!err) {
		keep_member(img);
		keep_parent(img);
	}
	return err;
}

/* The format of a file by its magic; of others than ours it is loaded at once. */
static int image_probe(struct image *img, const u8 *start, size_t len,
		       enum image_guess guess, const struct foreign_image_how *how)
{
	const struct foreign_format *format = NULL;
	u32 version = qcow_header_probe(start, len);
	struct qcow_msg msg = { };

	if (version) {
		img->format = version == 1 ? QCOW_FORMAT_QCOW : QCOW_FORMAT_QCOW2;
		img->probed = true;
		return 0;
	}
	if (how)
		format = guess == IMAGE_GUESS_BACKING ?
			 foreign_image_probe_backing(&img->file, how->child) :
			 foreign_image_probe(&img->file);
	if (format) {
		img->probed = true;
		return load_foreign(img, format, how);
	}
	if (guess == IMAGE_GUESS_NONE)
		return refuse(img, guess, qcow_header_cluster_size(start, len, &msg), &msg);
	return take_for_raw(img, guess);
}

/* The count in the bitmaps extension; without the feature bit it is stale. */
static u32 count_bitmaps(const struct qcow_header *h, const char *buf)
{
	__be32 nr;

	if (!(h->autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS) ||
	    h->bitmaps_len < sizeof(nr))
		return 0;
	memcpy(&nr, buf + h->bitmaps_in_header, sizeof(nr));
	return be32_to_cpu(nr);
}

/* Copy the names that a header points to out of its buffer. */
static void image_keep(struct image *img, const char *buf)
{
	const struct qcow_header *h = &img->header;

	if (h->backing_len)
		img->backing = xstrndup(buf + h->backing_in_header, h->backing_len);
	if (h->data_name_len)
		img->data_name = xstrndup(buf + h->data_name_in_header,
					  h->data_name_len);
	img->nr_bitmaps = count_bitmaps(h, buf);
}

static int image_parse(struct image *img, size_t cluster, enum image_guess guess)
{
	struct qcow_msg msg = { };
	char *buf = xcalloc(1, cluster);
	size_t len;
	int err;

	err = file_read(&img->file, buf, cluster, 0, &len);
	if (!err) {
		if (img->salvage)
			err = qcow_header_salvage(&img->header, buf, len, &msg);
		else
			err = qcow_header_parse(&img->header, buf, len,
						img->file.size, &msg);
		if (err)
			err = refuse(img, guess, err, &msg);
	}
	if (!err)
		image_keep(img, buf);
	free(buf);
	return err;
}

/* An image with a header that we parse. */
static int load_qcow(struct image *img, u32 format, enum image_guess guess,
		     const u8 *start, size_t len)
{
	struct qcow_msg msg = { };
	int size;

	if (format == QCOW_FORMAT_QCOW && qcow_header_probe(start, len) != 1) {
		report(img->file.name, "not a qcow version 1 image; use -f qcow2 or -f raw");
		return -1;
	}
	if (format == QCOW_FORMAT_QCOW2 && qcow_header_probe(start, len) == 1) {
		report(img->file.name, "is qcow version 1, not qcow2; use -f qcow");
		return -1;
	}
	size = qcow_header_cluster_size(start, len, &msg);
	if (size < 0)
		return refuse(img, guess, size, &msg);
	return image_parse(img, size, guess);
}

/**
 * image_is_foreign() - whether a file is probed as an image of a foreign format
 * @f: the file
 *
 * Return: whether it is; false if it cannot be read.
 */
bool image_is_foreign(const struct file *f)
{
	u8 start[START_BYTES];
	size_t len;

	return !file_read_quiet(f, start, sizeof(start), 0, &len) &&
	       !qcow_header_probe(start, len) && foreign_image_probe(f);
}

/**
 * image_load() - find out an image's format and read its header
 * @img: the image, its file open
 * @format: from image_format() if it is known, else 0
 * @guess: how to choose it if it is neither known nor in the file
 * @how: the way to load an image of a foreign format; NULL: it is none
 *
 * Return: 0, or -1 after printing the error.
 */
int image_load(struct image *img, u32 format, enum image_guess guess,
	       const struct foreign_image_how *how)
{
	u8 start[START_BYTES];
	size_t len;

	if (format >= IMAGE_FORMAT_FOREIGN && how)
		return load_foreign(img, foreign_format_at(format - IMAGE_FORMAT_FOREIGN), how);
	img->format = format;
	if (format == QCOW_FORMAT_RAW)
		return 0;
	if (file_read(&img->file, start, sizeof(start), 0, &len))
		return -1;
	if (!format && image_probe(img, start, len, guess, how))
		return -1;
	if (!image_has_tables(img))
		return 0;
	return load_qcow(img, format, guess, start, len);
}

/**
 * image_disk_size() - the size of the disk that an image holds
 * @img: loaded
 *
 * Return: bytes. Of images without tables whole sectors, the last of which zeros fill up.
 */
u64 image_disk_size(const struct image *img)
{
	if (image_has_tables(img))
		return img->header.size;
	return ROUND_UP(img->foreign ? img->foreign->parsed.disk.size : img->file.size,
			(u64)SZ_512);
}

/**
 * image_backing_format() - the format that an image gives its backing file
 * @img: loaded
 *
 * Return: its name; empty if the image does not tell it, or has no backing file.
 */
const char *image_backing_format(const struct image *img)
{
	const char *format;

	if (!img->foreign)
		return img->header.backing_format;
	format = img->foreign->parsed.disk.parent_format;
	if (!img->backing || !strcmp(format, "probe"))
		return "";
	return format[0] ? format : image_own_format_name(img);
}

/**
 * image_has_data_file() - whether the guest's data is in a file of its own
 * @img: a loaded image
 *
 * Return: whether it is.
 */
bool image_has_data_file(const struct image *img)
{
	return img->format == QCOW_FORMAT_QCOW2 &&
	       img->header.incompatible & QCOW_DISK_INCOMPAT_DATA_FILE;
}

/**
 * image_file() - a file of an image, by its number in a table
 * @img: loaded
 * @number: 0: the image; others only if its format is a foreign one
 *
 * Return: the file.
 */
const struct file *image_file(const struct image *img, u32 number)
{
	return number ? &img->foreign->files[number - 1] : &img->file;
}

/**
 * image_nr_files() - the number of files of an image, without an external data file
 * @img: loaded
 *
 * Return: it, at least 1.
 */
u32 image_nr_files(const struct image *img)
{
	return img->foreign ? img->foreign->nr_files + 1 : 1;
}

/**
 * image_close() - free the resources of an image
 * @img: the image
 */
void image_close(struct image *img)
{
	file_close(&img->file);
	file_close(&img->data);
	foreign_image_free(img->foreign);
	free(img->backing);
	free(img->data_name);
	free(img->member);
	free(img->backing_path);
}
