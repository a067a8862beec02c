// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps of an image that is written, in memory: finding, making and marking them. A
 * bitmap tells which parts of the disk have changed since it was added. Writes and
 * jobs/bitmap_ops.c call it; bitmap_store.c stores bitmaps.
 *
 * Section "Bitmaps" of the specification.
 */
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "meta/bitmap.h"
#include "meta/state.h"

/* --- Marking --- */

static void mark_bits(struct qcow_bitmap *b, u64 first, u64 last)
{
	unsigned long *words = b->bits;
	u64 i;

	for (i = first; i <= last; i++) {
		/*
		 * Set whole words: a commit that clears bits meanwhile waits for this
		 * I/O.
		 */
		if (!(i % BITS_PER_LONG) && last - i >= BITS_PER_LONG - 1) {
			if (READ_ONCE(words[i / BITS_PER_LONG]) != ~0UL) {
				WRITE_ONCE(words[i / BITS_PER_LONG], ~0UL);
				WRITE_ONCE(b->changed, true);
			}
			i += BITS_PER_LONG - 1;
		} else if (!test_bit_le(i, words)) {
			set_bit_le(i, words);
			WRITE_ONCE(b->changed, true);
		}
	}
}

void __qcow_bitmap_mark(struct qcow_bitmap *b, u64 guest_offset, u64 len)
{
	u32 shift;
	u64 last;

	for (; b; b = b->next_tracking) {
		shift = b->e.granularity_bits;
		last = min((guest_offset + len - 1) >> shift, b->nr_bits - 1);
		if (guest_offset >> shift <= last)
			mark_bits(b, guest_offset >> shift, last);
	}
}

/* Make the list of bitmaps that writes mark. Context: no I/O is under way. */
void __qcow_bitmap_track(struct qcow_image *img)
{
	struct qcow_bitmap *b, *first = img->todo;

	list_for_each_entry(b, &img->bitmaps->list, list) {
		if (!qcow_bitmap_tracks(b))
			continue;
		b->next_tracking = first;
		first = b;
	}
	WRITE_ONCE(img->tracking, first);
}

/* --- Looking --- */

struct qcow_bitmap *__qcow_bitmap_find(struct qcow_bitmaps *all,
				       const char *name, u32 len)
{
	struct qcow_bitmap *b;

	list_for_each_entry(b, &all->list, list)
		if (b->e.name_len == len && !memcmp(b->name, name, len))
			return b;
	return NULL;
}

struct qcow_bitmap *__qcow_bitmap_nth(struct qcow_bitmaps *all, u32 n)
{
	struct qcow_bitmap *b;

	list_for_each_entry(b, &all->list, list)
		if (!n--)
			return b;
	return NULL;
}

/**
 * __qcow_bitmap_dirty_bytes() - count the bytes of the disk that are dirty by a bitmap
 * @img: the image
 * @b: one of its bitmaps, consistent
 *
 * Context: under the bitmaps' lock. May sleep.
 *
 * Return: bytes.
 */
u64 __qcow_bitmap_dirty_bytes(const struct qcow_image *img,
			      const struct qcow_bitmap *b)
{
	u64 words = DIV_ROUND_UP_ULL(b->nr_bits, BITS_PER_LONG), i, nr = 0, bytes;
	const unsigned long *p = b->bits;
	u32 shift = b->e.granularity_bits;

	for (i = 0; i < words; i++) {
		nr += hweight_long(READ_ONCE(p[i]));
		if (!(i % 65536))
			cond_resched();
	}
	bytes = nr << shift;
	/* The disk may end inside the last bit's piece. */
	if (nr && test_bit_le(b->nr_bits - 1, p))
		bytes -= (b->nr_bits << shift) - img->size;
	return bytes;
}

/* --- Life of a bitmap --- */

static u64 bitmap_memory(const struct qcow_image *img,
			 const struct qcow_bitmap_entry *e)
{
	u64 bytes = e->table_size * sizeof(u64);

	if (!(e->flags & QCOW_DISK_BITMAP_IN_USE))
		bytes += (u64)e->table_size << img->layout.cluster_bits;
	return bytes;
}

/**
 * __qcow_bitmap_new() - make an empty bitmap in memory
 * @img: the image
 * @e: its entry for the directory; the name is copied
 *
 * Context: under the bitmaps' lock, or before other tasks know of them. May sleep.
 *
 * Return: the bitmap; or an ERR_PTR: -EFBIG: all would take too much memory; -ENOMEM.
 */
struct qcow_bitmap *__qcow_bitmap_new(struct qcow_image *img,
				      const struct qcow_bitmap_entry *e)
{
	struct qcow_bitmaps *all = img->bitmaps;
	u64 memory = bitmap_memory(img, e);
	struct qcow_bitmap *b;

	if (memory > QCOW_BITMAP_MAX_MEMORY - all->memory)
		return ERR_PTR(-EFBIG);
	b = kzalloc(struct_size(b, name, e->name_len), GFP_KERNEL);
	if (!b)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&b->list);
	b->e = *e;
	memcpy(b->name, e->name, e->name_len);
	b->e.name = b->name;
	b->nr_bits = qcow_bitdir_bits(img->size, e->granularity_bits);
	b->inconsistent = e->flags & QCOW_DISK_BITMAP_IN_USE;
	all->memory += memory;
	if (b->inconsistent)
		return b;
	b->bits = kvzalloc(qcow_bitmap_bytes(img, b), GFP_KERNEL);
	if (b->bits)
		return b;
	__qcow_bitmap_free(img, b);
	return ERR_PTR(-ENOMEM);
}

void __qcow_bitmap_free(struct qcow_image *img, struct qcow_bitmap *b)
{
	img->bitmaps->memory -= bitmap_memory(img, &b->e);
	list_del(&b->list);
	kvfree(b->table);
	kvfree(b->new_table);
	kvfree(b->bits);
	kfree(b);
}

/**
 * qcow_bitmap_set_todo() - have writes mark a bitmap that is in memory only
 * @img: the image
 * @todo: the bitmap, with bits, granularity and number of bits; NULL: none any more
 *
 * Context: no I/O of the image is under way, and none begins. May sleep.
 */
void qcow_bitmap_set_todo(struct qcow_image *img, struct qcow_bitmap *todo)
{
	if (!img->bitmaps) {
		img->todo = todo;
		WRITE_ONCE(img->tracking, todo);
		return;
	}
	mutex_lock(&img->bitmaps->lock);
	img->todo = todo;
	__qcow_bitmap_track(img);
	mutex_unlock(&img->bitmaps->lock);
}
