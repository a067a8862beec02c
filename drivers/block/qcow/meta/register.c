// SPDX-License-Identifier: GPL-2.0
/*
 * The register of the clusters that hold an image's metadata. Files of meta/ add their
 * tables; writes and the allocator ask it, so that guest data never overwrites
 * metadata.
 *
 * It is filled when the image is opened. A table that is made later is added before it
 * is written, and removed when its clusters are free again.
 *
 * The register is a hash table of words, since an image has a table for each 8192
 * clusters or less: in any tree of ranges each unit would take a node by itself.
 */
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "meta/qcow.h"
#include "meta/register.h"

/* A register takes at most the machine's memory divided by this. */
#define REGISTER_SHARE	16

/* Words of a bucket: a line of a CPU's cache. Units in a row share a bucket. */
#define BUCKET_BITS	3
#define BUCKET		BIT(BUCKET_BITS)

/* Bytes of the smallest table, which has room for all that a small image has. */
#define MIN_BYTES	SZ_4K

/* A word of the table has a unit above these bits, and in them its kind. */
#define KIND_BITS	4

/* Words without a unit: never used; used before. */
#define WORD_EMPTY	0ULL
#define WORD_GONE	U64_MAX

/**
 * struct qcow_register_table - a hash table with open addressing
 * @rcu: frees it after its readers
 * @buckets: number of buckets in @words
 * @used: number of words that are not WORD_EMPTY; always fewer than there are
 * @seed: secret, as the image's author chooses the units
 * @words: a unit is in the first bucket from its own one on that had room for it. So
 *	a bucket with an empty word ends the search. Words of a bucket are used in their
 *	order
 *
 * The members before @words fill a bucket, so the bytes of a table are a power of two.
 */
struct qcow_register_table {
	struct rcu_head rcu;
	u32 buckets;
	u32 used;
	u64 seed[2];
	u64 words[] __aligned(BUCKET * sizeof(u64));
};

static_assert(offsetof(struct qcow_register_table, words) == BUCKET * sizeof(u64));

/* --- The hash table --- */

static u64 table_bytes(const struct qcow_register_table *t)
{
	return (t->buckets + 1ULL) * BUCKET * sizeof(u64);
}

/*
 * Bytes of a new table for @nr units. At most 11 of 16 words are in use, so that many
 * more can be added: a table of half the size would be too full.
 */
static u64 bytes_for(u64 nr)
{
	u64 bytes = MIN_BYTES;

	while ((bytes / sizeof(u64) - BUCKET) * 11 / 16 < nr)
		bytes *= 2;
	return bytes;
}

/* Return: true if another unit would make searches long. */
static bool table_full(const struct qcow_register_table *t)
{
	return t->used + 1 > (u64)t->buckets * BUCKET * 13 / 16;
}

static struct qcow_register_table *table_alloc(u64 nr)
{
	u64 bytes = bytes_for(nr);
	struct qcow_register_table *t = NULL;

	if (bytes <= INT_MAX)
		t = kvzalloc(bytes, GFP_NOIO | __GFP_NOWARN);
	if (!t)
		return NULL;
	t->buckets = bytes / sizeof(u64) / BUCKET - 1;
	t->seed[0] = get_random_u64();
	t->seed[1] = get_random_u64() | 1;
	return t;
}

/* The first bucket of a unit. */
static u32 table_bucket(const struct qcow_register_table *t, u64 unit)
{
	u64 hash = ((unit >> BUCKET_BITS) ^ t->seed[0]) * t->seed[1];

	hash = (hash ^ hash >> 32) * GOLDEN_RATIO_64;
	return (hash >> 32) * t->buckets >> 32;
}

static u64 word_unit(u64 word)
{
	return word >> KIND_BITS;
}

static u64 word_kind(u64 word)
{
	return word & (BIT(KIND_BITS) - 1);
}

/*
 * Look for a unit from @unit to @last, which have the same bucket. @found: out: where its word
 * is. Return: the word; WORD_EMPTY: there is none. WORD_GONE is no unit's word.
 */
static u64 table_find(struct qcow_register_table *t, u64 unit, u64 last, u64 **found)
{
	u32 bucket = table_bucket(t, unit), i;
	u64 word;

	for (;; bucket = bucket + 1 == t->buckets ? 0 : bucket + 1) {
		*found = &t->words[bucket << BUCKET_BITS];
		for (i = 0; i < BUCKET; i++, ++*found) {
			word = READ_ONCE(**found);
			if (word == WORD_EMPTY || word_unit(word) - unit <= last - unit)
				return word;
		}
	}
}

/* Add a unit that is not in the table. A reader sees all of the word or nothing. */
static void table_put(struct qcow_register_table *t, u64 unit, u64 kind)
{
	u32 bucket = table_bucket(t, unit), i;
	u64 *words;

	for (;; bucket = bucket + 1 == t->buckets ? 0 : bucket + 1) {
		words = &t->words[bucket << BUCKET_BITS];
		for (i = 0; i < BUCKET; i++) {
			if (words[i] != WORD_EMPTY && words[i] != WORD_GONE)
				continue;
			t->used += words[i] == WORD_EMPTY;
			WRITE_ONCE(words[i], unit << KIND_BITS | kind);
			return;
		}
	}
}

/* --- Under the lock --- */

static struct qcow_register_table *__table(struct qcow_register *reg)
{
	return rcu_dereference_protected(reg->table, lockdep_is_held(&reg->lock));
}

/*
 * Exchange the table for one with room for another unit. Without memory the old one is
 * filled further, as long as searches in it come to an end.
 */
static int __register_grow(struct qcow_register *reg)
{
	struct qcow_register_table *old = __table(reg), *new = table_alloc(reg->nr + 1);
	u64 i, nr = (u64)old->buckets * BUCKET;

	if (!new)
		return old->used + BUCKET < nr ? 0 : -ENOMEM;
	for (i = 0; i < nr; i++) {
		if (!(i % 4096))
			cond_resched();
		if (old->words[i] != WORD_EMPTY && old->words[i] != WORD_GONE)
			table_put(new, word_unit(old->words[i]), word_kind(old->words[i]));
	}
	/* Pairs with rcu_dereference() of readers: the new table is complete. */
	rcu_assign_pointer(reg->table, new);
	kvfree_rcu(old, rcu);
	return 0;
}

static int __register_put(struct qcow_register *reg, u64 unit, enum qcow_meta kind)
{
	u64 *found, word = table_find(__table(reg), unit, unit, &found);
	int err = 0;

	if (word != WORD_EMPTY)
		return word_kind(word) == kind ? 0 : -EUCLEAN;
	if (table_full(__table(reg)))
		err = __register_grow(reg);
	if (err)
		return err;
	table_put(__table(reg), unit, kind);
	reg->nr++;
	return 0;
}

static void __register_drop(struct qcow_register *reg, u64 unit)
{
	u64 *found;

	if (table_find(__table(reg), unit, unit, &found) == WORD_EMPTY)
		return;
	WRITE_ONCE(*found, WORD_GONE);
	reg->nr--;
}

/* --- The register --- */

/**
 * qcow_register_init() - make an empty register
 * @reg: the register
 * @img: its image
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM; qcow_register_destroy() may be called in any case.
 */
int qcow_register_init(struct qcow_register *reg, struct qcow_image *img)
{
	struct qcow_register_table *t = table_alloc(0);

	*reg = (struct qcow_register) {
		.img = img,
		.max_bytes = ((u64)totalram_pages() << PAGE_SHIFT) / REGISTER_SHARE,
	};
	mutex_init(&reg->lock);
	RCU_INIT_POINTER(reg->table, t);
	return t ? 0 : -ENOMEM;
}

/**
 * qcow_register_destroy() - free a register
 * @reg: the register, which no task uses any more
 */
void qcow_register_destroy(struct qcow_register *reg)
{
	kvfree(rcu_dereference_protected(reg->table, true));
}

/**
 * qcow_register_bytes() - tell how much memory a register takes
 * @reg: the register
 *
 * Context: any.
 *
 * Return: bytes.
 */
u64 qcow_register_bytes(struct qcow_register *reg)
{
	u64 bytes;

	rcu_read_lock();
	bytes = table_bytes(rcu_dereference(reg->table));
	rcu_read_unlock();
	return bytes;
}

/**
 * qcow_register_fits() - tell whether the register has room for more metadata
 * @reg: the register
 *
 * The disk below bounds the metadata that the driver makes. Nothing bounds the metadata
 * that it finds, in an image or a snapshot.
 *
 * Context: may sleep.
 *
 * Return: whether it stays within its limit with another unit.
 */
bool qcow_register_fits(struct qcow_register *reg)
{
	bool fits;

	mutex_lock(&reg->lock);
	fits = bytes_for(reg->nr + 1) <= reg->max_bytes;
	mutex_unlock(&reg->lock);
	return fits;
}

/**
 * qcow_register_find() - look for metadata
 * @reg: the register
 * @unit: the first unit
 * @nr: number of units, at least 1
 *
 * Context: any.
 *
 * Return: the kind of metadata in one of the units; 0: there is none.
 */
enum qcow_meta qcow_register_find(struct qcow_register *reg, u64 unit, u64 nr)
{
	u64 last = unit + nr - 1, end, word = WORD_EMPTY;
	struct qcow_register_table *t;
	u64 *found;

	/* The table may be exchanged meanwhile: the old one stays until the end. */
	rcu_read_lock();
	t = rcu_dereference(reg->table);
	for (; word == WORD_EMPTY && unit <= last; unit = end + 1) {
		end = min(last, unit | (BUCKET - 1));
		word = table_find(t, unit, end, &found);
	}
	rcu_read_unlock();
	return word_kind(word);
}

/**
 * qcow_register_next() - go through all units
 * @reg: the register, which no task changes meanwhile
 * @i: in: 0 to begin; out: to be passed on
 * @unit: out: a unit. They come in no order
 * @kind: out: its kind
 *
 * Context: may sleep.
 *
 * Return: whether there was one more.
 */
bool qcow_register_next(struct qcow_register *reg, u64 *i, u64 *unit, enum qcow_meta *kind)
{
	const struct qcow_register_table *t = rcu_dereference_protected(reg->table, true);
	u64 word;

	while (*i < (u64)t->buckets * BUCKET) {
		if (!(*i % 4096))
			cond_resched();
		word = t->words[(*i)++];
		if (word == WORD_EMPTY || word == WORD_GONE)
			continue;
		*unit = word_unit(word);
		*kind = word_kind(word);
		return true;
	}
	return false;
}

/* The first unit of a piece of the file, and their number. */
static u64 register_units(struct qcow_register *reg, u64 host_offset, u64 bytes, u64 *nr)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = host_offset >> bits;

	*nr = bytes ? ((host_offset + bytes - 1) >> bits) - unit + 1 : 0;
	return unit;
}

/**
 * qcow_register_add() - register metadata that was found in the image
 * @reg: the register
 * @kind: kind of the metadata
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * It may be registered already with the same kind. For a new table see
 * qcow_register_new().
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; or -EUCLEAN: another kind of metadata is there.
 */
int qcow_register_add(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
		      u64 bytes)
{
	u64 nr, unit = register_units(reg, host_offset, bytes, &nr);
	int err = 0;

	mutex_lock(&reg->lock);
	for (; !err && nr; nr--, unit++)
		err = __register_put(reg, unit, kind);
	mutex_unlock(&reg->lock);
	return err;
}

/* Return: true if metadata is registered in any part of a piece of the file. */
static bool register_any(struct qcow_register *reg, u64 host_offset, u64 bytes)
{
	u64 nr, unit = register_units(reg, host_offset, bytes, &nr);

	return nr && qcow_register_has_any(reg, unit, nr);
}

/**
 * qcow_register_claim() - register metadata that must not overlap other metadata
 * @reg: the register
 * @kind: kind of the metadata
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * For opening an image. As qcow_register_add(), but no two tables may share a cluster,
 * or a sector in version 1.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; -EUCLEAN: they overlap; or -EFBIG: the register would take too
 * much memory.
 */
int qcow_register_claim(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			u64 bytes)
{
	u64 nr, unit = register_units(reg, host_offset, bytes, &nr);

	if (register_any(reg, host_offset, bytes))
		return -EUCLEAN;
	if (!qcow_register_fits(reg))
		return -EFBIG;
	reg->end = max(reg->end, unit + nr);
	return qcow_register_add(reg, kind, host_offset, bytes);
}

/**
 * qcow_register_end() - tell where the metadata ends that was found in the image
 * @reg: the register
 *
 * Context: any.
 *
 * Return: the host offset behind it, also if it was removed from the register since.
 */
u64 qcow_register_end(const struct qcow_register *reg)
{
	return reg->end << reg->img->layout.align_bits;
}

/**
 * qcow_register_forget() - remove metadata from the register
 * @reg: the register
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * Context: may sleep.
 */
void qcow_register_forget(struct qcow_register *reg, u64 host_offset, u64 bytes)
{
	u64 nr, unit = register_units(reg, host_offset, bytes, &nr);

	mutex_lock(&reg->lock);
	for (; nr; nr--, unit++)
		__register_drop(reg, unit);
	mutex_unlock(&reg->lock);
}

/**
 * qcow_register_forget_unit() - remove one unit from the register
 * @reg: the register
 * @unit: the unit; it need not be there
 *
 * Context: may sleep.
 */
void qcow_register_forget_unit(struct qcow_register *reg, u64 unit)
{
	/* Most units were none of metadata. Only the caller could add this one now. */
	if (!qcow_register_has(reg, unit))
		return;
	mutex_lock(&reg->lock);
	__register_drop(reg, unit);
	mutex_unlock(&reg->lock);
}

/**
 * qcow_register_forget_kind() - forget all metadata of one kind
 * @reg: the register, which no other task changes meanwhile
 * @kind: the kind
 *
 * Context: may sleep.
 */
void qcow_register_forget_kind(struct qcow_register *reg, enum qcow_meta kind)
{
	enum qcow_meta found;
	u64 i = 0, unit;

	while (qcow_register_next(reg, &i, &unit, &found))
		if (found == kind)
			qcow_register_forget_unit(reg, unit);
}

/**
 * qcow_register_new() - register a new table
 * @reg: the register
 * @kind: kind of the table
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * The table's clusters were free by their refcounts. If metadata is there, also of the
 * same kind, the refcounts are wrong, and the image is stopped.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; or -EIO: the image is stopped. An error leaves the register
 * unchanged.
 */
int qcow_register_new(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
		      u64 bytes)
{
	int err;

	if (register_any(reg, host_offset, bytes)) {
		qcow_image_damaged(reg->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	err = qcow_register_add(reg, kind, host_offset, bytes);
	if (err)
		qcow_register_forget(reg, host_offset, bytes);
	return err;
}

/**
 * qcow_register_holds() - tell whether a piece of the file has metadata of one kind
 * @reg: the register
 * @kind: the kind
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * Context: any.
 *
 * Return: whether all of it is.
 */
bool qcow_register_holds(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			 u64 bytes)
{
	u64 nr, unit = register_units(reg, host_offset, bytes, &nr);

	for (; nr; nr--, unit++)
		if (qcow_register_kind(reg, unit) != kind)
			return false;
	return true;
}
