// SPDX-License-Identifier: GPL-2.0
/*
 * The life of the state of an image that is written (state.h), from opening the image
 * to closing it. fmt*.c call it; it fills the parts that other files own.
 *
 * All metadata of the image is in the register before anything is written.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "meta/life.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/snapshot.h"

/* Entries lead to offsets of so many bits. */
#define LIFE_OFFSET_BITS	56

/* Clusters are taken from here on, so no table may lie there. */
static u64 v1_end(const struct qcow_alloc *a)
{
	return round_up(a->img->file.size, 1ULL << qcow_alloc_cluster_bits(a));
}

/*
 * Version 1: an entry is an offset and nothing else, and does not lead behind the end.
 */
static int v1_check_table(const struct qcow_alloc *a, u32 index, u64 host_offset)
{
	u64 bytes = qcow_layout_l2_bytes(&a->img->layout);

	if (a->img->l1[index] != host_offset)
		return -EUCLEAN;
	return host_offset && host_offset + bytes > v1_end(a) ? -EUCLEAN : 0;
}

static int life_add_l2_tables(struct qcow_alloc *a)
{
	u64 bytes = qcow_layout_l2_bytes(&a->img->layout), host_offset;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < a->img->l1_size; i++) {
		if (!(i % 1024))
			cond_resched();
		err = qcow_image_interrupted(a->img);
		if (err)
			return err;
		host_offset = a->img->l1[i] & QCOW_DISK_L1E_OFFSET_MASK;
		if (!qcow_alloc_has_refcounts(a))
			err = v1_check_table(a, i, host_offset);
		if (host_offset && !err)
			err = qcow_register_claim(&a->reg, QCOW_META_L2, host_offset,
						  bytes);
	}
	return err;
}

/*
 * The header, the backing file's name and the L1 table may share sectors, so they have
 * one kind.
 */
static int life_add_v1_tables(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 l1_bytes = (u64)h->l1_size * sizeof(u64);
	int err;

	if (h->l1_table_offset + l1_bytes > v1_end(a))
		return -EUCLEAN;
	err = qcow_register_add(&a->reg, QCOW_META_HEADER, 0, h->header_length);
	if (!err)
		err = qcow_register_add(&a->reg, QCOW_META_HEADER,
					h->backing_in_header, h->backing_len);
	if (!err)
		err = qcow_register_add(&a->reg, QCOW_META_HEADER, h->l1_table_offset,
					l1_bytes);
	return err ?: life_add_l2_tables(a);
}

static int life_add_tables(struct qcow_alloc *a, const struct qcow_header *h)
{
	int err;

	if (!qcow_alloc_has_refcounts(a))
		return life_add_v1_tables(a, h);
	err = qcow_register_claim(&a->reg, QCOW_META_HEADER, 0,
				  1ULL << h->cluster_bits);
	if (!err)
		err = qcow_register_claim(&a->reg, QCOW_META_L1, h->l1_table_offset,
					  (u64)h->l1_size * sizeof(u64));
	if (!err)
		err = qcow_refcount_load(a, h);
	if (!err)
		err = life_add_l2_tables(a);
	if (!err)
		err = qcow_snapshot_add_meta(a, h);
	if (!err && h->crypt_method == QCOW_DISK_CRYPT_LUKS)
		err = qcow_register_claim(&a->reg, QCOW_META_LUKS, h->crypto_host_offset,
					  h->crypto_length);
	return err;
}

/* Reserves, so that a write goes on when memory is short. */
static int life_memory(struct qcow_alloc *a, const struct qcow_header *h,
		       const struct qcow_params *params)
{
	u32 slice_bits = min_t(u32, h->cluster_bits, QCOW_CACHE_MAX_SLICE_BITS);
	struct qcow_cache *refs;

	a->cow_mem = qcow_cow_mem_join(params->ctx->cow_mems, h->cluster_bits);
	if (!a->cow_mem)
		return -ENOMEM;
	refs = qcow_cache_create(&a->img->file, slice_bits,
				 params->cache_bytes);
	if (IS_ERR(refs))
		return PTR_ERR(refs);
	a->counts.cache = refs;
	return 0;
}

static void life_init(struct qcow_alloc *a, struct qcow_image *img,
		      const struct qcow_header *h,
		       const struct qcow_params *params)
{
	a->img = img;
	a->counts.order = h->refcount_order;
	a->counts.block_bits = h->cluster_bits + 3 - a->counts.order;
	a->l1.host_offset = h->l1_table_offset;
	a->flush.wq = params->flush_wq;
	a->search.hint = 1;
	if (qcow_file_regular(&img->file)) {
		a->search.fresh = DIV_ROUND_UP_ULL(img->file.size,
						   1ULL << h->cluster_bits);
		a->reserve.file_end = img->file.size;
		a->search.limit = 1ULL << (LIFE_OFFSET_BITS - h->cluster_bits);
	} else {
		a->search.limit = qcow_file_size(&img->file) >> h->cluster_bits;
		a->search.fresh = U64_MAX;
		a->reserve.file_end = U64_MAX;
	}
	if (!qcow_alloc_has_refcounts(a))
		a->search.hint = min(DIV_ROUND_UP_ULL(img->file.size,
						      1ULL << h->cluster_bits),
			      a->search.limit);
	mutex_init(&a->lock);
	mutex_init(&a->l1.lock);
	mutex_init(&a->flush.lock);
	mutex_init(&a->store_lock);
	init_waitqueue_head(&a->flush.stored);
	qcow_release_init(a);
	/*
	 * A data file needs no allocation; other filesystems than ext4 and XFS do not
	 * write in place.
	 */
	a->reserve.no_renew = img->layout.data_file || !img->file.overwrites;
	xa_init(&a->strays.clusters);
}

/**
 * qcow_life_begin() - set up the state of an image that will be written
 * @img: opened, with its L1 table
 * @h: its header
 * @params: cache_bytes, here for refcounts; flush_wq, ctx
 *
 * Context: may sleep.
 *
 * Return: the state, for qcow_life_end(), or an ERR_PTR; -EUCLEAN: metadata overlaps,
 * or lies at an impossible offset; -EFBIG: the register of metadata would take too much
 * of this machine's memory.
 */
struct qcow_alloc *qcow_life_begin(struct qcow_image *img,
				   const struct qcow_header *h,
				     const struct qcow_params *params)
{
	struct qcow_alloc *a = kzalloc(sizeof(*a), GFP_KERNEL);
	int err;

	if (!a)
		return ERR_PTR(-ENOMEM);
	life_init(a, img, h, params);
	err = qcow_inflight_init(&a->inflight);
	if (!err)
		err = qcow_register_init(&a->reg, img);
	if (!err)
		err = life_memory(a, h, params);
	if (!err)
		err = life_add_tables(a, h);
	if (!err)
		return a;
	qcow_life_end(a);
	return ERR_PTR(err);
}

/**
 * qcow_life_end() - free the state of an image
 * @a: from qcow_life_begin(), or NULL; flushed, and no I/O is under way
 */
void qcow_life_end(struct qcow_alloc *a)
{
	if (!a)
		return;
	qcow_release_forget(a);
	qcow_cache_destroy(a->counts.cache);
	qcow_cow_mem_leave(a->cow_mem);
	qcow_register_destroy(&a->reg);
	qcow_inflight_exit(&a->inflight);
	xa_destroy(&a->strays.clusters);
	kvfree(a->counts.table);
	kvfree(a->l1.empty);
	kfree(a);
}
