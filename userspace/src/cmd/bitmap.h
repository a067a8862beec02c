/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bitmaps of an image or a device, which bitmap_read.c reads for bitmap.c and
 * bitmap_map.c; the latter prints them for map.c. Only the driver changes bitmaps, for bitmap.c.
 */
#ifndef _QCOWCTL_BITMAP_H
#define _QCOWCTL_BITMAP_H

#include "image/image.h"

/**
 * struct bitmap - the changed parts of a disk
 * @name: of it
 * @granularity: bytes of the disk that a bit stands for
 * @enabled: it is kept up to date
 * @inconsistent: it was not stored once, and says nothing
 * @dirty: bytes of the disk that are dirty
 * @disk_size: bytes of the disk
 * @bits: the lowest bit of the first byte first; NULL: not asked for
 */
struct bitmap {
	char *name;
	u64 granularity;
	bool enabled;
	bool inconsistent;
	u64 dirty;
	u64 disk_size;
	u8 *bits;
};

/**
 * struct bitmaps - those of an image
 * @list: of them
 * @nr: how many
 */
struct bitmaps {
	struct bitmap *list;
	u32 nr;
};

/* Bytes of a bitmap. */
static inline u64 bitmap_bytes(const struct bitmap *b)
{
	u64 bits = b->disk_size / b->granularity +
		   !!(b->disk_size % b->granularity);

	return (bits + 7) / 8;
}

/* bitmap_read.c */
int bitmaps_read(struct bitmaps *all, const struct image *img, const char *name);
void bitmaps_free(struct bitmaps *all);
int bitmaps_of(struct bitmaps *all, const char *arg, u32 format,
	       const char *name);

/* bitmap_map.c */
int bitmap_map(const char *arg, u32 format, const char *name, bool json);

#endif /* _QCOWCTL_BITMAP_H */
