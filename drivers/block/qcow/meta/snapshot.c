// SPDX-License-Identifier: GPL-2.0
/*
 * Internal snapshots of an image that is opened: finding one to show, registering and
 * checking the tables of all. snapshot_table.c changes them.
 *
 * Section "Snapshots" of the specification.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "meta/refcount.h"
#include "meta/snapshot.h"

static int snapshot_read(struct qcow_image *img, u64 host_offset, struct qcow_snapshot *s)
{
	struct {
		struct qcow_disk_snapshot fixed;
		struct qcow_disk_snapshot_extra extra;
	} disk;
	int err;

	err = qcow_file_pread(&img->file, host_offset, &disk, sizeof(disk));
	if (err)
		return err;
	return qcow_entry_snapshot(&img->layout, &disk.fixed, &disk.extra, s);
}

/* --- Finding a snapshot --- */

/*
 * Return: 1: the file has @name at [@host_offset, @host_offset + @len); 0: it does not; or
 * a negative errno.
 */
static int snapshot_is(struct qcow_image *img, u64 host_offset, u32 len, const char *name,
		       char *buf)
{
	int err;

	if (len != strlen(name))
		return 0;
	err = qcow_file_pread(&img->file, host_offset, buf, len);
	return err ?: !memcmp(buf, name, len);
}

/* Return: 2: @name is its id; 1: @name is its name; 0: neither; or a negative errno. */
static int snapshot_matches(struct qcow_image *img, u64 host_offset,
			    const struct qcow_snapshot *s, const char *name, char *buf)
{
	u64 id = host_offset + s->id_in_entry;
	int ret;

	ret = snapshot_is(img, id, s->id_len, name, buf);
	if (ret)
		return ret < 0 ? ret : 2;
	return snapshot_is(img, id + s->id_len, s->name_len, name, buf);
}

static int snapshot_search(struct qcow_image *img, const struct qcow_header *h,
			   const char *name, char *buf,
			   struct qcow_snapshot *found)
{
	u64 host_offset = h->snapshots_offset;
	struct qcow_snapshot s;
	int ret, best = 0;
	u32 i;

	for (i = 0; i < h->nr_snapshots && best < 2; i++) {
		ret = snapshot_read(img, host_offset, &s);
		if (!ret)
			ret = snapshot_matches(img, host_offset, &s, name, buf);
		if (ret < 0)
			return ret;
		if (ret > best) {
			best = ret;
			*found = s;
		}
		host_offset += s.entry_bytes;
		if (host_offset - h->snapshots_offset > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			return -EUCLEAN;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return best ? 0 : -ENOENT;
}

/**
 * qcow_snapshot_find() - look a snapshot up
 * @img: the image
 * @h: its header
 * @name: id or name, at most QCOW_SNAPSHOT_NAME_MAX bytes; an id is preferred
 * @s: the result
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOENT: there is no such snapshot; -EUCLEAN: the snapshot table is
 * damaged; -EINTR: the task is to be killed; or another error.
 */
int qcow_snapshot_find(struct qcow_image *img, const struct qcow_header *h,
		       const char *name, struct qcow_snapshot *s)
{
	char *buf = kmalloc(strlen(name) + 1, GFP_KERNEL);
	int err;

	if (!buf)
		return -ENOMEM;
	err = snapshot_search(img, h, name, buf, s);
	kfree(buf);
	return err;
}

/* --- Those of an image that is written --- */

/**
 * qcow_snapshot_sum() - a keyed sum that detects a changed snapshot table
 * @a: of the image
 * @table: the table
 * @bytes: bytes of the table
 *
 * Context: any.
 *
 * Return: the sum.
 */
u64 qcow_snapshot_sum(const struct qcow_alloc *a, const void *table, size_t bytes)
{
	return siphash(table, bytes, &a->snapshots.key);
}

/*
 * Remember the sum of the table, which is valid: later reads must find the same table.
 */
static int snapshot_seal(struct qcow_alloc *a)
{
	u8 *table = kvmalloc(a->snapshots.bytes + 1, GFP_KERNEL);
	int err;

	if (!table)
		return -ENOMEM;
	err = qcow_file_pread(&a->img->file, a->snapshots.host_offset, table,
			      a->snapshots.bytes);
	get_random_bytes(&a->snapshots.key, sizeof(a->snapshots.key));
	a->snapshots.sum = qcow_snapshot_sum(a, table, a->snapshots.bytes);
	kvfree(table);
	return err;
}

/**
 * qcow_snapshot_add_meta() - register the tables of all snapshots
 * @a: of the image
 * @h: its header
 *
 * Context: may sleep.
 *
 * Return: 0; -EUCLEAN: a table is damaged or overlaps; -E2BIG: L1 tables take more than
 * QCOW_SNAPSHOT_MAX_L1_BYTES; -EFBIG: the register would take too much memory; -EINTR:
 * the task is to be killed; or another error.
 */
int qcow_snapshot_add_meta(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 host_offset = h->snapshots_offset, l1_bytes = 0;
	struct qcow_snapshot s;
	u32 i;
	int err;

	for (i = 0; i < h->nr_snapshots; i++) {
		err = snapshot_read(a->img, host_offset, &s);
		if (err)
			return err;
		host_offset += s.entry_bytes;
		l1_bytes += s.l1_size * sizeof(u64);
		if (host_offset - h->snapshots_offset > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			return -EUCLEAN;
		if (l1_bytes > QCOW_SNAPSHOT_MAX_L1_BYTES)
			return -E2BIG;
		err = qcow_register_claim(&a->reg, QCOW_META_INACTIVE_L1,
					  s.l1_table_offset,
					    s.l1_size * sizeof(u64));
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	a->snapshots.nr = h->nr_snapshots;
	a->snapshots.host_offset = h->snapshots_offset;
	a->snapshots.bytes = host_offset - h->snapshots_offset;
	a->snapshots.l1_bytes = l1_bytes;
	err = qcow_register_claim(&a->reg, QCOW_META_SNAPSHOTS,
				  h->snapshots_offset, a->snapshots.bytes);
	return err ?: snapshot_seal(a);
}

/* --- Refcounts of their L2 tables --- */

/* Bytes of an L1 table that are read at once, and entries between interruptions. */
#define CHECK_BYTES	SZ_64K
#define CHECK_ENTRIES	256

/* Return: 0, or -EUCLEAN: the L2 table of an L1 entry is free by its refcount. */
static int check_entry(struct qcow_alloc *a, u64 entry)
{
	u64 host_offset, cluster, refs;
	int err;

	/* An invalid entry is found when it is used. */
	if (qcow_entry_l1(&a->img->layout, entry, &host_offset) || !host_offset)
		return 0;
	cluster = host_offset >> qcow_alloc_cluster_bits(a);
	/* Registered tables are never allocated. */
	if (qcow_register_has(&a->reg, cluster))
		return 0;
	err = qcow_refcount_get(a, cluster, &refs);
	return err ?: refs ? 0 : -EUCLEAN;
}

/* @buf: CHECK_BYTES of memory */
static int check_l1(struct qcow_alloc *a, const struct qcow_snapshot *s, __be64 *buf)
{
	u32 step = CHECK_BYTES / sizeof(*buf), i, nr;
	int err = 0;

	for (i = 0; !err && i < s->l1_size; i++) {
		nr = min(s->l1_size - i, step);
		if (!(i % step))
			err = qcow_file_pread(&a->img->file, s->l1_table_offset + i * sizeof(*buf),
					      buf, nr * sizeof(*buf));
		if (!err && !(i % CHECK_ENTRIES)) {
			cond_resched();
			err = qcow_image_interrupted(a->img);
		}
		if (!err)
			err = check_entry(a, be64_to_cpu(buf[i % step]));
	}
	return err;
}

/**
 * qcow_snapshot_check_counted() - check that all L2 tables of snapshots are counted
 * @a: of the image; qcow_refcount_check_meta() found no fault
 *
 * A table with refcount 0 would be allocated again, and is in no register.
 *
 * Context: may sleep.
 *
 * Return: 0; -EUCLEAN: a refcount is 0; as qcow_image_interrupted(); -ENOMEM; or the
 * error of reading.
 */
int qcow_snapshot_check_counted(struct qcow_alloc *a)
{
	u64 host_offset = a->snapshots.host_offset;
	struct qcow_snapshot s;
	__be64 *buf;
	int err = 0;
	u32 i;

	if (!a->snapshots.nr)
		return 0;
	buf = kvmalloc(CHECK_BYTES, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < a->snapshots.nr; i++) {
		err = snapshot_read(a->img, host_offset, &s);
		if (!err)
			err = check_l1(a, &s, buf);
		if (err)
			break;
		host_offset += s.entry_bytes;
	}
	kvfree(buf);
	return err;
}
