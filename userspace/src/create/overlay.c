// SPDX-License-Identifier: GPL-2.0
/*
 * An overlay without a name, for a disk that is changed and then thrown away. No program
 * can find its file, and the filesystem frees it when the driver closes it, or after a
 * power cut.
 */
#include <stdlib.h>
#include <unistd.h>

#include "create/create.h"
#include "create/new_file.h"
#include "create/overlay.h"
#include "image/unlock.h"
#include "lib/report.h"

/* The overlay of an encrypted image is encrypted as well. */
static bool is_encrypted(const struct chain *c)
{
	const struct image *img;

	for (img = c->images; img < c->images + c->nr; img++)
		if (unlock_needed(img))
			return true;
	return false;
}

/* The name is shown, but not looked up. One that is too long for a header is not shown. */
static const char *backing_name(const char *path)
{
	return path && strlen(path) <= QCOW_DISK_MAX_BACKING_NAME ? path : "image";
}

static int write_overlay(const struct chain *c, int fd, u64 size)
{
	const struct image *below = c->images;
	const struct create_fds fds = { .image = fd, .data = -1 };
	struct create_params p = CREATE_DEFAULTS;
	char *path = file_real_path(below->file.fd);
	int err;

	p.size = size;
	p.backing = backing_name(path);
	p.backing_format = image_own_format_name(below);
	if (is_encrypted(c))
		p.crypt_method = QCOW_DISK_CRYPT_LUKS;
	err = create_params_check(below->file.name, &p);
	if (!err)
		err = create_write(below->file.name, &p, &fds, NULL);
	free(path);
	return err;
}

/* Open the file as the first image of the chain. */
static int put_first(struct chain *c, int fd)
{
	bool encrypted = is_encrypted(c);
	struct image *top = c->images;

	memmove(top + 1, top, c->nr * sizeof(*top));
	c->nr++;
	*top = (struct image) { .random_key = encrypted };
	if (file_adopt(&top->file, fd))
		return -1;
	top->file.writable = true;
	return image_load(top, QCOW_FORMAT_QCOW2, IMAGE_GUESS_NONE, NULL);
}

/**
 * overlay_add() - put an overlay without a name on top of a chain
 * @c: the open chain, which is not written; the overlay is its first image afterwards
 * @folder: the folder whose filesystem has the overlay
 * @size: bytes of the disk
 *
 * Return: 0, or -1 after printing the error.
 */
int overlay_add(struct chain *c, const char *folder, u64 size)
{
	struct new_file f;
	int err;

	if (c->nr == QCOW_MAX_IMAGES) {
		report(c->images->file.name, "its chain has no room for an overlay; a chain has %u images at most",
		       QCOW_MAX_IMAGES);
		return -1;
	}
	err = new_file_open_unnamed(&f, folder);
	if (!err)
		err = write_overlay(c, f.fd, size);
	if (!err) {
		err = put_first(c, f.fd);
		/* The chain closes it. */
		f.fd = -1;
	}
	new_file_close(&f);
	return err;
}
