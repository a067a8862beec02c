// SPDX-License-Identifier: GPL-2.0
/*
 * References counted, and compared with the refcounts on disk.
 * The files that walk tables call this for all that a table refers to, and check_run.c to
 * compare; the repair asks it for refcounts. It only reads.
 */
#include <stdlib.h>

#include "check/check_read.h"
#include "check/check_refs.h"
#include "lib/progress.h"
#include "lib/report.h"

/* Findings that are printed at most: an image can have billions. */
#define MAX_LINES	100

/* Clusters that are compared between two looks for a signal. */
#define STOP_STEP	4096

/* Where QEMU still reads. */
#define MAX_OFFSET	(S64_MAX - SZ_1G)

/**
 * check_found() - print a finding
 * @c: the check
 * @fmt: printf format
 */
void check_found(struct check *c, const char *fmt, ...)
{
	char text[240];
	va_list args;

	if (c->quiet || c->lines > MAX_LINES)
		return;
	if (c->lines++ == MAX_LINES) {
		report(c->file->name, "there is more, not shown here");
		return;
	}
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	report(c->file->name, "%s%s", c->prefix, text);
}

/**
 * check_give_up() - say why the image cannot be checked
 * @c: the check
 * @why: the reason
 *
 * Return: -1.
 */
int check_give_up(struct check *c, const char *why)
{
	if (!c->trial)
		report(c->file->name, "cannot be checked: %s", why);
	return -1;
}

/**
 * check_ended() - whether a trial has found too much
 * @c: the check
 *
 * Return: whether it is a trial, and found more than &check.limit.
 */
bool check_ended(const struct check *c)
{
	return c->trial && c->res.corruptions + c->res.leaks +
			   c->res.check_errors > c->limit;
}

/* One cluster is referred to @times more. */
static int add(struct check *c, u64 index, u64 times)
{
	u64 refs = counts_get(&c->refs, index);
	u64 room = c->max - refs;

	if (times > room) {
		check_found(c, "cluster %llu: more references than a refcount of %u bits can count",
			    (unsigned long long)index, 1U << c->h.refcount_order);
		c->res.corruptions += times - room;
		c->damaged += times - room;
		c->uncounted += times - room;
		times = room;
	}
	if (refs + times > UINT32_MAX)
		return check_give_up(c, "a cluster has more than 2^32 references; restore the image from a copy");
	counts_set(&c->refs, index, refs + times);
	c->references += times;
	return 0;
}

/**
 * check_reference() - something refers to a range of the file
 * @c: the check
 * @host_offset: bytes into the file
 * @size: bytes
 * @times: how often
 *
 * The last cluster of a file may be there in part, so a range may end behind it,
 * but not by a cluster.
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_reference(struct check *c, u64 host_offset, u64 size, u64 times)
{
	u64 i, last;

	if (!size || !times)
		return 0;
	if (host_offset > S64_MAX - size)
		return check_give_up(c, "a table's offset is out of range; restore the image from a copy");
	if (host_offset + size >= c->length + c->cluster) {
		check_found(c, "reference to %#llx (%llu bytes), past the end of the file",
			    (unsigned long long)host_offset, (unsigned long long)size);
		c->res.corruptions += times;
		c->damaged += times;
		c->beyond += times;
		return 0;
	}
	last = (host_offset + size - 1) >> c->h.cluster_bits;
	for (i = host_offset >> c->h.cluster_bits; i <= last; i++)
		if (add(c, i, times))
			return -1;
	if (last >= c->nr)
		c->nr = last + 1;
	return 0;
}

/**
 * check_table() - something refers to a table that nothing else may overlap
 * @c: the check
 * @host_offset: bytes into the file
 * @size: bytes
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_table(struct check *c, u64 host_offset, u64 size)
{
	u64 i, beyond = c->beyond;

	if (check_reference(c, host_offset, size, 1))
		return -1;
	if (!size || c->beyond != beyond)
		return 0;
	for (i = host_offset >> c->h.cluster_bits;
	     i <= (host_offset + size - 1) >> c->h.cluster_bits; i++)
		counts_set(&c->tables, i, counts_get(&c->tables, i) + 1);
	return 0;
}

/**
 * check_overlaps() - count the clusters that are a table and something else, too
 * @c: the check; everything was referred to
 *
 * One of the two references is wrong, and so the cluster that it should be has lost
 * its reference, with all that it refers to itself.
 */
void check_overlaps(struct check *c)
{
	struct check_l2_walk w;
	u64 i, tables, refs;

	for (i = counts_next(&c->tables, 0); i != UINT64_MAX;
	     i = counts_next(&c->tables, i + 1)) {
		tables = counts_get(&c->tables, i);
		c->overlaps += tables > 1 || counts_get(&c->refs, i) > tables;
	}
	for (check_l2_start(c, &w); (i = check_l2_next(c, &w)) != UINT64_MAX;) {
		tables = (u64)counts_get(&c->active, i) + counts_get(&c->inactive, i);
		refs = counts_get(&c->refs, i);
		c->overlaps += refs > tables;
	}
}

/**
 * check_unallocated() - note a table or bitmap in a cluster that is not allocated
 * @c: the check
 * @host_offset: of the cluster, bytes into the file
 *
 * It may be the place to which a damaged offset leads. After a crash refcounts may lag
 * behind.
 */
void check_unallocated(struct check *c, u64 host_offset)
{
	u64 refcount;

	if (c->h.incompatible & QCOW_DISK_INCOMPAT_DIRTY || c->without_refcounts ||
	    check_disk_refcount(c, host_offset >> c->h.cluster_bits, &refcount))
		return;
	c->lost += !refcount;
}

/**
 * check_empty_table() - note an empty table
 * @c: the check
 * @host_offset: of the table, bytes into the file
 *
 * In a cluster that is not allocated it is no table.
 */
void check_empty_table(struct check *c, u64 host_offset)
{
	if (check_aligned(c, host_offset) && host_offset < c->length)
		check_unallocated(c, host_offset);
}

/**
 * check_read_table() - read a table that others may overlap
 * @c: the check
 * @buf: where to
 * @len: bytes
 * @host_offset: bytes into the file
 *
 * Tables that do not overlap are not larger than the file all together. So what
 * is read is bounded, whatever an image tells.
 *
 * Return: 0, or -1 after printing the error.
 */
int check_read_table(struct check *c, void *buf, u64 len, u64 host_offset)
{
	u64 there = host_offset < c->length ? c->length - host_offset : 0;

	if (there > len)
		there = len;
	if (there > c->budget)
		return check_give_up(c, "its tables overlap far too often; restore it from a copy");
	c->budget -= there;
	return check_read(c, buf, len, host_offset);
}

static void *block_get(struct check *c, u64 host_offset)
{
	struct check_slot *s = &c->slots[(host_offset >> c->h.cluster_bits) % c->nr_slots];

	/* A disk takes seconds to say that it cannot read; one block has many refcounts. */
	if ((s->block || s->bad) && s->host_offset == host_offset)
		return s->block;
	if (!s->block)
		s->block = xcalloc(1, c->cluster);
	s->host_offset = host_offset;
	s->bad = check_read(c, s->block, c->cluster, host_offset);
	if (s->bad) {
		free(s->block);
		s->block = NULL;
	}
	return s->block;
}

/**
 * check_disk_refcount() - a cluster's refcount on disk
 * @c: the check
 * @cluster: its number; may be past the end of the file
 * @refcount: the result
 *
 * Return: 0, or -1 if it cannot be read.
 */
int check_disk_refcount(struct check *c, u64 cluster, u64 *refcount)
{
	u64 host_offset = 0;
	void *block;

	*refcount = 0;
	if (cluster / c->per_block < c->reftable_nr)
		host_offset = be64_to_cpu(c->reftable[cluster / c->per_block]) &
			 QCOW_DISK_REFTABLE_OFFSET_MASK;
	if (!check_aligned(c, host_offset) || host_offset > MAX_OFFSET)
		return -1;
	if (!host_offset || host_offset >= c->length)
		return 0;
	block = block_get(c, host_offset);
	if (!block)
		return -1;
	*refcount = qcow_entry_refcount(block, c->h.refcount_order,
					cluster % c->per_block);
	return 0;
}

/**
 * check_forget_blocks() - read refcount blocks anew, as they were written
 * @c: the check
 */
void check_forget_blocks(struct check *c)
{
	u32 i;

	for (i = 0; i < c->nr_slots; i++) {
		free(c->slots[i].block);
		c->slots[i].block = NULL;
		c->slots[i].bad = false;
	}
}

/**
 * check_block_missing() - whether a cluster has no refcount block
 * @c: the check
 * @cluster: its number
 *
 * Return: whether there is none, or none that can be written.
 */
bool check_block_missing(const struct check *c, u64 cluster)
{
	u64 raw;

	if (cluster / c->per_block >= c->reftable_nr)
		return true;
	raw = be64_to_cpu(c->reftable[cluster / c->per_block]);
	return !raw || !check_aligned(c, raw) || raw >= c->length;
}

static void compare_one(struct check *c, u64 i)
{
	u64 refs = counts_get(&c->refs, i), disk;

	if (check_disk_refcount(c, i, &disk)) {
		/* An error of the disk was printed, of all that it concerns. */
		if (!c->unread)
			check_found(c, "cluster %llu: its refcount cannot be read",
				    (unsigned long long)i);
		c->res.check_errors++;
		return;
	}
	if (disk || refs)
		c->res.end_offset = (i + 1) << c->h.cluster_bits;
	if (disk == refs)
		return;
	check_found(c, "cluster %llu: %srefcount %llu, but %llu references",
		    (unsigned long long)i, disk > refs ? "leaked: " : "",
		    (unsigned long long)disk, (unsigned long long)refs);
	if (disk > refs) {
		c->res.leaks++;
		return;
	}
	c->res.corruptions++;
	c->low++;
	c->unplaced += check_block_missing(c, i);
}

/*
 * The first cluster from @i on that may have a refcount or a reference. Where
 * there is no refcount block, only references count.
 */
static u64 next_used(const struct check *c, u64 i)
{
	u64 block = i / c->per_block, referred;

	if (block < c->reftable_nr && c->reftable[block])
		return i;
	referred = counts_next(&c->refs, i);
	for (block++; block < c->reftable_nr && block * c->per_block < referred; block++)
		if (c->reftable[block])
			return block * c->per_block;
	return referred;
}

/**
 * check_compare() - compare references with the refcounts on disk
 * @c: the check
 */
void check_compare(struct check *c)
{
	u64 i, n;

	c->res.end_offset = c->cluster;
	for (i = next_used(c, 0), n = 0; i < c->nr; i = next_used(c, i + 1), n++) {
		if (n % STOP_STEP == 0 && progress_stopped())
			return;
		compare_one(c, i);
		if (check_ended(c))
			return;
	}
}

static int refblock(struct check *c, u64 i, u64 raw)
{
	const char *wrong = NULL;
	u64 cluster = raw >> c->h.cluster_bits;

	if (raw & ~QCOW_DISK_REFTABLE_OFFSET_MASK)
		wrong = "reserved bits are set";
	else if (!check_aligned(c, raw))
		wrong = "the block is not aligned";
	else if (cluster >= c->nr)
		wrong = "the block is past the end of the file";
	else if (raw && check_reference(c, raw, c->cluster, 1))
		return -1;
	else if (raw && counts_get(&c->refs, cluster) != 1)
		wrong = "the block is something else, too";
	if (!wrong)
		return 0;
	check_found(c, "refcount table entry %llu (%#llx): %s",
		    (unsigned long long)i, (unsigned long long)raw, wrong);
	c->res.corruptions++;
	c->reftable_bad++;
	return 0;
}

/**
 * check_refblocks() - refer to the refcount blocks
 * @c: the check; everything else was referred to
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_refblocks(struct check *c)
{
	u64 i;

	for (i = 0; i < c->reftable_nr; i++)
		if (c->reftable[i] && refblock(c, i, be64_to_cpu(c->reftable[i])))
			return -1;
	return 0;
}
