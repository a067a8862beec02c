// SPDX-License-Identifier: GPL-2.0
/*
 * An image of a format that the driver does not parse: the files that it consists of, and
 * its table, for the driver.
 */
#include <stdlib.h>
#include <unistd.h>

#include "foreign/vpc_footer.h"
#include "image/foreign_image.h"
#include "lib/report.h"
#include "lib/unnamed.h"

/* An image that is being loaded. */
struct load {
	struct foreign_image *foreign;
	const struct file *file;
	const struct foreign_image_how *how;
};

/* Return: bytes of a file, to be freed; NULL: it cannot be read. */
static struct foreign_sample *read_sample(const struct file *f)
{
	struct foreign_sample *s = xcalloc(1, sizeof(*s));
	size_t footer = min(f->size, (u64)sizeof(s->footer));

	s->size = f->size;
	if (!file_read(f, s->start, sizeof(s->start), 0, NULL) &&
	    !file_read(f, s->footer + sizeof(s->footer) - footer, footer, f->size - footer, NULL))
		return s;
	free(s);
	return NULL;
}

static const struct foreign_format *probe(const struct file *f,
					  const struct foreign_format *(*by)(const struct foreign_sample *))
{
	struct foreign_sample *s = read_sample(f);
	const struct foreign_format *format = s ? by(s) : NULL;

	free(s);
	return format;
}

/**
 * foreign_image_probe() - recognize the format of a file
 * @f: the file
 *
 * Return: the format; or NULL, also if the file cannot be read.
 */
const struct foreign_format *foreign_image_probe(const struct file *f)
{
	return probe(f, foreign_probe);
}

/* QEMU recognizes a dmg by its name, which no guest can write. */
static bool is_named_dmg(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(".dmg") && !strcmp(name + len - strlen(".dmg"), ".dmg");
}

/**
 * foreign_image_probe_backing() - recognize the format of a backing file that is not told
 * @f: the file
 * @child: format of the image above it; NULL: one that is no foreign one
 *
 * QEMU recognizes some formats. The program that wrote an image of a foreign format knows
 * other images of that.
 *
 * Return: the format; or NULL, also if the file cannot be read: it is a raw disk.
 */
const struct foreign_format *foreign_image_probe_backing(const struct file *f,
							 const struct foreign_format *child)
{
	const struct foreign_format *format = probe(f, foreign_probe_backing), *seems;

	if (format)
		return format;
	seems = foreign_image_probe(f);
	return seems == child || is_named_dmg(f->name) ? seems : NULL;
}

/**
 * foreign_image_is_fixed() - whether a file ends as a fixed VHD does
 * @f: the file
 *
 * Return: whether it does, so that its guest decides how it begins.
 */
bool foreign_image_is_fixed(const struct file *f)
{
	struct foreign_sample *s = read_sample(f);
	bool fixed = s && vpc_is_fixed(s);

	free(s);
	return fixed;
}

static struct file *add_file(struct foreign_image *foreign)
{
	struct file *f;

	foreign->files = xrealloc(foreign->files,
				  (foreign->nr_files + 1) * sizeof(*foreign->files));
	f = &foreign->files[foreign->nr_files++];
	*f = (struct file) { .fd = -1 };
	return f;
}

static int open_part(void *arg, const char *name, u64 *size)
{
	struct load *load = arg;
	struct file *f = add_file(load->foreign);

	if (load->how->open(load->how->arg, f, name))
		return -1;
	*size = f->size;
	return f->fd;
}

static int open_scratch(void *arg)
{
	const char *folder = unnamed_folder(NULL);
	struct load *load = arg;
	struct file *f = add_file(load->foreign);
	int fd = unnamed_open(folder);

	if (fd >= 0)
		return file_adopt(f, fd) ? -1 : fd;
	report(load->file->name, "its data has to be decompressed, but %s cannot hold a temporary file: %s; name another folder with TMPDIR",
	       folder, strerror(errno));
	return -1;
}

static void tell_fault(void *arg, bool leak, const char *text)
{
	struct load *load = arg;

	if (load->how->fault)
		load->how->fault(load->how->arg, leak, text);
}

static const struct parse_host host = {
	.open = open_part,
	.scratch = open_scratch,
	.fault = tell_fault,
};

/**
 * foreign_image_load() - parse an image
 * @result: the image, to foreign_image_free(), also after a failure
 * @file: its file, open
 * @format: its format
 * @how: the reason, and the way to its other files
 *
 * Return: 0, or -1 after printing the error.
 */
int foreign_image_load(struct foreign_image **result, const struct file *file,
		       const struct foreign_format *format,
		       const struct foreign_image_how *how)
{
	struct load load = {
		.foreign = xcalloc(1, sizeof(**result)), .file = file, .how = how,
	};
	const struct parse_how parse_how = {
		.format = format,
		.file = file,
		.member = how->member,
		.want = how->want,
		.alone = how->alone,
		.expand_max = how->expand_max,
		.host = &host,
		.arg = &load,
	};

	*result = load.foreign;
	return parse_image(&load.foreign->parsed, &parse_how);
}

/**
 * foreign_image_free() - free the findings about an image
 * @foreign: the image, or NULL
 */
void foreign_image_free(struct foreign_image *foreign)
{
	u32 i;

	if (!foreign)
		return;
	for (i = 0; i < foreign->nr_files; i++)
		file_close(&foreign->files[i]);
	free(foreign->files);
	parsed_free(&foreign->parsed);
	free(foreign);
}
