// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters of an image that is written and has no refcounts: qcow version 1.
 *
 * New ones are taken at the end of the file, one after the other, at multiples
 * of the cluster size. What the file's length covers is in use, as far as anybody
 * can tell: so a cluster is owned when it is written and synced.
 */
#include <linux/sched/signal.h>

#include "append.h"

/**
 * __qcow_append_reserve() - reserve clusters at the end of the file
 * @a: of the image
 * @want: how many are to be reserved, those that are among them
 *
 * Context: under a->lock. Return: 0, or -ENOSPC: an entry could not refer to
 * them.
 */
int __qcow_append_reserve(struct qcow_alloc *a, u32 want)
{
	u64 limit = (QCOW_DISK_V1_OFFSET_MASK >> qcow_alloc_cluster_bits(a)) + 1;

	lockdep_assert_held(&a->lock);
	if (a->pool_next >= limit || want > limit - a->pool_next)
		return -ENOSPC;
	a->pool_end = max(a->pool_end, a->pool_next + want);
	return 0;
}

/* L2 tables are in the file, all of each, and apart. */
static int append_add_l2_tables(struct qcow_alloc *a)
{
	const struct qcow_layout *lay = &a->img->layout;
	u64 bytes = qcow_layout_l2_bytes(lay), offset;
	u64 file_size = a->img->file.size;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < a->img->l1_size; i++) {
		if (!(i % 1024))
			cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		if (qcow_entry_l1(lay, a->img->l1[i], &offset))
			return -EUCLEAN;
		if (!offset)
			continue;
		if (offset > file_size || bytes > file_size - offset)
			return -EUCLEAN;
		err = qcow_alloc_claim_meta(a, QCOW_META_L2, offset, bytes);
	}
	return err;
}

/**
 * qcow_append_load() - find out where an image's metadata is, and its end
 * @a: of the image; nothing is known of it yet
 * @h: its header
 *
 * The L1 table begins right behind the header: they share sectors, but no bytes.
 * May sleep. Return: 0; -EUCLEAN: tables overlap, or lie where they cannot be; or
 * another error.
 */
int qcow_append_load(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 l1_bytes = (u64)h->l1_size * sizeof(__be64);
	u64 end = max(a->img->file.size, h->l1_offset + l1_bytes);
	int err;

	err = qcow_alloc_add_meta(a, QCOW_META_HEADER, 0, h->header_length);
	if (!err)
		err = qcow_alloc_add_meta(a, QCOW_META_HEADER,
					  h->backing_offset, h->backing_len);
	if (!err)
		err = qcow_alloc_add_meta(a, QCOW_META_HEADER, h->l1_offset,
					  l1_bytes);
	if (!err)
		err = append_add_l2_tables(a);
	a->fresh = DIV_ROUND_UP_ULL(end, 1ULL << h->cluster_bits);
	a->pool_next = a->fresh;
	a->pool_end = a->fresh;
	return err;
}
