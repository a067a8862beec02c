/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_BITMAP_H
#define _QCOW_BITMAP_H

#include <linux/list.h>
#include <linux/mutex.h>

#include "meta/qcow.h"
#include "ondisk/bitdir.h"

/* Bytes that all bitmaps of an image may take in memory, and how many. */
#define QCOW_BITMAP_MAX_MEMORY	BIT_ULL(27)
#define QCOW_BITMAP_MAX_NR	1024

/**
 * struct qcow_bitmap - a bitmap of an image that is written
 * @list: in qcow_bitmaps.list
 * @next_tracking: the next one that is kept up to date, see qcow_image.tracking
 * @e: as in the directory; the name is @name
 * @inconsistent: it was in use when the image was opened: what it says is not
 *	to be believed, and it is left as it is
 * @changed: something was set since it was stored
 * @table: bitmap table as on disk, in the CPU's byte order; NULL: it has none yet
 * @bits: as on disk, whole clusters; NULL if it is inconsistent
 * @nr_bits: of the disk
 * @new_table: while it is stored: the table to be
 * @new_offset: bytes into the file of @new_table
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
	u64 new_offset;
	char name[];
};

/**
 * struct qcow_bitmaps - the bitmaps of an image that is written
 * @lock: who looks at or changes @list and what follows; taken before
 *	qcow_commits.lock
 * @list: of them, as in the directory
 * @dir: the directory on disk; @dir.nr 0: there is none
 * @memory: bytes taken by bits
 * @extension: bytes into the file of the header extension's data, 0: none
 * @foreign: the header has an extension that nothing is known of
 * @valid: the autoclear bit on disk says that the extension counts
 * @started: they are marked in use on disk
 * @failed: what is on disk is not known any more: they stay in use
 */
struct qcow_bitmaps {
	/* Protects all that follows. */
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

void __qcow_bitmap_mark(struct qcow_bitmap *b, u64 pos, u64 len);

/**
 * qcow_bitmap_mark() - a piece of the disk is about to change
 * @img: the image
 * @pos: bytes into the disk
 * @len: bytes, at least 1
 *
 * Before the change is begun, and while the caller's I/O is counted.
 *
 * Context: any.
 */
static inline void qcow_bitmap_mark(const struct qcow_image *img, u64 pos,
				    u64 len)
{
	struct qcow_bitmap *b = READ_ONCE(img->tracking);

	if (unlikely(b))
		__qcow_bitmap_mark(b, pos, len);
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

/* Whether it is kept up to date. */
static inline bool qcow_bitmap_tracks(const struct qcow_bitmap *b)
{
	return !b->inconsistent && b->e.flags & QCOW_DISK_BITMAP_AUTO;
}

/**
 * qcow_bitmap_present() - whether an image that is written has bitmaps
 * @img: the image
 *
 * Their size is that of the disk: it cannot change as long as there are some.
 *
 * Context: no bitmap is added meanwhile.
 *
 * Return: whether it has some.
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
