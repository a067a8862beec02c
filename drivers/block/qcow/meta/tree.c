// SPDX-License-Identifier: GPL-2.0
/*
 * The tree below an L1 table: adding or dropping a reference to each of its clusters,
 * and the COPIED flags that follow. jobs/snapshot_ops.c calls it for snapshots,
 * jobs/commit.c for an emptied image.
 *
 * A cluster has as many references as there are ways to it from L1 tables: clusters of
 * an L2 table that two L1 tables share count twice. COPIED in the active L1 table and
 * its L2 tables says that there is one way only.
 */
#include <linux/err.h>
#include <linux/jiffies.h>

#include "file/cache.h"
#include "meta/flush.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/tree.h"
#include "meta/vet.h"
#include "meta/writeback.h"

/**
 * struct walk - a pass over the entries of an L2 table
 * @a: of the image
 * @raise: references are added, and COPIED flags cleared; else references are dropped
 * @done: entries that are done
 * @first: first of the clusters in a row that are collected and not done yet
 * @nr: number of clusters
 */
struct walk {
	struct qcow_alloc *a;
	bool raise;
	u32 done;
	u64 first;
	u32 nr;
};

/* Words between two entries, as a shift. */
static u32 entry_step(const struct qcow_image *img)
{
	return img->layout.extended_l2 ? 1 : 0;
}

/* --- References --- */

/* Guest data that lies in metadata must not be freed. */
static bool run_is_meta(const struct walk *w)
{
	return qcow_register_has_any(&w->a->reg, w->first, w->nr);
}

/* Do the collected clusters, up to entry @i. */
static int walk_flush(struct walk *w, u32 i)
{
	int err = 0;

	if (w->nr && w->raise)
		err = run_is_meta(w) ? -EUCLEAN :
				       qcow_refcount_raise(w->a, w->first, w->nr);
	else if (w->nr && !run_is_meta(w))
		qcow_release_now(w->a, w->first, w->nr);
	if (err)
		return err;
	w->nr = 0;
	w->done = i;
	return 0;
}

static int walk_entry(struct walk *w, u64 raw, u32 i)
{
	const char *fault;
	u64 first;
	u32 nr;
	int err;

	err = qcow_entry_clusters(&w->a->img->layout, raw, 0, &first, &nr,
				  &fault);
	if (err)
		return w->raise ? -EUCLEAN : 0;
	if (!nr)
		return 0;
	if (w->nr && first == w->first + w->nr) {
		w->nr += nr;
		return 0;
	}
	err = walk_flush(w, i);
	w->first = first;
	w->nr = nr;
	return err;
}

/* Clear COPIED flags: clusters with several references are not the disk's own. */
static void slice_share(struct qcow_image *img, struct qcow_slice *slice)
{
	__be64 copied = cpu_to_be64(QCOW_DISK_E_COPIED);
	struct qcow_cache *cache = img->cache;
	bool changed = false;
	u32 i;

	spin_lock(&cache->lock);
	for (i = 0; i < img->slice_entries; i++) {
		__be64 *e = &slice->data[i << entry_step(img)];

		if (!(*e & copied))
			continue;
		WRITE_ONCE(*e, *e & ~copied);
		changed = true;
	}
	if (changed)
		__qcow_cache_dirty(slice);
	spin_unlock(&cache->lock);
}

static int walk_slice(struct walk *w, struct qcow_slice *slice, u32 first, u32 end)
{
	struct qcow_image *img = w->a->img;
	u64 raw;
	u32 i;
	int err;

	for (i = first; i < end; i++) {
		raw = be64_to_cpu(slice->data[(i - first) << entry_step(img)]);
		if (!raw)
			continue;
		err = walk_entry(w, raw, i);
		if (err)
			return err;
	}
	err = walk_flush(w, end);
	if (!err && w->raise)
		slice_share(img, slice);
	return err;
}

/* Walk over the first @nr entries of a table. */
static int walk_table(struct walk *w, u64 l2_host_offset, u32 nr)
{
	struct qcow_image *img = w->a->img;
	struct qcow_slice *slice;
	u32 first, end;
	int err = 0;

	for (first = 0; !err && first < nr; first = end) {
		end = min(first + img->slice_entries, nr);
		slice = qcow_cache_get(img->cache, l2_host_offset +
				       ((u64)first << img->layout.entry_bits));
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		err = walk_slice(w, slice, first, end);
		qcow_cache_put(slice);
		cond_resched();
	}
	return err;
}

static bool table_valid(struct qcow_alloc *a, u64 l2_host_offset)
{
	enum qcow_meta kind = qcow_register_kind(&a->reg,
				l2_host_offset >> qcow_alloc_cluster_bits(a));

	return !kind || kind == QCOW_META_L2;
}

/**
 * qcow_tree_raise_table() - add a reference to an L2 table and all its clusters
 * @a: of the image
 * @l2_host_offset: host offset of the table, which no task changes meanwhile
 *
 * Clears COPIED in its entries. In memory; a flush makes the references durable before
 * the flags.
 *
 * Context: may sleep.
 *
 * Return: 0; -EOVERFLOW: a refcount has not enough bits; -EUCLEAN: the table is
 * damaged; or another error. No reference is added then, but COPIED flags may be
 * cleared: see qcow_tree_own().
 */
int qcow_tree_raise_table(struct qcow_alloc *a, u64 l2_host_offset)
{
	u64 cluster = l2_host_offset >> qcow_alloc_cluster_bits(a);
	struct walk w = { .a = a, .raise = true };
	struct walk undo = { .a = a };
	int err, ret;

	if (!table_valid(a, l2_host_offset))
		return -EUCLEAN;
	err = qcow_refcount_raise(a, cluster, 1);
	if (err)
		return err;
	err = walk_table(&w, l2_host_offset, 1U << a->img->layout.l2_bits);
	if (!err)
		return 0;
	ret = walk_table(&undo, l2_host_offset, w.done);
	if (!ret)
		qcow_release_now(a, cluster, 1);
	return err;
}

/* Keep the references of a table that cannot be dropped: its clusters are leaked. */
static void leak_table(struct qcow_alloc *a, u64 l2_host_offset, int err)
{
	if (test_and_set_bit(QCOW_IMAGE_LEAKED, &a->img->flags))
		return;
	pr_warn("%s: clusters of the L2 table at %#llx, which is to go, are lost space: error %d; see qcowctl check\n",
		a->img->label, l2_host_offset, err);
}

/*
 * Undo qcow_tree_raise_table(). The references are durably gone, and no I/O goes by them.
 * Strays are found before the first of them is dropped; a table whose own refcount is 0
 * was dropped too often already, which qcow_release_now() reports.
 */
static void lower_table(struct qcow_alloc *a, u64 l2_host_offset, u64 guest_offset)
{
	u64 cluster = l2_host_offset >> qcow_alloc_cluster_bits(a), refs;
	struct walk w = { .a = a };
	int err;

	if (!table_valid(a, l2_host_offset))
		return;
	err = qcow_refcount_get(a, cluster, &refs);
	if (!err && refs)
		err = qcow_vet_table(a, l2_host_offset, guest_offset);
	if (!err && refs)
		err = walk_table(&w, l2_host_offset, 1U << a->img->layout.l2_bits);
	if (err)
		leak_table(a, l2_host_offset, err);
	else
		qcow_release_now(a, cluster, 1);
}

/**
 * qcow_tree_breathe() - flush if many slices are dirty
 * @a: of the image
 *
 * Context: as qcow_flush(). An error shows at the next flush.
 */
void qcow_tree_breathe(struct qcow_alloc *a)
{
	int err = 0;

	if (qcow_writeback_caches_full(a))
		err = qcow_flush(a);
	if (err)
		qcow_writeback_soon(a);
	cond_resched();
}

/*
 * Return: true to end early. The image's author decides how much work there is: all
 * entries of an L1 table may name one L2 table.
 */
static bool tree_enough(const struct qcow_alloc *a, unsigned long begun)
{
	return qcow_image_stopped(a->img) ||
	       (READ_ONCE(a->failed) && qcow_writeback_refused(a)) ||
	       qcow_image_overdue(a->img, begun);
}

/**
 * qcow_tree_bytes() - bytes of the disk that a pass over an L1 table goes through
 * @a: of the image
 * @size: entries of the table
 *
 * Return: the bytes, for qcow_image_expect().
 */
u64 qcow_tree_bytes(const struct qcow_alloc *a, u32 size)
{
	return (u64)size << qcow_layout_l1_shift(&a->img->layout);
}

/**
 * qcow_tree_advance() - say that a pass over an L1 table is through with an entry
 * @a: of the image
 *
 * Context: any.
 */
void qcow_tree_advance(const struct qcow_alloc *a)
{
	qcow_image_advance(a->img, qcow_tree_bytes(a, 1));
}

/**
 * qcow_tree_lower() - undo qcow_tree_raise()
 * @a: of the image
 * @l1: in the CPU's byte order
 * @size: entries
 *
 * For references that are durably gone, and that no I/O goes by. Clusters of damaged
 * entries are leaked; so are those of a table that cannot be read or has too many
 * strays, which is logged, and the image gets QCOW_IMAGE_LEAKED.
 *
 * If qcow_image_overdue(), the rest is leaked, which is logged, and the image gets
 * QCOW_IMAGE_LEAKED.
 */
void qcow_tree_lower(struct qcow_alloc *a, const u64 *l1, u32 size)
{
	unsigned long begun = jiffies;
	u64 l2_host_offset;
	u32 i;

	for (i = 0; i < size; i++) {
		if (!(i % 1024))
			cond_resched();
		qcow_tree_advance(a);
		if (qcow_entry_l1(&a->img->layout, l1[i], &l2_host_offset) ||
		    !l2_host_offset)
			continue;
		if (tree_enough(a, begun)) {
			pr_warn("%s: of %u L2 tables that are to go, those from %u on are lost space: see qcowctl check\n",
				a->img->label, size, i);
			set_bit(QCOW_IMAGE_LEAKED, &a->img->flags);
			return;
		}
		lower_table(a, l2_host_offset, qcow_tree_bytes(a, i));
		qcow_tree_breathe(a);
	}
}

/**
 * qcow_tree_raise() - as qcow_tree_raise_table(), for all of an L1 table
 * @a: of the image
 * @l1: in the CPU's byte order
 * @size: entries
 *
 * Return: as qcow_tree_raise_table(), or as qcow_image_interrupted().
 */
int qcow_tree_raise(struct qcow_alloc *a, const u64 *l1, u32 size)
{
	u64 l2_host_offset;
	int err = 0;
	u32 i;

	for (i = 0; i < size; i++) {
		qcow_tree_advance(a);
		err = qcow_entry_l1(&a->img->layout, l1[i], &l2_host_offset);
		if (err)
			err = -EUCLEAN;
		else if (l2_host_offset)
			err = qcow_tree_raise_table(a, l2_host_offset);
		if (err)
			break;
		err = qcow_image_interrupted(a->img);
		if (err) {
			i++;
			break;
		}
		qcow_tree_breathe(a);
	}
	if (err)
		qcow_tree_lower(a, l1, i);
	return err;
}

/* --- COPIED flags --- */

/* Return: the cluster of an entry that may get the COPIED flag, or 0. */
static u64 own_cluster(const struct qcow_image *img, const struct qcow_slice *slice, u32 i)
{
	u64 raw = be64_to_cpu(slice->data[i << entry_step(img)]);

	if (raw & (QCOW_DISK_E_COPIED | QCOW_DISK_L2E_COMPRESSED))
		return 0;
	return (raw & QCOW_DISK_L2E_OFFSET_MASK) >> img->layout.cluster_bits;
}

/* Set the flag of @nr entries from @i on. */
static void own_set(struct qcow_image *img, struct qcow_slice *slice, u32 i, u32 nr)
{
	spin_lock(&img->cache->lock);
	for (; nr; nr--, i++) {
		__be64 *e = &slice->data[i << entry_step(img)];

		WRITE_ONCE(*e, *e | cpu_to_be64(QCOW_DISK_E_COPIED));
	}
	__qcow_cache_dirty(slice);
	spin_unlock(&img->cache->lock);
}

/*
 * Do entries from @i on whose clusters are in a row and have the same refcount. No task
 * changes them: their guest clusters are locked. Return: their number, or an error.
 */
static int own_run(struct qcow_alloc *a, struct qcow_slice *slice, u32 i)
{
	struct qcow_image *img = a->img;
	u64 first = own_cluster(img, slice, i), refs;
	u32 nr = 1;
	int ret;

	if (!first)
		return 1;
	while (i + nr < img->slice_entries && own_cluster(img, slice, i + nr) == first + nr)
		nr++;
	mutex_lock(&a->lock);
	ret = __qcow_refcount_run(a, first, nr, &refs);
	mutex_unlock(&a->lock);
	if (ret > 0 && refs == 1)
		own_set(img, slice, i, ret);
	return ret;
}

static int own_entries(struct qcow_alloc *a, u64 l2_host_offset)
{
	struct qcow_image *img = a->img;
	u32 nr = 1U << img->layout.l2_bits, first, i;
	struct qcow_slice *slice;
	int ret = 0;

	for (first = 0; ret >= 0 && first < nr; first += img->slice_entries) {
		slice = qcow_cache_get(img->cache, l2_host_offset +
				       ((u64)first << img->layout.entry_bits));
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		for (i = 0; ret >= 0 && i < img->slice_entries; i += ret)
			ret = own_run(a, slice, i);
		qcow_cache_put(slice);
		cond_resched();
	}
	return min(ret, 0);
}

/* Set @own if the active table of an L1 entry has no other reference. */
static int own_table(struct qcow_alloc *a, u32 i, u64 *l2_host_offset, bool *own)
{
	u64 *entry = &a->img->l1[i], refs = 0;
	int err;

	*own = false;
	mutex_lock(&a->l1.lock);
	err = qcow_entry_l1(&a->img->layout, *entry, l2_host_offset);
	if (!err && *l2_host_offset)
		err = qcow_refcount_get(a, *l2_host_offset >> qcow_alloc_cluster_bits(a),
					&refs);
	if (!err && refs == 1) {
		*own = true;
		mutex_lock(&a->lock);
		if (!(*entry & QCOW_DISK_E_COPIED)) {
			WRITE_ONCE(*entry, *entry | QCOW_DISK_E_COPIED);
			qcow_dirty_range_add(&a->l1.dirty, i);
		}
		mutex_unlock(&a->lock);
	}
	mutex_unlock(&a->l1.lock);
	return err;
}

/**
 * qcow_tree_own() - set missing COPIED flags in the active tables
 * @a: of the image
 *
 * For use after references were dropped. I/O may be under way: guest clusters are
 * locked while their flags are set, or a COW write of a cluster would undo a write in
 * place to it. A flush makes the refcounts durable before the flags.
 *
 * Context: as qcow_flush(). May sleep.
 *
 * Return: 0; or an error: flags are missing, which costs copies; -EINTR:
 * qcow_image_overdue().
 */
int qcow_tree_own(struct qcow_alloc *a)
{
	unsigned long begun = jiffies;
	struct qcow_range range;
	int err = 0, ret;
	u64 l2_host_offset;
	bool own;
	u32 i;

	for (i = 0; i < a->img->l1_size; i++) {
		qcow_tree_advance(a);
		if (!(READ_ONCE(a->img->l1[i]) & QCOW_DISK_L1E_OFFSET_MASK))
			continue;
		if (tree_enough(a, begun))
			return err ?: -EINTR;
		range.first = (u64)i << a->img->layout.l2_bits;
		range.last = range.first + (1ULL << a->img->layout.l2_bits) - 1;
		qcow_inflight_lock(&a->inflight, &range);
		ret = own_table(a, i, &l2_host_offset, &own);
		if (!ret && own)
			ret = own_entries(a, l2_host_offset);
		qcow_inflight_unlock(&a->inflight, &range);
		err = err ?: ret;
		qcow_tree_breathe(a);
	}
	return err;
}
