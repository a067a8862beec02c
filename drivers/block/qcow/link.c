// SPDX-License-Identifier: GPL-2.0
/*
 * Giving clusters of the disk a place: L2 tables of our own, and their entries.
 *
 * All in memory; commit.c makes it durable.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "cache.h"
#include "link.h"

static u64 l1_index_of(const struct qcow_image *img, u64 cluster)
{
	return cluster >> img->layout.l2_bits;
}

/* The slice with a cluster's L2 entry, and the entry's place in it. */
static struct qcow_slice *l2_slice(struct qcow_image *img, u64 cluster,
				   u32 *index)
{
	u64 l2_offset = img->l1[l1_index_of(img, cluster)] &
			QCOW_DISK_L1E_OFFSET_MASK;
	u64 l2_index = cluster & ((1ULL << img->layout.l2_bits) - 1);

	*index = l2_index & (img->slice_entries - 1);
	return qcow_cache_get(img->cache,
			      l2_offset + (l2_index << img->layout.entry_bits));
}

/* Fill one slice of a new L2 table, from the old one if there is one. */
static int l2_copy_slice(struct qcow_image *img, u64 to, u64 from)
{
	struct qcow_cache *cache = img->cache;
	struct qcow_slice *old = NULL, *new;

	if (from) {
		old = qcow_cache_get(cache, from);
		if (IS_ERR(old))
			return PTR_ERR(old);
	}
	new = qcow_cache_get_new(cache, to);
	if (!IS_ERR(new) && old) {
		spin_lock(&cache->lock);
		memcpy(new->data, old->data, 1UL << cache->slice_bits);
		spin_unlock(&cache->lock);
	}
	if (old)
		qcow_cache_put(old);
	if (IS_ERR(new))
		return PTR_ERR(new);
	qcow_cache_put(new);
	return 0;
}

static int l2_fill(struct qcow_alloc *a, u64 to, u64 from)
{
	struct qcow_image *img = a->img;
	u64 bytes = 1ULL << img->layout.cluster_bits, pos;
	int err;

	err = qcow_alloc_add_meta(a, to, bytes);
	for (pos = 0; !err && pos < bytes; pos += 1ULL << img->cache->slice_bits)
		err = l2_copy_slice(img, to + pos, from ? from + pos : 0);
	return err;
}

/* A new L2 table: empty, or a copy of one that a snapshot refers to as well. */
static int l2_make(struct qcow_alloc *a, u64 l1_index)
{
	struct qcow_image *img = a->img;
	u32 bits = img->layout.cluster_bits;
	u64 old, cluster;
	bool fresh;
	u32 got;
	int err;

	err = qcow_entry_l1(&img->layout, img->l1[l1_index], &old);
	if (!err)
		err = qcow_alloc_clusters(a, 1, &cluster, &got, &fresh);
	if (err)
		return err;
	err = l2_fill(a, cluster << bits, old);
	if (err) {
		qcow_alloc_release(a, cluster, 1);
		return err;
	}
	mutex_lock(&a->lock);
	WRITE_ONCE(img->l1[l1_index], (cluster << bits) | QCOW_DISK_E_COPIED);
	qcow_dirty_range_add(&a->l1_dirty, l1_index);
	mutex_unlock(&a->lock);
	if (old)
		qcow_alloc_release(a, old >> bits, 1);
	return 0;
}

/**
 * qcow_link_prepare() - see to it that clusters' L2 tables are ours alone
 * @a: of the image
 * @first: number of the first cluster of the disk
 * @nr: how many
 *
 * May sleep. Return: 0, -ENOSPC, -ENOMEM, or the error of reading metadata.
 */
int qcow_link_prepare(struct qcow_alloc *a, u64 first, u32 nr)
{
	u64 i = l1_index_of(a->img, first);
	u64 last = l1_index_of(a->img, first + nr - 1);
	int err = 0;

	for (; !err && i <= last; i++) {
		if (likely(READ_ONCE(a->img->l1[i]) & QCOW_DISK_E_COPIED))
			continue;
		mutex_lock(&a->l1_lock);
		if (!(a->img->l1[i] & QCOW_DISK_E_COPIED))
			err = l2_make(a, i);
		mutex_unlock(&a->l1_lock);
	}
	return err;
}

/* What an entry that is replaced referred to loses a reference. */
static void release_entry(struct qcow_alloc *a, u64 raw, u64 guest)
{
	u32 bits = a->img->layout.cluster_bits;
	struct qcow_entry e;
	u64 first, last;

	if (qcow_entry_l2(&a->img->layout, raw, 0, guest, &e) || !e.host)
		return;
	first = e.host >> bits;
	last = e.type == QCOW_EXTENT_COMPRESSED ?
	       (e.host + e.csize - 1) >> bits : first;
	qcow_alloc_release(a, first, last - first + 1);
}

static int link_one(struct qcow_alloc *a, u64 cluster, u64 host)
{
	struct qcow_image *img = a->img;
	struct qcow_slice *slice;
	__be64 old;
	u32 index;

	slice = l2_slice(img, cluster, &index);
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	spin_lock(&img->cache->lock);
	old = slice->data[index];
	WRITE_ONCE(slice->data[index], cpu_to_be64(host | QCOW_DISK_E_COPIED));
	__qcow_cache_dirty(slice);
	spin_unlock(&img->cache->lock);
	qcow_cache_put(slice);
	if (old)
		release_entry(a, be64_to_cpu(old),
			      cluster << img->layout.cluster_bits);
	return 0;
}

/**
 * qcow_link() - give clusters of the disk their place
 * @a: of the image
 * @first: number of the first cluster of the disk; qcow_link_prepare() was
 *	called for them
 * @nr: how many
 * @host: bytes into the file of the first one's data; the others follow
 *
 * Their data is written. Context: under qcow_alloc_lock_range(). May sleep.
 * Return: 0, or the error of reading an L2 table: the rest is not linked, and
 * its clusters are released.
 */
int qcow_link(struct qcow_alloc *a, u64 first, u32 nr, u64 host)
{
	u32 bits = a->img->layout.cluster_bits;
	int err;
	u32 i;

	for (i = 0; i < nr; i++) {
		err = link_one(a, first + i, host + ((u64)i << bits));
		if (err) {
			qcow_alloc_release(a, (host >> bits) + i, nr - i);
			return err;
		}
	}
	return 0;
}
