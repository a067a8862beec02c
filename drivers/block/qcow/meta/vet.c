// SPDX-License-Identifier: GPL-2.0
/*
 * Vetting: looking for strays in a slice of an L2 table before it is changed for the
 * first time, and in a table before it drops its references. l2.c and tree.c call it.
 */
#include <linux/err.h>
#include <linux/sched.h>

#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/refcount.h"
#include "meta/stray.h"
#include "meta/vet.h"

/**
 * struct vet_run - clusters in a row that entries in a row lead to
 * @first: number of the first cluster
 * @nr: number of clusters
 * @guest_offset: guest offset of the first entry
 * @one: there is one entry, whatever the number of clusters
 */
struct vet_run {
	u64 first;
	u32 nr;
	u64 guest_offset;
	bool one;
};

/* Note strays among clusters that have a refcount of 0. */
static int __vet_free(struct qcow_alloc *a, const struct vet_run *run, u64 first, u32 nr)
{
	u64 in_run;
	int err = 0;

	for (; !err && nr; nr--, first++) {
		in_run = run->one ? 0 : (first - run->first) << qcow_alloc_cluster_bits(a);
		if (!qcow_register_has(&a->reg, first))
			err = __qcow_stray_note(a, first, run->guest_offset + in_run);
	}
	return err;
}

/* Guest data in metadata is another fault, which entry_release() and writes find. */
static int vet_clusters(struct qcow_alloc *a, const struct vet_run *run)
{
	u64 value, i, end = run->first + run->nr;
	int ret = 0;

	mutex_lock(&a->lock);
	/* No entry may lead to a reserved cluster, which was free before. */
	__qcow_alloc_unreserve(a, run->first, run->nr);
	for (i = run->first; ret >= 0 && i < end; i += ret) {
		ret = __qcow_refcount_run(a, i, end - i, &value);
		if (ret > 0 && !value)
			ret = __vet_free(a, run, i, ret) ?: ret;
	}
	mutex_unlock(&a->lock);
	return min(ret, 0);
}

/* Add an entry's clusters to a run; do the run first if they do not continue it. */
static int vet_add(struct qcow_alloc *a, struct vet_run *run, u64 first, u32 nr,
		   u64 guest_offset)
{
	u64 run_bytes = (u64)run->nr << qcow_alloc_cluster_bits(a);
	int err;

	if (nr == 1 && !run->one && first == run->first + run->nr &&
	    guest_offset == run->guest_offset + run_bytes) {
		run->nr++;
		return 0;
	}
	err = vet_clusters(a, run);
	*run = (struct vet_run) {
		.first = first,
		.nr = nr,
		.guest_offset = guest_offset,
		.one = nr != 1,
	};
	return err;
}

static bool vet_possible(const struct qcow_image *img)
{
	return qcow_layout_has_refcounts(&img->layout) && !img->layout.data_file;
}

/* As qcow_vet_slice(); -E2BIG: there are too many strays. */
static int vet_slice(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest_offset)
{
	struct qcow_image *img = a->img;
	const struct qcow_layout *lay = &img->layout;
	u64 raw, first;
	const char *fault;
	u32 i, nr, step = lay->extended_l2 ? 2 : 1;
	struct vet_run run = { };
	int err = 0;

	if (likely(test_bit(QCOW_SLICE_VETTED, &slice->flags)))
		return 0;
	for (i = 0; vet_possible(img) && !err && i < img->slice_entries; i++) {
		raw = be64_to_cpu(READ_ONCE(slice->data[i * step]));
		/* An invalid entry is found when it is used. */
		if (raw && !qcow_entry_clusters(lay, raw, guest_offset, &first, &nr, &fault))
			err = vet_add(a, &run, first, nr, guest_offset);
		guest_offset += 1ULL << lay->cluster_bits;
	}
	err = err ?: vet_clusters(a, &run);
	if (!err)
		set_bit(QCOW_SLICE_VETTED, &slice->flags);
	cond_resched();
	return err;
}

/**
 * qcow_vet_slice() - look for strays among the clusters of a slice of an L2 table
 * @a: of the image
 * @slice: of an active table, referenced
 * @guest_offset: guest offset of its first entry
 *
 * Does it once for each slice, as long as the slice is in memory.
 *
 * Context: in an I/O that is counted by qcow_inflight_begin(), so that no cluster is
 * freed meanwhile. May sleep.
 *
 * Return: 0; or the error of reading refcounts, -ENOMEM; or -EIO: there are too many
 * strays, and the image is stopped.
 */
int qcow_vet_slice(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest_offset)
{
	int err = vet_slice(a, slice, guest_offset);

	if (err != -E2BIG)
		return err;
	qcow_image_damaged(a->img, guest_offset,
			   "refcounts of too many used clusters are zero");
	return -EIO;
}

/**
 * qcow_vet_table() - look for strays among the clusters of an L2 table
 * @a: of the image
 * @l2_host_offset: host offset of the table
 * @guest_offset: guest offset of its first entry
 *
 * For a table that is about to drop its references. Does the whole table: when the
 * first reference is dropped, a refcount of 0 is no longer proof of a stray.
 *
 * Context: no task drops references of the table meanwhile. May sleep.
 *
 * Return: 0; -E2BIG: there are too many strays; -ENOMEM; or the error of reading the
 * table or refcounts.
 */
int qcow_vet_table(struct qcow_alloc *a, u64 l2_host_offset, u64 guest_offset)
{
	const struct qcow_layout *lay = &a->img->layout;
	u64 bytes = qcow_layout_l2_bytes(lay), in_table;
	struct qcow_slice *slice;
	int err = 0;

	for (in_table = 0; !err && in_table < bytes;
	     in_table += 1ULL << a->img->cache->slice_bits) {
		slice = qcow_cache_get(a->img->cache, l2_host_offset + in_table);
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		err = vet_slice(a, slice, guest_offset +
				(in_table >> lay->entry_bits << lay->cluster_bits));
		qcow_cache_put(slice);
	}
	return err;
}
