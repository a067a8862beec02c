/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITMAP_H
#define _QCOW_BITMAP_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>

#include "meta/qcow.h"
#include "ondisk/bitdir.h"

/* Most bytes of memory for all bitmaps of an image, and most bitmaps. */
#define QCOW_BITMAP_MAX_MEMORY	SZ_128M
#define QCOW_BITMAP_MAX_NR	1024

/**
 * struct qcow_bitmap - a bitmap of an image that is written
 * @list: in qcow_bitmaps.list
 * @next_tracking: the next bitmap that writes mark, see qcow_image.tracking
 * @e: its entry in the directory; the name is @name
 * @inconsistent: it was in use when the image was opened: its bits may be wrong, and it
 *	is left as it is
 * @changed: bits were set since it was stored
 * @table: its bitmap table on disk, in the CPU's byte order; NULL: it has none yet
 * @bits: bits as on disk, whole clusters; NULL if it is inconsistent
 * @nr_bits: bits for the disk
 * @new_table: its new table, while it is stored
 * @new_host_offset: host offset of @new_table
 * @name: not NUL-terminated
 */
struct qcow_bitmap {
	struct list_head list;
	struct qcow_bitmap *next_tracking;
	struct qcow_bitmap_entry e;
	bool inconsistent;
	bool changed;
	u64 *table;
	void *bits;
	u64 nr_bits;
	u64 *new_table;
	u64 new_host_offset;
	char name[];
};

/**
 * struct qcow_bitmaps - the bitmaps of an image that is written
 * @lock: protects @list and the members below; taken before qcow_flush_state.lock
 * @list: the bitmaps, in the order of the directory
 * @dir: the directory on disk; @dir.nr 0: there is none
 * @memory: bytes of memory that they take
 * @extension: host offset of the header extension's data, 0: there is none
 * @foreign: the header has a bitmaps extension that is damaged
 * @valid: the autoclear bit on disk says that the extension counts
 * @started: the bitmaps are marked in use on disk
 * @failed: the directory on disk is not known any more: they stay in use
 */
struct qcow_bitmaps {
	/* Protects the members below. */
	struct mutex lock;
	struct list_head list;
	struct qcow_bitmap_dir dir;
	u64 memory;
	u32 extension;
	bool foreign;
	bool valid;
	bool started;
	int failed;
};

void qcow_bitmap_set_todo(struct qcow_image *img, struct qcow_bitmap *todo);

void __qcow_bitmap_mark(struct qcow_bitmap *b, u64 guest_offset, u64 len);

/**
 * qcow_bitmap_mark() - set the bits of a piece of the disk that is about to change
 * @img: the image
 * @guest_offset: bytes into the disk
 * @len: bytes, at least 1
 *
 * The caller's I/O is counted, and changes nothing before.
 *
 * Context: any.
 */
static inline void qcow_bitmap_mark(const struct qcow_image *img, u64 guest_offset,
				    u64 len)
{
	struct qcow_bitmap *b = READ_ONCE(img->tracking);

	if (unlikely(b))
		__qcow_bitmap_mark(b, guest_offset, len);
}

struct qcow_bitmap *__qcow_bitmap_find(struct qcow_bitmaps *all,
				       const char *name, u32 len);
struct qcow_bitmap *__qcow_bitmap_nth(struct qcow_bitmaps *all, u32 n);
u64 __qcow_bitmap_dirty_bytes(const struct qcow_image *img,
			      const struct qcow_bitmap *b);

/* Bytes of a bitmap in memory and on disk. */
static inline u64 qcow_bitmap_bytes(const struct qcow_image *img,
				    const struct qcow_bitmap *b)
{
	return (u64)b->e.table_size << img->layout.cluster_bits;
}

/* Return: true if writes mark a bitmap. */
static inline bool qcow_bitmap_tracks(const struct qcow_bitmap *b)
{
	return !b->inconsistent && b->e.flags & QCOW_DISK_BITMAP_AUTO;
}

/**
 * qcow_bitmap_present() - tell whether an image that is written has bitmaps
 * @img: the image
 *
 * Bitmaps fit the disk's size, which cannot change as long as there are any.
 *
 * Context: no bitmap is added meanwhile.
 *
 * Return: whether it has any.
 */
static inline bool qcow_bitmap_present(const struct qcow_image *img)
{
	return img->bitmaps && !list_empty(&img->bitmaps->list);
}

struct qcow_bitmap *__qcow_bitmap_new(struct qcow_image *img,
				      const struct qcow_bitmap_entry *e);
void __qcow_bitmap_free(struct qcow_image *img, struct qcow_bitmap *b);
void __qcow_bitmap_track(struct qcow_image *img);

#endif /* _QCOW_BITMAP_H */
