/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_IMAGE_H
#define _QCOWCTL_IMAGE_H

#include <linux/qcow.h>
#include <stdio.h>

#include "lib/file.h"
#include "qcow/ondisk/header.h"

/* Formats that a parser reads are numbers of foreign_format_at(), from this one on. */
#define IMAGE_FORMAT_FOREIGN	0x100

struct foreign_image;
struct foreign_image_how;

/**
 * struct image - an open image of a chain
 * @file: its file
 * @data: its external data file, closed if it has none
 * @format: &enum qcow_format
 * @salvage: it is damaged: fields that only writing needs may be missing
 * @probed: the format was found out, not given
 * @header: if it has one: not if it is raw
 * @foreign: of QCOW_FORMAT_MAP: the findings of its parser
 * @backing: name of the backing file as the header has it, or NULL
 * @data_name: name of the external data file as the header has it, or NULL
 * @nr_bitmaps: bitmaps that it holds
 * @random_key: its data is encrypted with a key that nobody knows, and that is kept nowhere
 * @member: of an archive: name of the member that is the image; or NULL
 * @backing_path: path of the file that is its backing file, of a device's image or in an
 *	archive; or NULL
 */
struct image {
	struct file file;
	struct file data;
	u32 format;
	bool salvage;
	bool probed;
	struct qcow_header header;
	struct foreign_image *foreign;
	char *backing;
	char *data_name;
	u32 nr_bitmaps;
	bool random_key;
	char *member;
	char *backing_path;
};

/* How to choose the format of a file that was given without one. */
enum image_guess {
	IMAGE_GUESS_NONE,	/* by its magic, or refuse it */
	IMAGE_GUESS_RAW,	/* raw, unless it seems to be some other file */
	IMAGE_GUESS_BACKING,	/* raw, unless QEMU would take it for another format */
};

int image_load(struct image *img, u32 format, enum image_guess guess,
	       const struct foreign_image_how *how);
void image_close(struct image *img);
bool image_is_foreign(const struct file *f);
u64 image_disk_size(const struct image *img);
const char *image_backing_format(const struct image *img);
bool image_has_data_file(const struct image *img);
const struct file *image_file(const struct image *img, u32 number);
u32 image_nr_files(const struct image *img);

/* Whether it has a header and tables that the driver parses. */
static inline bool image_has_tables(const struct image *img)
{
	return img->format == QCOW_FORMAT_QCOW2 || img->format == QCOW_FORMAT_QCOW;
}

u32 image_format(const char *name);
int image_parse_format(u32 *format, const char *arg);
const char *image_format_name(u32 format);
const char *image_own_format_name(const struct image *img);
char *image_list_formats(void);
char *image_full_name(const struct image *img);
void image_print_formats(FILE *to);

#endif /* _QCOWCTL_IMAGE_H */
