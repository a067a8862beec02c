// SPDX-License-Identifier: GPL-2.0
/*
 * A folder as an image: the disk that vvfat/ makes of it, in the form of an image of a
 * foreign format.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/folder_image.h"
#include "image/foreign_image.h"
#include "lib/fd.h"
#include "lib/report.h"
#include "vvfat/vvfat.h"

#define FORMAT_NAME	"vvfat"

/**
 * folder_image_wanted() - whether a format is that of folders
 * @format: from image_format(), or 0
 *
 * Return: whether it is.
 */
bool folder_image_wanted(u32 format)
{
	return format && format == image_format(FORMAT_NAME);
}

static void tell(struct parsed *p, const struct vvfat *v)
{
	char serial[16];

	snprintf(serial, sizeof(serial), "%04X-%04X", v->serial >> 16, v->serial & 0xffff);
	parsed_add_fact(p, "fat-type", NULL, v->fat_bits);
	parsed_add_fact(p, "label", v->label, 0);
	parsed_add_fact(p, "serial", serial, 0);
}

static int fail(const char *folder, int err)
{
	report(folder, "its table cannot be made: %s; do it again", strerror(-err));
	return -1;
}

/* The image has the files from now on. */
static int take_files(struct image *img, struct vvfat *v)
{
	struct foreign_image *foreign = img->foreign;
	struct file *f;
	int err = 0, fd;
	u32 i;

	foreign->files = xcalloc(v->nr_files, sizeof(*foreign->files));
	for (i = 0; !err && i < v->nr_files; i++) {
		f = i ? &foreign->files[foreign->nr_files++] : &img->file;
		fd = v->files[i].fd;
		v->files[i].fd = -1;
		err = file_adopt(f, fd);
		free(f->name);
		f->name = xstrdup(v->files[i].path);
	}
	return err;
}

static int make_table(struct image *img, const struct vvfat *v)
{
	struct table *t = &img->foreign->parsed.table;
	u64 *sizes = xcalloc(v->nr_files, sizeof(*sizes));
	const char *fault;
	int err;
	u32 i;

	for (i = 0; i < v->nr_files; i++)
		sizes[i] = image_file(img, i)->size;
	table_set_header(t, FORMAT_NAME, &img->foreign->parsed.disk, v->nr_entries, v->nr_files);
	t->fd = memfd_create("qcow-map", MFD_CLOEXEC);
	err = t->fd < 0 ? -errno : fd_write(t->fd, v->entries, v->nr_entries * sizeof(*v->entries),
					    table_offset(0));
	fault = err ? NULL : table_check(t, sizes);
	free(sizes);
	if (fault) {
		report(img->file.name, "was changed while it was looked at (%s); do it again", fault);
		return -1;
	}
	err = err ? err : table_write_header(t);
	return err ? fail(img->file.name, err) : 0;
}

/**
 * folder_image_load() - load a folder as an image
 * @img: the image; it gets the file with the sectors of the filesystem
 * @folder: path of the folder
 * @options: choices of the user
 *
 * Return: 0, or -1 after printing the error.
 */
int folder_image_load(struct image *img, const char *folder,
		      const struct vvfat_options *options)
{
	struct vvfat v;
	struct parsed *p;
	int err = vvfat_make(&v, folder, options);

	img->file.fd = -1;
	if (!err) {
		img->format = QCOW_FORMAT_MAP;
		img->foreign = xcalloc(1, sizeof(*img->foreign));
		p = &img->foreign->parsed;
		p->table.fd = -1;
		p->format = foreign_format(FORMAT_NAME);
		p->disk.size = v.size;
		p->disk.sector_size = SZ_512;
		p->disk.cluster_size = v.cluster_size;
		tell(p, &v);
		err = take_files(img, &v);
	}
	if (!err)
		err = make_table(img, &v);
	vvfat_free(&v);
	return err;
}
