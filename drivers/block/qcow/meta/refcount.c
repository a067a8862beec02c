// SPDX-License-Identifier: GPL-2.0
/*
 * Refcounts of an image that is written: the table, its blocks, their entries. Files of
 * meta/ call it under qcow_alloc.lock to take and release clusters.
 *
 * All changes are in memory; flush.c writes them, and growth.c makes a larger table.
 * Section "Refcounts" of the specification.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "file/cache.h"
#include "file/space.h"
#include "meta/refcount.h"
#include "meta/stray.h"
#include "meta/writeback.h"

/* --- Refcounts --- */

/* log2 of the refcounts in a slice. */
static u32 slice_ref_bits(const struct qcow_alloc *a)
{
	return a->counts.cache->slice_bits + 3 - a->counts.order;
}

/* Entries of the refcount table that come to memory together: a sector of the file */
#define TABLE_ROOM	(SECTOR_SIZE / sizeof(u64))

/* Return: host offset of a refcount block; 0: there is none. */
static u64 block_host_offset(const struct qcow_alloc *a, u64 block)
{
	if (block >= a->counts.table_room)
		return 0;
	return a->counts.table[block] & QCOW_DISK_REFTABLE_OFFSET_MASK;
}

/* Have so many entries of the table in memory. Return: 0 or -ENOMEM, and all is as before. */
static int table_set_room(struct qcow_alloc *a, u32 room, gfp_t gfp)
{
	u64 *table = kvcalloc(room, sizeof(u64), gfp);

	if (!table)
		return -ENOMEM;
	memcpy(table, a->counts.table, min(room, a->counts.table_room) * sizeof(u64));
	kvfree(a->counts.table);
	a->counts.table = table;
	WRITE_ONCE(a->counts.table_room, room);
	return 0;
}

/* Have the entry of a block in memory, so that it can be set. */
static int __table_cover(struct qcow_alloc *a, u64 block)
{
	u32 room = min_t(u64, round_up(block + 1, TABLE_ROOM), a->counts.table_size);

	lockdep_assert_held(&a->lock);
	return block < a->counts.table_room ? 0 : table_set_room(a, room, GFP_NOIO);
}

/* The slice with a cluster's refcount; NULL: there is no block for it. */
static struct qcow_slice *ref_slice(struct qcow_alloc *a, u64 cluster)
{
	u64 block = cluster >> a->counts.block_bits;
	u64 in_block = cluster & ((1ULL << a->counts.block_bits) - 1);
	u64 host_offset;

	lockdep_assert_held(&a->lock);
	host_offset = block_host_offset(a, block);
	if (!host_offset)
		return NULL;
	if (host_offset & ((1ULL << qcow_alloc_cluster_bits(a)) - 1)) {
		qcow_image_damaged(a->img, 0, "refcount block offset is not aligned");
		return ERR_PTR(-EIO);
	}
	return qcow_cache_get(a->counts.cache,
			      host_offset + (in_block << a->counts.order >> 3));
}

static u32 ref_index(const struct qcow_alloc *a, u64 cluster)
{
	return cluster & ((1U << slice_ref_bits(a)) - 1);
}

/**
 * __qcow_refcount_get() - look a cluster's refcount up
 * @a: of the image
 * @cluster: number
 * @value: the result; 0 also if no block covers the cluster
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0 or the error of reading it.
 */
int __qcow_refcount_get(struct qcow_alloc *a, u64 cluster, u64 *value)
{
	struct qcow_slice *slice = ref_slice(a, cluster);

	*value = 0;
	if (IS_ERR_OR_NULL(slice))
		return PTR_ERR_OR_ZERO(slice);
	*value = qcow_entry_refcount(slice->data, a->counts.order,
				     ref_index(a, cluster));
	qcow_cache_put(slice);
	return 0;
}

/**
 * qcow_refcount_get() - look a cluster's refcount up
 * @a: of the image
 * @cluster: number
 * @value: the result
 *
 * Context: may sleep.
 *
 * Return: 0 or the error of reading it.
 */
int qcow_refcount_get(struct qcow_alloc *a, u64 cluster, u64 *value)
{
	int err;

	mutex_lock(&a->lock);
	err = __qcow_refcount_get(a, cluster, value);
	mutex_unlock(&a->lock);
	return err;
}

/**
 * __qcow_refcount_set() - change a cluster's refcount in memory
 * @a: of the image
 * @cluster: number; a block covers it
 * @value: up to qcow_entry_refcount_max()
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0 or the error of reading it.
 */
int __qcow_refcount_set(struct qcow_alloc *a, u64 cluster, u64 value)
{
	struct qcow_slice *slice = ref_slice(a, cluster);

	if (IS_ERR(slice))
		return PTR_ERR(slice);
	if (WARN_ON_ONCE(!slice))
		return -EIO;
	spin_lock(&a->counts.cache->lock);
	qcow_entry_set_refcount(slice->data, a->counts.order, ref_index(a, cluster),
				value);
	__qcow_cache_dirty(slice);
	spin_unlock(&a->counts.cache->lock);
	qcow_cache_put(slice);
	return 0;
}

/* Add to the refcounts of clusters in one slice. Return: as qcow_refcount_raise(). */
static int __slice_add(struct qcow_alloc *a, u64 first, u32 nr, s64 add)
{
	u32 i = ref_index(a, first), end = i + nr;
	u64 max = qcow_entry_refcount_max(a->counts.order), value;
	struct qcow_slice *slice = ref_slice(a, first);
	int err = 0;

	if (IS_ERR_OR_NULL(slice))
		return slice ? PTR_ERR(slice) : -EUCLEAN;
	for (; !err && i < end && add > 0; i++) {
		value = qcow_entry_refcount(slice->data, a->counts.order, i);
		if (!value)
			err = -EUCLEAN;
		else if (value == max)
			err = -EOVERFLOW;
	}
	spin_lock(&a->counts.cache->lock);
	for (i = end - nr; !err && i < end; i++) {
		value = qcow_entry_refcount(slice->data, a->counts.order, i);
		qcow_entry_set_refcount(slice->data, a->counts.order, i, value + add);
	}
	if (!err)
		__qcow_cache_dirty(slice);
	spin_unlock(&a->counts.cache->lock);
	qcow_cache_put(slice);
	return err;
}

/* Clusters from @first on in the same slice. */
static u32 slice_rest(const struct qcow_alloc *a, u64 first, u32 nr)
{
	return min(nr, (1U << slice_ref_bits(a)) - ref_index(a, first));
}

/**
 * __qcow_refcount_run() - look up a refcount that clusters in a row have
 * @a: of the image
 * @first: number of the first cluster
 * @nr: most clusters to look at, at least 1
 * @value: as for __qcow_refcount_get()
 *
 * Looks at one slice.
 *
 * Context: under a->lock. May sleep.
 *
 * Return: number of clusters from @first on that have it, at least 1; or the error of
 * reading it.
 */
int __qcow_refcount_run(struct qcow_alloc *a, u64 first, u32 nr, u64 *value)
{
	struct qcow_slice *slice = ref_slice(a, first);
	u32 i = ref_index(a, first), n = 1;

	nr = slice_rest(a, first, nr);
	*value = 0;
	if (IS_ERR_OR_NULL(slice))
		return slice ? PTR_ERR(slice) : nr;
	*value = qcow_entry_refcount(slice->data, a->counts.order, i);
	while (n < nr && qcow_entry_refcount(slice->data, a->counts.order, i + n) == *value)
		n++;
	qcow_cache_put(slice);
	return n;
}

/**
 * __qcow_refcount_lower() - subtract from the refcounts of clusters in a row, in memory
 * @a: of the image
 * @first: number of the first cluster
 * @nr: number of clusters, from one call of __qcow_refcount_run()
 * @times: number to subtract, not larger than the refcounts
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0 or the error of reading them: none is changed.
 */
int __qcow_refcount_lower(struct qcow_alloc *a, u64 first, u32 nr, u32 times)
{
	return __slice_add(a, first, nr, -(s64)times);
}

/**
 * qcow_refcount_raise() - add a reference to each cluster of a run, in memory
 * @a: of the image
 * @first: number of the first cluster
 * @nr: number of clusters
 *
 * After an error all references are dropped again; a failure to do that leaks clusters.
 *
 * Context: may sleep.
 *
 * Return: 0; -EOVERFLOW: a refcount has its largest value; -EUCLEAN: a refcount is 0;
 * qcow_writeback_refused(); or the error of reading refcounts.
 */
int qcow_refcount_raise(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 done, n;
	int err = qcow_writeback_refused(a);

	if (err)
		return err;
	mutex_lock(&a->lock);
	for (done = 0; done < nr; done += n) {
		n = slice_rest(a, first + done, nr - done);
		err = __slice_add(a, first + done, n, 1);
		if (err)
			break;
	}
	for (nr = err ? done : 0, done = 0; done < nr; done += n) {
		n = slice_rest(a, first + done, nr - done);
		if (__slice_add(a, first + done, n, -1))
			break;
	}
	mutex_unlock(&a->lock);
	return err;
}

/**
 * __qcow_refcount_find() - look for free clusters
 * @a: of the image
 * @cluster: in: the number to begin with; out: the first free cluster, or the number to
 *	go on with
 * @want: most clusters to find, in a row
 * @got: out: free clusters in a row, in one slice; 0: none up to the new @cluster
 *
 * Context: under a->lock; a block covers @cluster. May sleep.
 *
 * Return: 0, or the error of reading refcounts.
 */
int __qcow_refcount_find(struct qcow_alloc *a, u64 *cluster, u32 want, u32 *got)
{
	struct qcow_slice *slice = ref_slice(a, *cluster);
	u32 end = 1U << slice_ref_bits(a);
	u32 i = ref_index(a, *cluster), first;

	*got = 0;
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	if (WARN_ON_ONCE(!slice))
		return -EIO;
	for (first = i; first < end; first++)
		if (!qcow_entry_refcount(slice->data, a->counts.order, first))
			break;
	*cluster += first - i;
	for (i = first; i < end && i - first < want; i++)
		if (qcow_entry_refcount(slice->data, a->counts.order, i))
			break;
	*got = i - first;
	qcow_cache_put(slice);
	return 0;
}

/**
 * __qcow_refcount_find_used() - look for the last cluster in use
 * @a: of the image
 * @end: in: look below this number, at least 1; out: behind the cluster in use, or the
 *	number to go on with
 * @found: out: there is one
 *
 * Looks at one slice, or at one stretch that no block covers.
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0, or the error of reading refcounts.
 */
int __qcow_refcount_find_used(struct qcow_alloc *a, u64 *end, bool *found)
{
	u64 last = min(*end, (u64)a->counts.table_size << a->counts.block_bits) - 1;
	struct qcow_slice *slice = ref_slice(a, last);
	u32 i = ref_index(a, last) + 1;

	*found = false;
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	if (!slice) {
		*end = last >> a->counts.block_bits << a->counts.block_bits;
		return 0;
	}
	while (i && !qcow_entry_refcount(slice->data, a->counts.order, i - 1))
		i--;
	qcow_cache_put(slice);
	*found = i;
	*end = last - ref_index(a, last) + i;
	return 0;
}

/**
 * __qcow_refcount_zero_block() - make an empty refcount block in memory
 * @a: of the image
 * @host_offset: bytes into the file of the block
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int __qcow_refcount_zero_block(struct qcow_alloc *a, u64 host_offset)
{
	u64 host_end = host_offset + (1ULL << qcow_alloc_cluster_bits(a));
	struct qcow_slice *slice;

	for (; host_offset < host_end; host_offset += 1ULL << a->counts.cache->slice_bits) {
		slice = qcow_cache_get_new(a->counts.cache, host_offset);
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		qcow_cache_put(slice);
	}
	return 0;
}

/**
 * __qcow_refcount_drop_block() - undo __qcow_refcount_zero_block()
 * @a: of the image
 * @host_offset: bytes into the file of the block
 *
 * Its cluster is free. A flush that has copies of its slices may still write them: a cluster
 * is not used before it has a refcount, which a block in the same place will have.
 *
 * Context: under a->lock. May sleep.
 */
void __qcow_refcount_drop_block(struct qcow_alloc *a, u64 host_offset)
{
	u64 bytes = 1ULL << qcow_alloc_cluster_bits(a), slice_host_offset;

	for (slice_host_offset = host_offset; slice_host_offset < host_offset + bytes;
	     slice_host_offset += 1ULL << a->counts.cache->slice_bits)
		qcow_cache_clean(a->counts.cache, slice_host_offset);
	qcow_register_forget(&a->reg, host_offset, bytes);
}

/* Make a refcount block in @cluster, which is the first that it covers. */
static int __new_block(struct qcow_alloc *a, u64 cluster)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 host_offset = cluster << bits;
	u64 block = cluster >> a->counts.block_bits;
	int err;

	err = __table_cover(a, block);
	if (!err)
		err = qcow_register_new(&a->reg, QCOW_META_REFBLOCK, host_offset, 1ULL << bits);
	if (err)
		return err;
	err = qcow_space_secure(&a->img->file, host_offset, 1ULL << bits);
	if (!err)
		err = __qcow_refcount_zero_block(a, host_offset);
	if (err) {
		__qcow_refcount_drop_block(a, host_offset);
		return err;
	}
	a->counts.table[block] = host_offset;
	qcow_dirty_range_add(&a->counts.table_dirty, block);
	return __qcow_refcount_set(a, cluster, 1);
}

/**
 * __qcow_refcount_cover() - make sure that a block covers a cluster
 * @a: of the image
 * @cluster: number
 * @covered: out: the cluster has a refcount; else it cannot be used, for now
 *
 * Makes a block if there is none, in the first cluster that it covers.
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0; -ERANGE: the table is too small, see qcow_growth_cover(); or another
 * error.
 */
int __qcow_refcount_cover(struct qcow_alloc *a, u64 cluster, bool *covered)
{
	u64 block = cluster >> a->counts.block_bits;
	int err;

	lockdep_assert_held(&a->lock);
	if (block >= a->counts.table_size)
		return -ERANGE;
	*covered = block_host_offset(a, block);
	if (*covered)
		return 0;
	/*
	 * Without a block, all clusters that it would cover are free, or cannot be
	 * used.
	 */
	if (cluster != block << a->counts.block_bits || __qcow_stray_is(a, cluster))
		return 0;
	err = __new_block(a, cluster);
	*covered = !err;
	return err;
}

/* --- Loading --- */

/* Check the offsets of blocks: a block past the end would read as free clusters. */
static int load_blocks(struct qcow_alloc *a)
{
	u64 cluster = 1ULL << qcow_alloc_cluster_bits(a), host_offset;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < a->counts.table_room; i++) {
		host_offset = block_host_offset(a, i);
		if (!host_offset)
			continue;
		if (host_offset & (cluster - 1) || host_offset >= a->img->file.size)
			return -EUCLEAN;
		err = qcow_register_claim(&a->reg, QCOW_META_REFBLOCK, host_offset,
					  cluster);
	}
	return err;
}

/* Most of a table is zeros: keep only what is not. */
static void load_trim(struct qcow_alloc *a)
{
	u32 room = a->counts.table_room;

	while (room && !a->counts.table[room - 1])
		room--;
	room = min_t(u32, round_up(room + 1, TABLE_ROOM), a->counts.table_size);
	/* Without memory for the smaller one, all of it stays. */
	if (room < a->counts.table_room)
		table_set_room(a, room, GFP_KERNEL);
}

/**
 * qcow_refcount_load() - read the refcount table
 * @a: of the image
 * @h: its header
 *
 * Context: may sleep.
 *
 * Return: 0; -EUCLEAN: it is damaged; or another error.
 */
int qcow_refcount_load(struct qcow_alloc *a, const struct qcow_header *h)
{
	size_t bytes = (size_t)h->refcount_table_clusters << h->cluster_bits;
	u32 i;
	int err;

	a->counts.table_host_offset = h->refcount_table_offset;
	a->counts.table_size = bytes / sizeof(u64);
	a->counts.table = kvmalloc(bytes, GFP_KERNEL);
	if (!a->counts.table)
		return -ENOMEM;
	a->counts.table_room = a->counts.table_size;
	err = qcow_file_pread(&a->img->file, a->counts.table_host_offset, a->counts.table, bytes);
	if (err)
		return err;
	for (i = 0; i < a->counts.table_size; i++)
		a->counts.table[i] = be64_to_cpu(((__force __be64 *)a->counts.table)[i]);
	load_trim(a);
	err = qcow_register_claim(&a->reg, QCOW_META_REFTABLE, a->counts.table_host_offset,
				  bytes);
	return err ?: load_blocks(a);
}

/* --- Refcounts of metadata --- */

/* Most bytes that are read at once, as log2. */
#define COUNTS_MAX_BITS		16

/*
 * Limits for the part of the metadata that grows with the disk: pieces of refcount blocks
 * that are read for it, and their bytes; clusters of all metadata with it. And most
 * clusters whose refcounts are read, since sorting them neither sleeps nor ends early.
 */
#define CHECK_MAX_PIECES	128
#define CHECK_MAX_BYTES		SZ_4M
#define CHECK_MAX_CLUSTERS	SZ_16K
#define CHECK_MAX_SORTED	SZ_1M

/**
 * struct counts - a piece of a refcount block
 * @a: of the image
 * @bits: log2 of the refcounts in a piece
 * @first: number of the first cluster in the piece; U64_MAX: no piece was read
 * @left: pieces that may still be read for L2 tables and refcount blocks
 * @buf: the piece, as on disk
 */
struct counts {
	struct qcow_alloc *a;
	u32 bits;
	u64 first;
	u32 left;
	void *buf;
};

/* Return: 0; -EUCLEAN: no block covers the cluster; or the error of reading it. */
static int counts_load(struct counts *c, u64 cluster)
{
	const struct qcow_alloc *a = c->a;
	u64 block = cluster >> a->counts.block_bits, in_block, host_offset;
	int err;

	if (cluster >> c->bits << c->bits == c->first)
		return 0;
	host_offset = block_host_offset(a, block);
	if (!host_offset)
		return -EUCLEAN;
	c->first = cluster >> c->bits << c->bits;
	in_block = c->first - (block << a->counts.block_bits);
	err = qcow_file_pread(&a->img->file,
			      host_offset + (in_block << a->counts.order >> 3), c->buf,
			      1UL << c->bits << a->counts.order >> 3);
	if (err)
		c->first = U64_MAX;
	return err;
}

/* Return: true if an image has the more of a kind the larger its disk is. */
static bool kind_is_many(enum qcow_meta kind)
{
	return kind == QCOW_META_L2 || kind == QCOW_META_REFBLOCK;
}

/* Return: true if the limits leave the refcount of a cluster to its first use. */
static bool counts_defer(struct counts *c, u64 cluster)
{
	if (cluster >> c->bits << c->bits == c->first)
		return false;
	if (!c->left)
		return true;
	c->left--;
	return false;
}

/* @list: from check_list() */
static int counts_check(struct counts *c, const u64 *list, u64 nr)
{
	u64 i, cluster;
	int err = 0;

	for (i = 0; !err && i < nr; i++) {
		cluster = list[i] >> 1;
		if (!(i % 1024)) {
			err = qcow_image_interrupted(c->a->img);
			cond_resched();
		}
		if (err || ((list[i] & 1) && counts_defer(c, cluster)))
			continue;
		err = counts_load(c, cluster);
		if (!err && !qcow_entry_refcount(c->buf, c->a->counts.order,
						 cluster & ((1U << c->bits) - 1)))
			err = -EUCLEAN;
	}
	return err;
}

/* Return: true if the cluster's refcount is checked; false: there is too much of its kind. */
static bool check_takes(const struct qcow_alloc *a, enum qcow_meta kind)
{
	return !kind_is_many(kind) || a->reg.nr <= CHECK_MAX_CLUSTERS;
}

/*
 * Count the clusters to be checked. Reads nothing. Return: 0; or -EUCLEAN: no block covers
 * some metadata.
 */
static int check_covered(struct qcow_alloc *a, u64 *nr)
{
	enum qcow_meta kind;
	u64 i = 0, cluster;

	*nr = 0;
	while (qcow_register_next(&a->reg, &i, &cluster, &kind)) {
		if (!block_host_offset(a, cluster >> a->counts.block_bits))
			return -EUCLEAN;
		*nr += check_takes(a, kind);
	}
	return 0;
}

/* @list: out: the numbers of the clusters to be checked, twice, and 1 more if kind_is_many() */
static void check_list(struct qcow_alloc *a, u64 *list)
{
	enum qcow_meta kind;
	u64 i = 0, cluster;

	while (qcow_register_next(&a->reg, &i, &cluster, &kind))
		if (check_takes(a, kind))
			*list++ = cluster << 1 | kind_is_many(kind);
}

static int check_compare(const void *left, const void *right)
{
	const u64 *l = left, *r = right;

	return *l < *r ? -1 : *l > *r;
}

/* @nr: from check_covered() */
static int check_all(struct counts *c, u64 nr)
{
	u64 *list;
	int err;

	if (nr > CHECK_MAX_SORTED)
		return -EFBIG;
	list = kvmalloc_array(nr, sizeof(*list), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	check_list(c->a, list);
	/* So each piece is read once. */
	sort(list, nr, sizeof(*list), check_compare, NULL);
	err = counts_check(c, list, nr);
	kvfree(list);
	return err;
}

/**
 * qcow_refcount_check_meta() - check that registered metadata has refcounts above 0
 * @a: of the image, which has refcounts; nothing was written yet
 *
 * It looks whether a refcount block covers all metadata. It reads the refcounts of all
 * but L2 tables and refcount blocks, and of these as many as its limits allow: all in a
 * file of up to 128 GiB with clusters of 64 KiB. The others are strays if their
 * refcount is 0 (stray.c).
 *
 * Each part of a refcount block is read once, past the cache.
 *
 * Context: may sleep.
 *
 * Return: 0; -EUCLEAN: a refcount is 0; -EFBIG: there is too much metadata beside L2
 * tables and refcount blocks; -EINTR: the task is to be killed; or the error of reading.
 */
int qcow_refcount_check_meta(struct qcow_alloc *a)
{
	u32 bits = min_t(u32, qcow_alloc_cluster_bits(a), COUNTS_MAX_BITS);
	struct counts c = {
		.a = a,
		.bits = bits + 3 - a->counts.order,
		.first = U64_MAX,
		.left = min(CHECK_MAX_PIECES, CHECK_MAX_BYTES >> bits),
	};
	u64 nr;
	int err = check_covered(a, &nr);

	if (err)
		return err;
	c.buf = kvmalloc(1UL << bits, GFP_KERNEL);
	if (!c.buf)
		return -ENOMEM;
	err = check_all(&c, nr);
	kvfree(c.buf);
	return err;
}
