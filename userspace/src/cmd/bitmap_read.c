// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps: read from an image, or asked of the driver if it keeps them.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/bitmap.h"
#include "device/device.h"
#include "device/which.h"
#include "image/chain_device.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "qcow/ondisk/bitdir.h"

static struct bitmap *add_bitmap(struct bitmaps *all)
{
	struct bitmap *b;

	all->list = xrealloc(all->list, (all->nr + 1) * sizeof(*all->list));
	b = &all->list[all->nr++];
	memset(b, 0, sizeof(*b));
	return b;
}

/**
 * bitmaps_free() - free the bitmaps that bitmaps_of() found
 * @all: the bitmaps
 */
void bitmaps_free(struct bitmaps *all)
{
	u32 i;

	for (i = 0; i < all->nr; i++) {
		free(all->list[i].name);
		free(all->list[i].bits);
	}
	free(all->list);
	memset(all, 0, sizeof(*all));
}

/* --- From the file --- */

/**
 * struct reading - bitmaps that are read from an image
 * @img: the image
 * @layout: of its tables
 * @buf: a cluster
 * @done: clusters of bitmaps that were read
 * @total: clusters of all of them
 */
struct reading {
	const struct image *img;
	struct qcow_layout layout;
	u8 *buf;
	u64 done;
	u64 total;
};

static int damaged(const struct reading *r)
{
	report(r->img->file.name, "its bitmaps are damaged; see qcowctl check");
	return -1;
}

/* Dirty bytes of the disk among the first @bytes of a piece of a bitmap. */
static void count_dirty(struct bitmap *b, const u8 *bits, u64 in_bitmap, u64 bytes)
{
	u64 i, start;
	u32 bit;

	for (i = 0; i < bytes; i++) {
		for (bit = 0; bits[i] && bit < 8; bit++) {
			if (!(bits[i] >> bit & 1))
				continue;
			start = ((in_bitmap + i) * 8 + bit) * b->granularity;
			if (start < b->disk_size)
				b->dirty += min(b->granularity,
						b->disk_size - start);
		}
	}
}

static int read_cluster(struct reading *r, struct bitmap *b, u32 i, u64 raw)
{
	u64 cluster = 1ULL << r->img->header.cluster_bits;
	u64 in_bitmap = i * cluster, total = bitmap_bytes(b), bytes, host_offset;
	bool ones;

	if (qcow_bitdir_table_entry(&r->layout, raw, &host_offset, &ones))
		return damaged(r);
	if (in_bitmap >= total || (!host_offset && !ones))
		return 0;
	bytes = min(cluster, total - in_bitmap);
	memset(r->buf, ones ? 0xff : 0, bytes);
	if (host_offset && file_read(&r->img->file, r->buf, bytes, host_offset, NULL))
		return -1;
	count_dirty(b, r->buf, in_bitmap, bytes);
	if (b->bits)
		memcpy(b->bits + in_bitmap, r->buf, bytes);
	return 0;
}

static int read_bits(struct reading *r, struct bitmap *b,
		     const struct qcow_bitmap_entry *e)
{
	__be64 *table = xcalloc(e->table_size, sizeof(*table));
	int err;
	u32 i;

	err = file_read(&r->img->file, table, e->table_size * sizeof(*table),
			e->table_host_offset, NULL);
	for (i = 0; !err && i < e->table_size; i++) {
		progress("Reading bitmaps", r->done++, r->total);
		err = read_cluster(r, b, i, be64_to_cpu(table[i]));
	}
	free(table);
	return err;
}

static int read_bitmap(struct reading *r, struct bitmap *b,
		       const struct qcow_bitmap_entry *e, const char *name)
{
	b->name = xstrndup(e->name, e->name_len);
	b->granularity = 1ULL << e->granularity_bits;
	b->enabled = e->flags & QCOW_DISK_BITMAP_AUTO;
	b->inconsistent = e->flags & QCOW_DISK_BITMAP_IN_USE;
	b->disk_size = r->img->header.size;
	if (b->inconsistent)
		return 0;
	if (name && strcmp(name, b->name))
		return 0;
	if (name)
		b->bits = xcalloc(1, bitmap_bytes(b) + 1);
	return read_bits(r, b, e);
}

/* How many clusters the bitmaps of a directory have, as far as it is not damaged */
static u64 count_clusters(const struct reading *r, const u8 *buf,
			  const struct qcow_bitmap_dir *dir)
{
	struct qcow_bitmap_entry e;
	u64 in_dir = 0, clusters = 0;
	u32 i;

	for (i = 0; i < dir->nr; i++, in_dir += e.bytes) {
		if (qcow_bitdir_entry(&r->layout, r->img->header.size, buf + in_dir,
				      dir->bytes - in_dir, &e))
			break;
		clusters += e.table_size;
	}
	return clusters;
}

static int read_directory(struct reading *r, struct bitmaps *all, const u8 *buf,
			  const struct qcow_bitmap_dir *dir, const char *name)
{
	struct qcow_bitmap_entry e;
	u64 in_dir = 0;
	u32 i;

	r->total = count_clusters(r, buf, dir);
	for (i = 0; i < dir->nr; i++, in_dir += e.bytes) {
		if (qcow_bitdir_entry(&r->layout, r->img->header.size, buf + in_dir,
				      dir->bytes - in_dir, &e))
			return damaged(r);
		if (read_bitmap(r, add_bitmap(all), &e, name))
			return -1;
	}
	progress("Reading bitmaps", r->total, r->total);
	return 0;
}

/**
 * bitmaps_read() - read the bitmaps of an image that nobody writes
 * @all: empty; the result, to free in any case
 * @img: the image
 * @name: of the bitmap whose bits are wanted; NULL: of none, but dirty bytes are
 *	counted
 *
 * Return: 0, or -1 after printing the error.
 */
int bitmaps_read(struct bitmaps *all, const struct image *img, const char *name)
{
	const struct qcow_header *h = &img->header;
	struct reading r = { .img = img };
	struct qcow_disk_bitmaps disk;
	struct qcow_bitmap_dir dir;
	u8 *buf;
	int err;

	if (img->format != QCOW_FORMAT_QCOW2 || !h->bitmaps_in_header ||
	    !(h->autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS))
		return 0;
	qcow_layout_init(&r.layout, h);
	if (file_read(&img->file, &disk, sizeof(disk), h->bitmaps_in_header, NULL))
		return -1;
	if (qcow_bitdir_extension(&r.layout, &disk, h->bitmaps_len, &dir))
		return damaged(&r);
	buf = xcalloc(1, dir.bytes);
	r.buf = xcalloc(1, 1UL << h->cluster_bits);
	err = file_read(&img->file, buf, dir.bytes, dir.host_offset, NULL);
	if (!err)
		err = read_directory(&r, all, buf, &dir, name);
	progress_end();
	free(r.buf);
	free(buf);
	return err;
}

static int read_image(struct bitmaps *all, const char *path, u32 format,
		      const char *name)
{
	const struct chain_options wanted = {
		.format = format,
		.top_only = true,
		.guess_raw = true,
		.lock = true,
	};
	struct chain chain;
	int err = chain_open(&chain, path, &wanted);

	if (!err)
		err = bitmaps_read(all, &chain.images[0], name);
	chain_close(&chain);
	return err;
}

/* --- From the driver --- */

/* The driver gives so many bytes of a bitmap at once. */
#define QUERY_BYTES	SZ_16M

static int query(int control, const struct device *d, struct qcow_ioc_bitmap *ioc)
{
	ioc->size = sizeof(*ioc);
	ioc->op = QCOW_BITMAP_OP_GET;
	ioc->index = d->index;
	ioc->diskseq = d->diskseq;
	return ioctl(control, QCOW_IOC_BITMAP, ioc) ? -errno : 0;
}

static int query_bits(int control, const struct device *d, struct bitmap *b)
{
	u64 bytes = bitmap_bytes(b), in_bitmap = 0;
	struct qcow_ioc_bitmap ioc;
	int err = 0;

	b->bits = xcalloc(1, bytes + 1);
	while (!err && in_bitmap < bytes) {
		memset(&ioc, 0, sizeof(ioc));
		ioc.name = (uintptr_t)b->name;
		ioc.name_len = strlen(b->name);
		ioc.bits = (uintptr_t)(b->bits + in_bitmap);
		ioc.bits_offset = in_bitmap;
		ioc.bits_size = min((u64)QUERY_BYTES, bytes - in_bitmap);
		err = query(control, d, &ioc);
		if (!err && !ioc.bits_size)
			err = -EIO;
		in_bitmap += ioc.bits_size;
	}
	return err;
}

static int query_one(int control, const struct device *d, struct bitmaps *all,
		     u32 number, const char *name)
{
	char found[QCOW_BITMAP_NAME_MAX + 1] = "";
	struct qcow_ioc_bitmap ioc = {
		.number = number,
		.name = (uintptr_t)found,
	};
	int err = query(control, d, &ioc);
	struct bitmap *b;

	if (err)
		return err;
	b = add_bitmap(all);
	b->name = xstrdup(found);
	b->granularity = ioc.granularity;
	b->enabled = ioc.flags & QCOW_BITMAP_ENABLED;
	b->inconsistent = ioc.flags & QCOW_BITMAP_INCONSISTENT;
	b->dirty = ioc.dirty;
	b->disk_size = ioc.disk_size;
	if (!name || strcmp(name, b->name) || b->inconsistent)
		return 0;
	return query_bits(control, d, b);
}

/*
 * Ask the driver for the bitmaps that it keeps. Return: 0; -EROFS: it keeps none, since
 * the device is attached read-only; or another negative errno.
 */
static int bitmaps_query(struct bitmaps *all, const struct device *d,
			 const char *name)
{
	int control = device_control_quiet();
	int err = control < 0 ? -errno : 0;

	while (!err)
		err = query_one(control, d, all, all->nr, name);
	if (control >= 0)
		close(control);
	return err == -ENOENT && control >= 0 ? 0 : err;
}

/* --- Of an argument --- */

/* It is attached read-only, and the driver keeps no bitmaps: those are in the file. */
static int of_device_file(struct bitmaps *all, const struct device *d,
			  const char *name)
{
	const struct chain_options wanted = { .top_only = true };
	struct chain chain;
	int err = chain_open_device(&chain, -1, d, &wanted);

	if (!err)
		err = bitmaps_read(all, &chain.images[0], name);
	chain_close(&chain);
	return err;
}

/* The bitmaps are about the disk of another device, which keeps them. */
static int refuse_child(int index, const char *parent)
{
	char *path = xasprintf("/dev/qcow%d", index);

	report(path, "shows a snapshot, and has no bitmaps; name /dev/%s, which has the image",
	       parent);
	free(path);
	return -1;
}

/* It keeps no bitmaps, being read-only. */
static int of_read_only(struct bitmaps *all, const struct device *d, const char *name)
{
	char *parent = sysfs_parent(d->index);
	int err = parent ? refuse_child(d->index, parent) : of_device_file(all, d, name);

	free(parent);
	return err;
}

static int of_device(struct bitmaps *all, const struct device *d,
		     const char *name)
{
	struct qcow_ioc_status status;
	char *path;
	int err;

	if (device_query(d->index, &status))
		return -1;
	err = bitmaps_query(all, d, name);
	if (err == -EROFS)
		return of_read_only(all, d, name);
	if (err) {
		path = xasprintf("/dev/qcow%d", d->index);
		report(path, "cannot read its bitmaps: %s; see the kernel log", strerror(-err));
		free(path);
	}
	return err;
}

/**
 * bitmaps_of() - the bitmaps of an image, or of a device's
 * @all: the result, to free in any case
 * @arg: device or image
 * @format: of an image, 0: probe
 * @name: as for bitmaps_read()
 *
 * Return: 0, or -1 after printing the error.
 */
int bitmaps_of(struct bitmaps *all, const char *arg, u32 format,
	       const char *name)
{
	struct device d;
	int index, found;

	memset(all, 0, sizeof(*all));
	if (which_or_image(arg, &index))
		return -1;
	if (index >= 0)
		found = which_device(&d, arg) ? -1 : 1;
	else
		found = which_of_image(&d, arg);
	if (found < 0)
		return -1;
	return (found ? of_device(all, &d, name) :
			read_image(all, arg, format, name)) ? -1 : 0;
}
