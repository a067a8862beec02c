// SPDX-License-Identifier: GPL-2.0
/*
 * Changing L2 entries, and making L2 tables that are the image's own. Writes, zeros
 * (data/) and resize call it, with their guest clusters locked.
 *
 * All changes are in memory; flush.c makes them durable. After that the clusters of
 * old entries are released.
 */
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "file/space.h"
#include "meta/alloc.h"
#include "meta/l2.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/state.h"
#include "meta/vet.h"
#include "meta/writeback.h"

/* Most slices of a disk that are noted: 1 MiB of bits. */
#define EMPTY_MAX_SLICES	(SZ_1M * BITS_PER_BYTE)

/* --- L2 tables --- */

/* Host offset of a cluster's L2 entry. */
static u64 l2_entry_host_offset(const struct qcow_image *img, u64 l1_entry, u64 guest_offset)
{
	const struct qcow_layout *lay = &img->layout;
	u64 l2_index = (guest_offset >> lay->cluster_bits) & ((1ULL << lay->l2_bits) - 1);

	return (l1_entry & QCOW_DISK_L1E_OFFSET_MASK) +
	       (l2_index << lay->entry_bits);
}

/* Bytes of the disk that a slice of an L2 table maps. */
static u64 slice_covers(const struct qcow_image *img)
{
	return (u64)img->slice_entries << img->layout.cluster_bits;
}

/* --- Slices that are known to be empty --- */

static u64 slice_index(const struct qcow_image *img, u64 guest_offset)
{
	return guest_offset >> ilog2(slice_covers(img));
}

/* Return: the bits of all slices, or NULL: the disk is too large, or memory is short. */
static unsigned long *empty_bits(struct qcow_alloc *a)
{
	struct qcow_image *img = a->img;
	unsigned long *bits = READ_ONCE(a->l1.empty), *other;
	u64 nr = slice_index(img, (u64)img->l1_size << qcow_layout_l1_shift(&img->layout));

	if (bits || nr > EMPTY_MAX_SLICES)
		return bits;
	bits = kvcalloc(BITS_TO_LONGS(nr), sizeof(*bits), GFP_NOIO | __GFP_NOWARN);
	/* Two discards may come here at the same time. */
	other = cmpxchg(&a->l1.empty, NULL, bits);
	if (!other)
		return bits;
	kvfree(bits);
	return other;
}

/**
 * qcow_l2_empty() - bytes of a disk that need no discard
 * @img: the image, which is written
 * @guest_offset: guest offset
 * @len: bytes, not beyond the end of the disk
 *
 * It looks into no L2 table: it sees only empty L1 entries without a backing file, and
 * slices that qcow_l2_note_empty() was told of.
 *
 * Context: in an I/O. Does not sleep.
 *
 * Return: bytes from @guest_offset on that read as zeros and have no clusters, @len at
 * most.
 */
u64 qcow_l2_empty(const struct qcow_image *img, u64 guest_offset, u64 len)
{
	const unsigned long *bits = READ_ONCE(img->alloc->l1.empty);
	u32 l1_shift = qcow_layout_l1_shift(&img->layout);
	u64 next = guest_offset, guest_end = guest_offset + len;

	while (next < guest_end)
		if (!img->backing && !READ_ONCE(img->l1[next >> l1_shift]))
			next = (next | ((1ULL << l1_shift) - 1)) + 1;
		else if (bits && test_bit(slice_index(img, next), bits))
			next = (next | (slice_covers(img) - 1)) + 1;
		else
			break;
	return min(next, guest_end) - guest_offset;
}

/**
 * qcow_l2_forget_empty() - forget what qcow_l2_note_empty() was told
 * @a: of the image
 *
 * Context: no I/O of the image is under way or begins. May sleep.
 */
void qcow_l2_forget_empty(struct qcow_alloc *a)
{
	kvfree(a->l1.empty);
	a->l1.empty = NULL;
}

/* An entry of a slice changes. */
static void empty_clear(struct qcow_alloc *a, u64 guest_offset)
{
	unsigned long *bits = READ_ONCE(a->l1.empty);
	u64 i = slice_index(a->img, guest_offset);

	if (bits && test_bit(i, bits))
		clear_bit(i, bits);
}

/* --- Slices --- */

/* The slice with a cluster's L2 entry. */
static struct qcow_slice *l2_slice(struct qcow_image *img, u64 guest_offset)
{
	u64 l1_entry =
		READ_ONCE(img->l1[guest_offset >> qcow_layout_l1_shift(&img->layout)]);

	return qcow_cache_get(img->cache, l2_entry_host_offset(img, l1_entry, guest_offset));
}

/* Return: true if the slice with a cluster's L2 entry is dirty. */
static bool l2_is_dirty(struct qcow_image *img, u64 guest_offset)
{
	u64 l1_entry =
		READ_ONCE(img->l1[guest_offset >> qcow_layout_l1_shift(&img->layout)]);

	return l1_entry & QCOW_DISK_L1E_OFFSET_MASK &&
	       qcow_cache_is_dirty(img->cache,
				   l2_entry_host_offset(img, l1_entry, guest_offset));
}

/**
 * qcow_l2_durable() - tell whether the entries of a piece of the disk are durable
 * @a: of the image, whose last flush did not fail
 * @guest_offset: bytes into the disk
 * @len: bytes, at least 1
 *
 * Everything that a durable entry refers to was made durable before it.
 *
 * Context: under a->store_lock, so that no slice is being written. May sleep.
 *
 * Return: whether they are.
 */
bool qcow_l2_durable(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	u64 covers = slice_covers(a->img), guest_end = guest_offset + len;
	u32 shift = qcow_layout_l1_shift(&a->img->layout);
	u64 next = guest_offset & ~(covers - 1);
	bool durable;

	lockdep_assert_held(&a->store_lock);
	mutex_lock(&a->lock);
	durable = a->l1.dirty.hi <= guest_offset >> shift ||
		  a->l1.dirty.lo > (guest_end - 1) >> shift;
	mutex_unlock(&a->lock);
	for (; durable && next < guest_end; next += covers)
		durable = !l2_is_dirty(a->img, next);
	return durable;
}

/*
 * A cluster that two tables refer to is shared, so its COPIED flag goes. It is in the
 * first half of an extended entry.
 */
static void l2_clear_copied(const struct qcow_image *img, __be64 *data)
{
	u32 step = img->layout.extended_l2 ? 2 : 1;
	u32 nr = 1U << (img->cache->slice_bits - 3), i;

	for (i = 0; i < nr; i += step)
		data[i] &= ~cpu_to_be64(QCOW_DISK_E_COPIED);
}

/*
 * Fill one slice of a new L2 table, which maps the disk from @guest_offset on, from the old
 * one if there is one.
 */
static int l2_copy_slice(struct qcow_alloc *a, u64 new_host_offset, u64 old_host_offset,
			 u64 guest_offset)
{
	struct qcow_image *img = a->img;
	struct qcow_cache *cache = img->cache;
	struct qcow_slice *old = NULL, *new;
	int err;

	if (old_host_offset) {
		old = qcow_cache_get(cache, old_host_offset);
		if (IS_ERR(old))
			return PTR_ERR(old);
	}
	new = qcow_cache_get_new(cache, new_host_offset);
	if (!IS_ERR(new) && old) {
		spin_lock(&cache->lock);
		memcpy(new->data, old->data, 1UL << cache->slice_bits);
		if (!img->layout.data_file)
			l2_clear_copied(img, new->data);
		spin_unlock(&cache->lock);
	}
	if (old)
		qcow_cache_put(old);
	if (IS_ERR(new))
		return PTR_ERR(new);
	err = qcow_vet_slice(a, new, guest_offset);
	qcow_cache_put(new);
	return err;
}

static int l2_fill(struct qcow_alloc *a, u64 new_host_offset, u64 old_host_offset,
		   u64 guest_offset)
{
	struct qcow_image *img = a->img;
	u64 bytes = qcow_layout_l2_bytes(&img->layout), in_table;
	int err = 0;

	for (in_table = 0; !err && in_table < bytes;
	     in_table += 1ULL << img->cache->slice_bits)
		err = l2_copy_slice(a, new_host_offset + in_table,
				    old_host_offset ? old_host_offset + in_table : 0,
				    guest_offset + (in_table >> img->layout.entry_bits
						    << img->layout.cluster_bits));
	return err;
}

/* Change an L1 entry in memory; its old table may lose a reference. */
static void l1_set(struct qcow_alloc *a, u64 l1_index, u64 table, u64 old)
{
	mutex_lock(&a->lock);
	/* Pairs with qcow_map(): the new table is in memory before. */
	smp_store_release(&a->img->l1[l1_index],
			  qcow_entry_make_l1(&a->img->layout, table));
	qcow_dirty_range_add(&a->l1.dirty, l1_index);
	if (old)
		__qcow_release(a, old >> qcow_alloc_cluster_bits(a), 1);
	mutex_unlock(&a->lock);
}

/*
 * Allocate clusters for an L2 table, with space for it, and register them as metadata.
 */
static int l2_take(struct qcow_alloc *a, u64 *first, u32 *nr)
{
	const struct qcow_layout *lay = &a->img->layout;
	bool fresh;
	int err;

	*nr = DIV_ROUND_UP_ULL(qcow_layout_l2_bytes(lay),
			       1ULL << lay->cluster_bits);
	if (*nr > 1)
		return qcow_alloc_run(a, QCOW_META_L2, *nr, first);
	err = qcow_alloc_clusters(a, 1, first, nr, &fresh);
	if (err)
		return err;
	err = qcow_space_secure(&a->img->file, *first << lay->cluster_bits,
				1ULL << lay->cluster_bits);
	if (!err)
		err = qcow_register_new(&a->reg, QCOW_META_L2, *first << lay->cluster_bits,
					1ULL << lay->cluster_bits);
	if (err)
		qcow_alloc_undo(a, *first, 1);
	return err;
}

/*
 * Undo l2_take() of a table that nothing leads to. No flush may have a copy of a slice,
 * which it would write when the clusters have other data.
 */
static void l2_drop(struct qcow_alloc *a, u64 first, u32 nr)
{
	struct qcow_cache *cache = a->img->cache;
	u64 table_host_offset = first << qcow_alloc_cluster_bits(a), in_table;
	u64 bytes = qcow_layout_l2_bytes(&a->img->layout);

	mutex_lock(&a->store_lock);
	for (in_table = 0; in_table < bytes; in_table += 1ULL << cache->slice_bits)
		qcow_cache_clean(cache, table_host_offset + in_table);
	mutex_unlock(&a->store_lock);
	qcow_register_forget(&a->reg, table_host_offset, (u64)nr << qcow_alloc_cluster_bits(a));
	qcow_alloc_undo(a, first, nr);
}

/*
 * Make an L2 table that is the image's own: an empty one, a copy of one that a snapshot
 * shares, or the existing one if only its COPIED flag is missing.
 */
static int l2_make(struct qcow_alloc *a, u64 l1_index)
{
	struct qcow_image *img = a->img;
	u32 bits = img->layout.cluster_bits;
	u64 old, cluster, refs = 0;
	int err;
	u32 nr;

	err = qcow_entry_l1(&img->layout, img->l1[l1_index], &old);
	if (err) {
		qcow_image_damaged(img, l1_index << qcow_layout_l1_shift(&img->layout),
				   "L2 table offset is not aligned");
		return err;
	}
	if (old && a->l1.share)
		a->l1.share->table(a->l1.share, l1_index);
	if (old)
		err = qcow_refcount_get(a, old >> bits, &refs);
	if (!err && refs == 1) {
		l1_set(a, l1_index, old, 0);
		return 0;
	}
	if (!err)
		err = l2_take(a, &cluster, &nr);
	if (err)
		return err;
	err = l2_fill(a, cluster << bits, old,
		      l1_index << qcow_layout_l1_shift(&img->layout));
	if (err) {
		l2_drop(a, cluster, nr);
		return err;
	}
	l1_set(a, l1_index, cluster << bits, old);
	return 0;
}

/* Look for strays in slices whose entries are about to be changed. */
static int l2_vet(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	u64 covers = slice_covers(a->img);
	u64 slice_guest_offset = guest_offset & ~(covers - 1);
	struct qcow_slice *slice;
	int err = 0;

	for (; !err && slice_guest_offset < guest_offset + len;
	     slice_guest_offset += covers) {
		slice = l2_slice(a->img, slice_guest_offset);
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		err = qcow_vet_slice(a, slice, slice_guest_offset);
		qcow_cache_put(slice);
	}
	return err;
}

/**
 * qcow_l2_prepare() - make sure that L2 tables exist and are the image's own
 * @a: of the image
 * @guest_offset: bytes into the disk
 * @len: bytes that they have to map, at least 1
 *
 * Looks for strays before any entry is changed.
 *
 * Context: under qcow_inflight_lock(), in an I/O that is counted by
 * qcow_inflight_begin(). May sleep.
 *
 * Return: 0, -ENOSPC, -ENOMEM, qcow_writeback_refused(), or the error of reading
 * metadata.
 */
int qcow_l2_prepare(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	const struct qcow_layout *lay = &a->img->layout;
	u32 shift = qcow_layout_l1_shift(lay);
	u64 i = guest_offset >> shift, last = (guest_offset + len - 1) >> shift;
	int err = qcow_writeback_refused(a);

	for (; !err && i <= last; i++) {
		if (likely(qcow_entry_l1_own(lay, READ_ONCE(a->img->l1[i]))))
			continue;
		mutex_lock(&a->l1.lock);
		if (!qcow_entry_l1_own(lay, a->img->l1[i]))
			err = l2_make(a, i);
		mutex_unlock(&a->l1.lock);
	}
	return err ?: l2_vet(a, guest_offset, len);
}

/* --- L2 entries --- */

static struct qcow_l2_entry entry_get(const struct qcow_image *img,
				      const struct qcow_slice *slice, u32 index)
{
	if (!img->layout.extended_l2)
		return (struct qcow_l2_entry) {
			.raw = be64_to_cpu(slice->data[index]),
		};
	return (struct qcow_l2_entry) {
		.raw = be64_to_cpu(slice->data[2 * index]),
		.bitmap = be64_to_cpu(slice->data[2 * index + 1]),
	};
}

static void entry_set(const struct qcow_image *img, struct qcow_slice *slice,
		      u32 index, struct qcow_l2_entry e)
{
	if (!img->layout.extended_l2) {
		WRITE_ONCE(slice->data[index], cpu_to_be64(e.raw));
		return;
	}
	write_seqcount_begin(&img->cache->seq);
	WRITE_ONCE(slice->data[2 * index], cpu_to_be64(e.raw));
	WRITE_ONCE(slice->data[2 * index + 1], cpu_to_be64(e.bitmap));
	write_seqcount_end(&img->cache->seq);
}

/* Return: true if an entry reads as zeros, whatever the chain has, and has no cluster. */
static bool entry_is_empty(const struct qcow_image *img, struct qcow_l2_entry e)
{
	if (img->layout.extended_l2)
		return !e.raw && !(u32)e.bitmap &&
		       (!img->backing || e.bitmap >> 32 == U32_MAX);
	if (img->layout.version >= 3 && e.raw == QCOW_DISK_L2E_ZERO)
		return true;
	return !e.raw && !img->backing;
}

static bool slice_is_empty(const struct qcow_image *img, const struct qcow_slice *slice)
{
	u32 i = 0;

	lockdep_assert_held(&img->cache->lock);
	while (i < img->slice_entries && entry_is_empty(img, entry_get(img, slice, i)))
		i++;
	return i == img->slice_entries;
}

/* Note a slice if all of its entries are empty. */
static void empty_look(struct qcow_alloc *a, unsigned long *bits, u64 guest_offset)
{
	struct qcow_image *img = a->img;
	struct qcow_slice *slice = l2_slice(img, guest_offset);

	/* The entries were in memory a moment ago; without the slice nothing is noted. */
	if (IS_ERR(slice))
		return;
	spin_lock(&img->cache->lock);
	if (slice_is_empty(img, slice))
		set_bit(slice_index(img, guest_offset), bits);
	spin_unlock(&img->cache->lock);
	qcow_cache_put(slice);
}

/**
 * qcow_l2_note_empty() - note which slices of L2 tables are empty
 * @a: of the image
 * @guest_offset: guest offset
 * @len: bytes that read as zeros by their entries in an L2 table, and have no clusters
 *
 * A slice whose end the range reaches is noted. If it begins before the range, its entries
 * are looked at.
 *
 * Context: under qcow_inflight_lock() of the range. May sleep.
 */
void qcow_l2_note_empty(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	u64 covers = slice_covers(a->img), guest_end = guest_offset + len;
	u64 next = guest_offset & ~(covers - 1);
	unsigned long *bits;

	if (a->img->layout.data_file || next + covers > guest_end ||
	    !READ_ONCE(a->img->l1[guest_offset >> qcow_layout_l1_shift(&a->img->layout)]))
		return;
	bits = empty_bits(a);
	for (; bits && next + covers <= guest_end; next += covers)
		if (next >= guest_offset)
			set_bit(slice_index(a->img, next), bits);
		else
			empty_look(a, bits, next);
}

/* Release the clusters of an entry that was replaced. */
static void entry_release(struct qcow_alloc *a, u64 raw, u64 guest_offset)
{
	const char *fault;
	u64 first;
	u32 nr;

	if (qcow_entry_clusters(&a->img->layout, raw, guest_offset, &first, &nr,
				&fault))
		qcow_image_damaged(a->img, guest_offset, fault);
	else if (nr && qcow_register_has_any(&a->reg, first, nr))
		qcow_image_damaged(a->img, guest_offset, "guest data lies in metadata");
	else if (nr)
		qcow_release(a, first, nr);
}

/**
 * struct change - a change of entries
 * @data: the entries get data, at @host_offset; else they read as zeros
 * @hole: the entries become empty
 * @unmap: zeros: release the clusters
 * @host_offset: host offset of the first byte
 */
struct change {
	bool data;
	bool hole;
	bool unmap;
	u64 host_offset;
};

static int change_entry(const struct qcow_layout *lay, const struct change *c,
			struct qcow_l2_entry old, u64 guest_offset, u64 len,
			struct qcow_l2_entry *new)
{
	if (c->hole) {
		*new = (struct qcow_l2_entry) { };
		return 0;
	}
	if (!c->data)
		return qcow_entry_zero(lay, old, guest_offset, len, c->unmap, new);
	*new = qcow_entry_data(lay, old, guest_offset, len, c->host_offset);
	return 0;
}

/*
 * Change the entry of one cluster in its slice. @released: out: the old entry, if the
 * caller has to pass it to entry_release(), or 0. Does not sleep.
 */
static int l2_set_in_slice(struct qcow_image *img, struct qcow_slice *slice,
			   const struct change *c, u64 guest_offset, u64 len,
			   u64 *released)
{
	u32 index = (guest_offset >> img->layout.cluster_bits) & (img->slice_entries - 1);
	struct qcow_l2_entry old, new;
	int err;

	spin_lock(&img->cache->lock);
	old = entry_get(img, slice, index);
	err = change_entry(&img->layout, c, old, guest_offset, len, &new);
	if (!err && (old.raw != new.raw || old.bitmap != new.bitmap)) {
		entry_set(img, slice, index, new);
		empty_clear(img->alloc, guest_offset);
		__qcow_cache_dirty(slice);
	}
	spin_unlock(&img->cache->lock);
	*released = 0;
	if (!err && ((old.raw ^ new.raw) & ~QCOW_DISK_L2E_ZERO))
		*released = old.raw;
	return err;
}

/* Change the entry of one cluster. */
static int l2_set_one(struct qcow_alloc *a, const struct change *c, u64 guest_offset,
		      u64 len)
{
	struct qcow_slice *slice = l2_slice(a->img, guest_offset);
	u64 released;
	int err;

	if (IS_ERR(slice))
		return PTR_ERR(slice);
	err = l2_set_in_slice(a->img, slice, c, guest_offset, len, &released);
	qcow_cache_put(slice);
	if (released)
		entry_release(a, released, guest_offset);
	return err;
}

/* Return: bytes done of @len from @guest_offset on; if less than @len, the error in @err. */
static u64 l2_set_range(struct qcow_alloc *a, struct change *c, u64 guest_offset, u64 len,
			int *err)
{
	u32 bits = a->img->layout.cluster_bits;
	u64 bytes_done = 0, n;

	for (*err = 0; bytes_done < len; bytes_done += n, c->host_offset += n) {
		n = min(len - bytes_done, (1ULL << bits) - ((guest_offset + bytes_done) &
							    ((1ULL << bits) - 1)));
		*err = l2_set_one(a, c, guest_offset + bytes_done, n);
		if (*err)
			break;
		cond_resched();
	}
	return bytes_done;
}

/**
 * qcow_l2_set_data() - make entries of a piece of the disk lead to its data
 * @a: of the image
 * @guest_offset: guest offset, aligned to a grain
 * @len: bytes, whole grains; qcow_l2_prepare() was called for them
 * @host_offset: host offset of their data, which is written
 * @taken: the host clusters were allocated for it
 *
 * Context: under qcow_inflight_lock(). May sleep.
 *
 * Return: 0, or the error of reading an L2 table: the rest is not linked, and the
 * clusters that were allocated for it are free again.
 */
int qcow_l2_set_data(struct qcow_alloc *a, u64 guest_offset, u64 len, u64 host_offset,
		     bool taken)
{
	struct change c = { .data = true, .host_offset = host_offset };
	u32 bits = a->img->layout.cluster_bits;
	u64 bytes_done;
	int err;

	bytes_done = l2_set_range(a, &c, guest_offset, len, &err);
	if (err && taken)
		qcow_alloc_undo(a, (host_offset + bytes_done) >> bits,
				((host_offset + len - 1) >> bits) -
					((host_offset + bytes_done) >> bits) + 1);
	return err;
}

/**
 * qcow_l2_set_zero() - make a piece of the disk read as zeros
 * @a: of the image
 * @guest_offset: guest offset, aligned to a cluster, or to a grain
 * @len: bytes, whole clusters or grains; qcow_l2_prepare() was called for them
 * @unmap: release the clusters
 *
 * Not for a version 2 image that has a backing file.
 *
 * Context: under qcow_inflight_lock(). May sleep.
 *
 * Return: 0; -EAGAIN: a part of a compressed cluster has to be written; or the error of
 * reading an L2 table. A part of the range may be done.
 */
int qcow_l2_set_zero(struct qcow_alloc *a, u64 guest_offset, u64 len, bool unmap)
{
	struct change c = { .unmap = unmap };
	int err;

	l2_set_range(a, &c, guest_offset, len, &err);
	return err;
}

/**
 * qcow_l2_set_hole() - make a piece of the disk a hole
 * @a: of the image
 * @guest_offset: guest offset, aligned to a cluster
 * @len: bytes, whole clusters; qcow_l2_prepare() was called for them
 *
 * The backing file shows there.
 *
 * Context: under qcow_inflight_lock(). May sleep.
 *
 * Return: 0, or the error of reading an L2 table. A part of the range may be done.
 */
int qcow_l2_set_hole(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	struct change c = { .hole = true };
	int err;

	l2_set_range(a, &c, guest_offset, len, &err);
	return err;
}
