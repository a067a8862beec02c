// SPDX-License-Identifier: GPL-2.0
/*
 * The snapshot table of an image that is written. It is read as a whole, changed in
 * memory, and written to new clusters, which the header then names. jobs/snapshot_ops.c
 * calls it.
 *
 * Entries of other snapshots are moved byte for byte, with their unknown parts. Section
 * "Snapshots" of the specification.
 */
#include <linux/ctype.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/header_write.h"
#include "meta/release.h"
#include "meta/snapshot_table.h"
#include "meta/snapshot.h"

/**
 * qcow_snapshot_table_load() - read the snapshot table
 * @a: of the image
 * @t: the result, for qcow_snapshot_table_free()
 *
 * Context: may sleep.
 *
 * Return: 0; -ESTALE: another program has changed the table; or another error.
 */
int qcow_snapshot_table_load(struct qcow_alloc *a, struct qcow_snapshot_table *t)
{
	int err;

	t->nr = a->snapshots.nr;
	t->bytes = a->snapshots.bytes;
	t->buf = kvmalloc(t->bytes + 1, GFP_NOIO);
	if (!t->buf)
		return -ENOMEM;
	err = qcow_file_pread(&a->img->file, a->snapshots.host_offset, t->buf, t->bytes);
	if (!err && qcow_snapshot_sum(a, t->buf, t->bytes) != a->snapshots.sum)
		err = -ESTALE;
	return err;
}

void qcow_snapshot_table_free(struct qcow_snapshot_table *t)
{
	kvfree(t->buf);
	t->buf = NULL;
}

static int table_entry(const struct qcow_alloc *a, const struct qcow_snapshot_table *t,
		       u64 in_table, struct qcow_snapshot *s)
{
	struct {
		struct qcow_disk_snapshot fixed;
		struct qcow_disk_snapshot_extra extra;
	} disk = { };
	int err;

	if (t->bytes - in_table < sizeof(disk.fixed))
		return -EUCLEAN;
	memcpy(&disk, t->buf + in_table, min_t(u64, sizeof(disk), t->bytes - in_table));
	err = qcow_entry_snapshot(&a->img->layout, &disk.fixed, &disk.extra, s);
	if (!err && s->entry_bytes > t->bytes - in_table)
		err = -EUCLEAN;
	return err;
}

static bool name_is(const u8 *bytes, u32 len, const char *name)
{
	return len == strlen(name) && !memcmp(bytes, name, len);
}

/**
 * qcow_snapshot_table_find() - look a snapshot up
 * @a: of the image
 * @t: its table
 * @name: id or name; an id is preferred
 * @found: the result
 *
 * Return: 0; -ENOENT: there is no such snapshot; -EUCLEAN: the table is damaged.
 */
int qcow_snapshot_table_find(const struct qcow_alloc *a,
			     const struct qcow_snapshot_table *t, const char *name,
			     struct qcow_snapshot_entry *found)
{
	struct qcow_snapshot s;
	const u8 *id;
	int err = -ENOENT, ret;
	u64 in_table = 0;
	u32 i;

	for (i = 0; i < t->nr; i++, in_table += s.entry_bytes) {
		ret = table_entry(a, t, in_table, &s);
		if (ret)
			return ret;
		id = t->buf + in_table + s.id_in_entry;
		if (!name_is(id, s.id_len, name) &&
		    (!err || !name_is(id + s.id_len, s.name_len, name)))
			continue;
		found->s = s;
		found->in_table = in_table;
		err = 0;
		if (name_is(id, s.id_len, name))
			break;
	}
	return err;
}

/* Return: the number at the beginning of an id. */
static u64 id_number(const u8 *id, u32 len)
{
	u64 n = 0;
	u32 i;

	for (i = 0; i < len && isdigit(id[i]); i++) {
		if (n > (U64_MAX - 9) / 10)
			return U64_MAX;
		n = n * 10 + id[i] - '0';
	}
	return n;
}

/**
 * qcow_snapshot_table_new_id() - choose the id of a new snapshot, as QEMU does
 * @a: of the image
 * @t: its table
 * @id: the result
 * @len: bytes of memory at @id
 *
 * Return: 0; -EUCLEAN: the table is damaged; -EOVERFLOW: there is no larger id.
 */
int qcow_snapshot_table_new_id(const struct qcow_alloc *a,
			       const struct qcow_snapshot_table *t, char *id, size_t len)
{
	struct qcow_snapshot s;
	u64 max = 0, in_table = 0;
	u32 i;
	int err;

	for (i = 0; i < t->nr; i++, in_table += s.entry_bytes) {
		err = table_entry(a, t, in_table, &s);
		if (err)
			return err;
		max = max(max, id_number(t->buf + in_table + s.id_in_entry, s.id_len));
	}
	if (max == U64_MAX)
		return -EOVERFLOW;
	snprintf(id, len, "%llu", max + 1);
	return 0;
}

/**
 * qcow_snapshot_table_add() - add an entry in memory
 * @t: the table
 * @s: id_len and name_len fit @id and @name
 * @id: its id
 * @name: its name
 *
 * Context: may sleep.
 *
 * Return: 0; -EMLINK: there are as many entries as possible; -ENOMEM.
 */
int qcow_snapshot_table_add(struct qcow_snapshot_table *t, const struct qcow_snapshot *s,
			    const char *id, const char *name)
{
	u32 bytes = qcow_entry_snapshot_bytes(s);
	u8 *buf;

	if (t->nr == QCOW_DISK_MAX_SNAPSHOTS ||
	    t->bytes + bytes > QCOW_DISK_MAX_SNAPSHOT_TABLE)
		return -EMLINK;
	buf = kvmalloc(t->bytes + bytes, GFP_NOIO);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, t->buf, t->bytes);
	qcow_entry_put_snapshot(s, id, name, buf + t->bytes);
	kvfree(t->buf);
	t->buf = buf;
	t->bytes += bytes;
	t->nr++;
	return 0;
}

/**
 * qcow_snapshot_table_remove() - remove an entry in memory
 * @t: the table
 * @e: the entry
 */
void qcow_snapshot_table_remove(struct qcow_snapshot_table *t,
				const struct qcow_snapshot_entry *e)
{
	u8 *to = t->buf + e->in_table;

	t->bytes -= e->s.entry_bytes;
	memmove(to, to + e->s.entry_bytes, t->bytes - e->in_table);
	t->nr--;
}

/* --- On disk --- */

static u32 table_clusters(const struct qcow_alloc *a, u64 bytes)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	return (bytes + (1ULL << bits) - 1) >> bits;
}

/* An empty table takes no space. */
static int table_write(struct qcow_alloc *a, const struct qcow_snapshot_table *t,
		       u64 *host_offset)
{
	u32 nr = table_clusters(a, t->bytes);
	u64 first;
	int err;

	*host_offset = 0;
	if (!nr)
		return 0;
	err = qcow_alloc_run(a, QCOW_META_SNAPSHOTS, nr, &first);
	if (err)
		return err;
	*host_offset = first << qcow_alloc_cluster_bits(a);
	err = qcow_file_pwrite(&a->img->file, *host_offset, t->buf, t->bytes);
	if (err)
		qcow_release(a, first, nr);
	return err;
}

/**
 * qcow_snapshot_table_publish() - make a changed table the image's snapshot table
 * @a: of the image
 * @t: the table; clusters of its new snapshots have their references, in memory, and
 *	are written
 *
 * Flushes before it publishes the table.
 *
 * Context: may sleep.
 *
 * Return: 0: it is durable, and the old table is freed; or an error: the old table is
 * in use, unless a->failed is set.
 */
int qcow_snapshot_table_publish(struct qcow_alloc *a, const struct qcow_snapshot_table *t)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 host_offset, old = a->snapshots.host_offset;
	u32 old_nr = table_clusters(a, a->snapshots.bytes);
	int err;

	err = table_write(a, t, &host_offset);
	if (err)
		return err;
	err = qcow_flush(a);
	if (!err)
		err = qcow_header_set_snapshots(a, t->nr, host_offset);
	if (!err) {
		a->snapshots.nr = t->nr;
		a->snapshots.host_offset = host_offset;
		a->snapshots.bytes = t->bytes;
		a->snapshots.sum = qcow_snapshot_sum(a, t->buf, t->bytes);
		qcow_release_now(a, old >> bits, old_nr);
	} else if (!a->failed) {
		qcow_release(a, host_offset >> bits, table_clusters(a, t->bytes));
	}
	return err;
}
