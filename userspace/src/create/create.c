// SPDX-License-Identifier: GPL-2.0
/*
 * Writes a new qcow2 image into an empty file.
 */
#include "create/create.h"
#include "create/fill.h"
#include "create/new_header.h"
#include "lib/report.h"

/* Put the LUKS header behind all else. */
static int place_luks(struct space *s, struct new_luks *luks)
{
	int err;

	if (!luks->len)
		return 0;
	err = space_alloc(s, luks->len, &luks->host_offset);
	if (!err)
		err = space_write(s, luks->buf, luks->len, luks->host_offset);
	/* The file has its last cluster whole. */
	if (!err)
		space_extend(s, luks->host_offset +
			     (space_clusters(s, luks->len) << s->cluster_bits));
	return err;
}

static int write_image(const struct create_params *p, const struct create_fds *fds,
		       struct new_luks *luks)
{
	struct space s = { };
	struct tables t = { };
	int err = space_begin(&s, fds->image, p);

	if (!err)
		err = tables_make(&t, p, &s, fds->data);
	if (!err)
		err = place_luks(&s, luks);
	if (!err)
		err = new_header_write(p, &s, &t, luks);
	if (!err)
		err = space_finish(&s);
	tables_free(&t);
	space_free(&s);
	return err;
}

static int explain(const char *name, int err)
{
	const char *next = "check the disk";

	if (err == -EINTR) {
		report(name, "was not made, because of a signal");
	} else if (err == -ENAMETOOLONG) {
		report(name, "the names of its files do not fit into the first cluster; use shorter ones, or a larger cluster_size");
	} else if (err == -EFBIG) {
		report(name, "would be too large for clusters of this size, or for the filesystem; use a larger cluster_size, or less preallocation");
	} else {
		if (err == -ENOSPC || err == -EDQUOT)
			next = "make room, or use less preallocation";
		report(name, "cannot be written: %s; %s", strerror(-err), next);
	}
	return -1;
}

/**
 * create_write() - write a new image
 * @name: the image, for messages
 * @p: its properties, which create_params_check() has passed
 * @fds: its empty files; nothing of them is synced
 * @passphrase: for an image with LUKS; NULL: its LUKS header is empty, as the key is kept
 *	nowhere
 *
 * Return: 0, or -1 after printing the error.
 */
int create_write(const char *name, const struct create_params *p,
		 const struct create_fds *fds, const struct secret *passphrase)
{
	struct new_luks luks = { };
	int err = 0;

	if (p->crypt_method == QCOW_DISK_CRYPT_LUKS) {
		if (passphrase)
			err = new_luks_make(&luks, name, &p->luks, passphrase);
		else
			new_luks_make_empty(&luks);
	}
	if (!err) {
		err = write_image(p, fds, &luks);
		if (err)
			explain(name, err);
	}
	new_luks_free(&luks);
	return err ? -1 : 0;
}

/**
 * create_write_raw() - give a new raw image its size
 * @name: the image, for messages
 * @p: its size and preallocation
 * @fd: its empty file; nothing of it is synced
 *
 * Return: 0, or -1 after printing the error.
 */
int create_write_raw(const char *name, const struct create_params *p, int fd)
{
	int err = fill_file(fd, 0, p->size, p->preallocation);

	return err ? explain(name, err) : 0;
}
