// SPDX-License-Identifier: GPL-2.0
/*
 * A new snapshot table for one whose entries lack extra data that version 3 wants.
 * It is written to free clusters; one write to the header makes it the image's.
 * check_repair.c calls this.
 */
#include <stdlib.h>

#include "check/check_read.h"
#include "check/check_refcounts.h"
#include "check/check_refs.h"
#include "check/check_snapshots.h"
#include "check/check_write.h"
#include "lib/report.h"

/**
 * struct new_table - a snapshot table to be written
 * @buf: the table
 * @bytes: of it
 * @room: bytes that there is room for
 */
struct new_table {
	u8 *buf;
	u64 bytes;
	u64 room;
};

static u8 *add_bytes(struct new_table *t, u64 bytes)
{
	u8 *at;

	if (t->bytes + bytes > t->room) {
		t->room = 2 * (t->bytes + bytes);
		t->buf = xrealloc(t->buf, t->room);
	}
	at = t->buf + t->bytes;
	memset(at, 0, bytes);
	t->bytes += bytes;
	return at;
}

/*
 * The meaning of missing extra data: the VM state's size is that of the fixed part,
 * the disk's size is that of now.
 */
static void complete_extra(const struct check *c, const struct qcow_disk_snapshot *d,
			   u8 *extra, u32 len)
{
	struct qcow_disk_snapshot_extra all = {
		.vm_state_size = cpu_to_be64(be32_to_cpu(d->vm_state_size)),
		.disk_size = cpu_to_be64(c->h.size),
	};

	if (len < sizeof(all.vm_state_size))
		memcpy(extra, &all.vm_state_size, sizeof(all.vm_state_size));
	if (len < QCOW_DISK_MIN_SNAPSHOT_EXTRA)
		memcpy(extra + offsetof(struct qcow_disk_snapshot_extra, disk_size),
		       &all.disk_size, sizeof(all.disk_size));
}

/*
 * Copy the entry at @host_offset, and move @host_offset behind it. Return: 1 if its names
 * are damaged.
 */
static int copy_entry(struct check *c, struct new_table *t, u64 *host_offset)
{
	struct qcow_disk_snapshot d;
	u32 len, new_len, rest;
	u8 *to;

	if (check_read(c, &d, sizeof(d), *host_offset))
		return -1;
	len = be32_to_cpu(d.extra_data_size);
	new_len = len < QCOW_DISK_MIN_SNAPSHOT_EXTRA ? QCOW_DISK_MIN_SNAPSHOT_EXTRA : len;
	rest = be16_to_cpu(d.id_str_size) + be16_to_cpu(d.name_size);
	to = add_bytes(t, (sizeof(d) + new_len + rest + 7) & ~7U);
	d.extra_data_size = cpu_to_be32(new_len);
	memcpy(to, &d, sizeof(d));
	*host_offset += sizeof(d);
	if (check_read(c, to + sizeof(d), len, *host_offset) ||
	    check_read(c, to + sizeof(d) + new_len, rest, *host_offset + len))
		return -1;
	complete_extra(c, &d, to + sizeof(d), len);
	/* Then the entry is complete, and the size of its extra data is wrong. */
	if (memchr(to + sizeof(d) + new_len, 0, rest))
		return 1;
	*host_offset = (*host_offset + len + rest + 7) & ~7ULL;
	return 0;
}

static int copy_table(struct check *c, struct new_table *t)
{
	u64 host_offset = c->h.snapshots_offset;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < c->h.nr_snapshots; i++)
		err = copy_entry(c, t, &host_offset);
	return err;
}

static bool is_free(struct check *c, u64 cluster)
{
	u64 refcount;

	return !counts_get(&c->refs, cluster) &&
	       !check_disk_refcount(c, cluster, &refcount) && !refcount;
}

/* The first of @nr free clusters, or 0. A block device has none behind its end. */
static u64 find_room(struct check *c, u64 nr)
{
	u64 end = c->length >> c->h.cluster_bits, i, run = 0;

	for (i = 1; i < end && run < nr; i++)
		run = is_free(c, i) ? run + 1 : 0;
	if (run == nr)
		return i - nr;
	return S_ISBLK(c->file->stat.st_mode) ? 0 : c->nr;
}

/* Clusters without a refcount block get one by the next repair. */
static int own(struct check *c, u64 first, u64 nr)
{
	u64 i;

	counts_reserve(&c->refs, first + nr);
	for (i = first; i < first + nr; i++)
		counts_set(&c->refs, i, 1);
	if (c->nr < first + nr)
		c->nr = first + nr;
	return check_raise(c);
}

static int publish(struct check *c, u64 host_offset)
{
	return check_write_header_u64(c, offsetof(struct qcow_disk_header,
						  snapshots_offset), host_offset);
}

/**
 * check_complete_snapshots() - give a snapshot table the extra data that it lacks
 * @c: after check_run(), which found no other damage of the table
 *
 * Return: 1 if it was done, 0 after saying why it cannot be, or -1 after printing
 * the error.
 */
int check_complete_snapshots(struct check *c)
{
	struct new_table t = { };
	u64 nr, first;
	int err;

	err = copy_table(c, &t);
	if (err > 0) {
		report(c->file->name, "its snapshot table is damaged; restore it from a copy");
		free(t.buf);
		return 0;
	}
	nr = (t.bytes + c->cluster - 1) >> c->h.cluster_bits;
	first = err ? 0 : find_room(c, nr);
	if (!err && (!first || t.bytes > QCOW_DISK_MAX_SNAPSHOT_TABLE)) {
		report(c->file->name, "its snapshot table is not complete, and there is no room for a new one");
		free(t.buf);
		return 0;
	}
	if (!err)
		err = own(c, first, nr) ||
		      check_write(c, t.buf, t.bytes, first << c->h.cluster_bits) ||
		      publish(c, first << c->h.cluster_bits);
	free(t.buf);
	return err ? -1 : 1;
}
