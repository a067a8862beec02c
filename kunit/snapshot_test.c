// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots made, deleted and applied while the disk is written: the content of each,
 * also after a power cut at any moment, and when files fail or the disk is full.
 */
#include <linux/slab.h>
#include <linux/uio.h>

#include "jobs/snapshot_ops.h"
#include "meta/flush.h"
#include "writer.h"

#define SECTOR		512
#define LOADS		8
#define STEPS		36
#define CUTS		120
#define MAX_SNAPSHOTS 24
#define MAX_SITES	600
#define LOG_ENTRIES	16384
#define LOG_BYTES	(48U << 20)
#define MAX_SECTORS	256

/**
 * struct made - a snapshot that was asked for
 * @name: of it
 * @content: the disk at that moment
 * @unsure: sectors of it whose last write failed: it may have happened or not
 * @begun: stamp
 * @made: stamp of when it was there, or ORACLE_NEVER
 * @going: stamp of the begin of its deletion
 * @gone: stamp of the end
 */
struct made {
	char name[CHECKER_NAME];
	u8 *content;
	DECLARE_BITMAP(unsure, MAX_SECTORS);
	u32 begun;
	u32 made;
	u32 going;
	u32 gone;
};

/**
 * struct snapshot_fixture - a disk that is written, and its snapshots
 * @w: the image
 * @pause: counts, and writes when I/O goes on
 * @rnd: where all comes from
 * @busy: slots with a write under way
 * @first: sector of the last write of each slot
 * @sectors: of that write
 * @unsure: sectors whose last write failed
 * @failing: files fail: the disk's content is read, not expected
 * @quiet: nothing is written while an operation runs
 * @snapshot: those that were made
 * @nr: of them
 * @capture: the snapshot that gets the disk's content at the pause, or NULL
 */
struct snapshot_fixture {
	struct writer w;
	struct qcow_pause pause;
	struct rnd_state rnd;
	u32 busy;
	u32 first[READER_PARALLEL];
	u32 sectors[READER_PARALLEL];
	DECLARE_BITMAP(unsure, MAX_SECTORS);
	bool failing;
	bool quiet;
	struct made snapshot[MAX_SNAPSHOTS];
	u32 nr;
	struct made *capture;
};

/* --- Writes, some of them at once --- */

static int wait_slot(struct snapshot_fixture *f, u32 slot)
{
	int err;

	if (!(f->busy & BIT(slot)))
		return 0;
	f->busy &= ~BIT(slot);
	err = writer_wait(&f->w, slot);
	if (err)
		bitmap_set(f->unsure, f->first[slot], f->sectors[slot]);
	else
		bitmap_clear(f->unsure, f->first[slot], f->sectors[slot]);
	return err;
}

static int wait_all(struct snapshot_fixture *f)
{
	int err = 0;
	u32 i;

	for (i = 0; i < READER_PARALLEL; i++)
		err = wait_slot(f, i) ?: err;
	return err;
}

/* Slots have pieces of the disk of their own, so the expected content is never in doubt. */
static int start_write(struct snapshot_fixture *f)
{
	u32 slot = qtest_below(&f->rnd, READER_PARALLEL), first, sectors;
	int err = wait_slot(f, slot);

	if (err || !writer_draw_piece(&f->w, &f->rnd, slot, READER_PARALLEL, &first, &sectors))
		return err;
	if (WARN_ON(first + sectors > MAX_SECTORS))
		return -EINVAL;
	f->first[slot] = first;
	f->sectors[slot] = sectors;
	f->busy |= BIT(slot);
	writer_submit_piece(&f->w, &f->rnd, slot, first, sectors);
	return 0;
}

static int read_piece(struct snapshot_fixture *f, u64 guest_offset, u32 len, u8 *to)
{
	struct reader *r = f->w.base.r;
	struct qcow_io *io = &r->io[0].io;
	struct iov_iter iter;
	int err;

	reader_prepare(r, 0, f->w.img, guest_offset, len);
	qcow_iter_init(&iter, WRITE, io->bvec, io->nr_bvec, io->skip, len);
	reader_submit(r, 0, false);
	err = reader_wait(r, 0, NULL);
	if (!err && copy_from_iter(to, len, &iter) != len)
		err = -EIO;
	return err;
}

/* The disk's content, read without any failure of the file. */
static int read_disk(struct snapshot_fixture *f, u8 *to)
{
	struct memfile *m = writer_top(&f->w)->m;
	u32 fail_at = m->mode.fail_at, ops = atomic_read(&m->ops);
	u64 guest_offset, size = writer_top(&f->w)->size;
	u32 len;
	int err = 0;

	m->mode.fail_at = 0;
	for (guest_offset = 0; !err && guest_offset < size; guest_offset += len) {
		len = min_t(u64, size - guest_offset, 32 << 10);
		err = read_piece(f, guest_offset, len, to + guest_offset);
	}
	atomic_set(&m->ops, ops);
	m->mode.fail_at = fail_at;
	return err;
}

/* If all writes are expected to work, a snapshot has the data that they wrote. */
static int pause_stop(struct qcow_pause *p)
{
	struct snapshot_fixture *f = container_of(p, struct snapshot_fixture, pause);
	const struct builder_image *b = writer_top(&f->w);
	struct made *s = f->capture;

	WARN_ON(wait_all(f));
	f->capture = NULL;
	if (!s)
		return 0;
	if (f->failing)
		WARN_ON(read_disk(f, s->content));
	else
		memcpy(s->content, b->expect, b->size);
	bitmap_copy(s->unsure, f->unsure, MAX_SECTORS);
	return 0;
}

static void pause_go(struct qcow_pause *p)
{
	struct snapshot_fixture *f = container_of(p, struct snapshot_fixture, pause);
	u32 i;

	for (i = 0; !f->quiet && i < 6; i++)
		WARN_ON(start_write(f));
}

/* --- Snapshots --- */

static u32 now(struct snapshot_fixture *f)
{
	return f->w.o.log ? memlog_now(f->w.o.log) : ++f->w.o.clock;
}

static int make_snapshot(struct snapshot_fixture *f)
{
	struct made *s = &f->snapshot[f->nr];
	struct qcow_snapshot_request req = { .name = s->name, .pause = &f->pause };
	struct qcow_msg msg = { };
	int err;

	if (f->nr == MAX_SNAPSHOTS)
		return 0;
	snprintf(s->name, sizeof(s->name), "snap%u", f->nr);
	if (!s->content)
		s->content = kvmalloc(writer_top(&f->w)->size + 1, GFP_KERNEL);
	if (!s->content)
		return -ENOMEM;
	f->nr++;
	f->capture = s;
	s->made = ORACLE_NEVER;
	s->going = ORACLE_NEVER;
	s->gone = ORACLE_NEVER;
	s->begun = now(f);
	err = qcow_snapshot_create(f->w.img, &req, &msg);
	f->capture = NULL;
	if (!err)
		s->made = now(f);
	return err;
}

static bool there(const struct made *s)
{
	return s->made != ORACLE_NEVER && s->going == ORACLE_NEVER;
}

/* Any one that is there, or NULL. */
static struct made *pick_snapshot(struct snapshot_fixture *f)
{
	u32 i, first = f->nr ? qtest_below(&f->rnd, f->nr) : 0;

	for (i = 0; i < f->nr; i++)
		if (there(&f->snapshot[(first + i) % f->nr]))
			return &f->snapshot[(first + i) % f->nr];
	return NULL;
}

static int delete_snapshot(struct snapshot_fixture *f, struct made *s)
{
	struct qcow_snapshot_request req = { .pause = &f->pause };
	struct qcow_msg msg = { };
	int err;

	if (!s)
		return 0;
	req.name = s->name;
	s->going = now(f);
	err = qcow_snapshot_delete(f->w.img, &req, &msg);
	if (!err)
		s->gone = now(f);
	return err;
}

static int apply_snapshot(struct snapshot_fixture *f, struct made *s)
{
	struct qcow_snapshot_request req = { .name = s->name, .pause = &f->pause };
	struct qcow_msg msg = { };
	int err;

	err = qcow_snapshot_apply(f->w.img, &req, &msg);
	/* Writes since the snapshot are undone, or some of them if apply failed. */
	if (err)
		bitmap_or(f->unsure, f->unsure, s->unsure, MAX_SECTORS);
	else
		bitmap_copy(f->unsure, s->unsure, MAX_SECTORS);
	return err;
}

static struct made *find_made(struct snapshot_fixture *f, const char *name)
{
	u32 i;

	for (i = 0; i < f->nr; i++)
		if (!strcmp(f->snapshot[i].name, name))
			return &f->snapshot[i];
	return NULL;
}

static bool in_table(const struct checker *k, const char *name)
{
	u32 i;

	for (i = 0; i < k->nr_snapshots; i++)
		if (!strcmp(k->snapshots[i].name, name))
			return true;
	return false;
}

/* After writer_check() or checker_check(). Return: NULL if all is well. */
static const char *check_snapshots(struct snapshot_fixture *f, u32 when)
{
	struct checker *k = &f->w.o.k;
	struct made *s;
	u32 i;

	for (i = 0; i < k->nr_snapshots; i++) {
		s = find_made(f, k->snapshots[i].name);
		if (!s || s->begun >= when)
			return "a snapshot that nobody made";
		if (s->gone <= when)
			return "a snapshot that is gone";
		if (!oracle_same_disk(&f->w.o, k->snapshots[i].l1_at, s->content,
				      s->unsure))
			return "a snapshot that changed";
	}
	for (i = 0; i < f->nr; i++) {
		s = &f->snapshot[i];
		if (s->made <= when && s->going > when && !in_table(k, s->name))
			return "a snapshot is missing";
	}
	return NULL;
}

/* --- Images --- */

static void snapshot_free(struct snapshot_fixture *f)
{
	u32 i;

	for (i = 0; i < MAX_SNAPSHOTS; i++) {
		kvfree(f->snapshot[i].content);
		f->snapshot[i].content = NULL;
	}
	f->nr = 0;
	writer_free(&f->w);
}

static void build(struct kunit *test, u32 seed, u32 min_order)
{
	struct snapshot_fixture *f = test->priv;
	struct builder_spec specs[2];
	struct memfile_mode mode;
	struct writer *w = &f->w;

	f->rnd = qtest_rnd(70000 + seed);
	builder_random_spec(&f->rnd, &specs[1]);
	specs[1].raw = true;
	writer_random_spec(&f->rnd, &specs[0]);
	specs[0].order = max(specs[0].order, min_order);
	specs[0].size = min_t(u64, specs[0].size, 128 << 10) & ~511ULL;
	specs[0].room = 9 << 20;
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 1 + qtest_one_in(&f->rnd, 2),
					   &f->rnd), 0);
	writer_random_mode(&f->rnd, &mode);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
}

/* --- A random load, cut anywhere --- */

static int load_step(struct snapshot_fixture *f, u32 *refused)
{
	int err = 0;

	switch (qtest_below(&f->rnd, 12)) {
	case 0:
	case 1:
		err = make_snapshot(f);
		break;
	case 2:
		err = delete_snapshot(f, pick_snapshot(f));
		break;
	case 3:
		return writer_flush(&f->w);
	case 4:
		return qcow_flush(f->w.img->alloc);
	default:
		return start_write(f);
	}
	/* Narrow refcounts have room for few. */
	*refused += err == -EOVERFLOW;
	return err == -EOVERFLOW ? 0 : err;
}

static const char *check_cut(struct snapshot_fixture *f, u32 when, enum memlog_cut cut)
{
	struct memlog_disk *d = &f->w.o.disk;
	const char *fault;

	memlog_disk_cut(d, when, cut, &f->rnd);
	fault = oracle_check(&f->w.o, d->data, min(d->size, d->capacity), when);
	return fault ?: check_snapshots(f, when);
}

static u32 cut_all(struct kunit *test, struct snapshot_fixture *f, u32 seed)
{
	struct writer *w = &f->w;
	u32 step = max(2 * w->o.log->clock / CUTS, 1U), when, cut, n = 0;
	const char *fault;

	w->o.k.lenient = true;
	memlog_disk_start(&w->o.disk, writer_top(w)->file, writer_top(w)->file_len);
	for (when = 1; when <= w->o.log->clock + 1; when += 1 + qtest_below(&f->rnd, step)) {
		for (cut = 0; cut < MEMLOG_CUTS; cut++, n++) {
			fault = check_cut(f, when, cut);
			if (!fault)
				continue;
			KUNIT_FAIL(test, "load %u (seed %lu) cut at %u, kind %u: %s",
				   seed, qtest_seed, when, cut, fault);
			w->o.k.lenient = false;
			return n;
		}
	}
	w->o.k.lenient = false;
	return n;
}

static u32 run_load(struct kunit *test, u32 seed, u32 *refused)
{
	struct snapshot_fixture *f = test->priv;
	struct writer *w = &f->w;
	const char *fault;
	u32 i, n;

	build(test, seed, 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "load %u: %s", seed, w->base.msg.text);
	for (i = 0; i < STEPS; i++)
		KUNIT_EXPECT_EQ_MSG(test, load_step(f, refused), 0, "load %u, step %u", seed, i);
	KUNIT_EXPECT_EQ(test, wait_all(f), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	fault = oracle_check_closed(&w->o) ?: check_snapshots(f, ORACLE_NEVER - 1);
	if (fault)
		KUNIT_FAIL(test, "load %u (seed %lu): %s", seed, qtest_seed, fault);
	KUNIT_EXPECT_EQ_MSG(test, w->o.k.leaks, w->o.leaks, "load %u", seed);
	KUNIT_EXPECT_FALSE(test, w->o.log->full);
	n = cut_all(test, f, seed);
	snapshot_free(f);
	return n;
}

static void snapshot_cuts(struct kunit *test)
{
	u32 seed, n = 0, refused = 0;

	for (seed = 0; seed < LOADS; seed++)
		n += run_load(test, seed, &refused);
	kunit_info(test, "%u cuts, %u snapshots refused (seed %lu)\n", n, refused,
		   qtest_seed);
	KUNIT_EXPECT_GT(test, n, LOADS * 40);
}

/* --- Apply --- */

/* Nothing is written by others; the disk is one or the other at every cut. */
static void apply_cuts(struct kunit *test, struct snapshot_fixture *f, u32 seed, u32 start,
		       const u8 *old, const struct made *s)
{
	struct writer *w = &f->w;
	u32 when, cut, end = w->o.log->clock;
	const char *fault;

	w->o.k.lenient = true;
	memlog_disk_start(&w->o.disk, writer_top(w)->file, writer_top(w)->file_len);
	for (when = start; when <= end; when++) {
		for (cut = 0; cut < MEMLOG_CUTS; cut++) {
			struct memlog_disk *d = &w->o.disk;

			memlog_disk_cut(d, when, cut, &f->rnd);
			fault = NULL;
			if (!checker_check(&w->o.k, d->data, min(d->size, d->capacity)))
				fault = w->o.k.text;
			fault = fault ?: check_snapshots(f, when);
			if (!fault && !oracle_same_disk(&w->o, w->o.k.l1_at, old, NULL) &&
			    !oracle_same_disk(&w->o, w->o.k.l1_at, s->content, NULL))
				fault = "neither the old disk nor the snapshot";
			if (fault) {
				KUNIT_FAIL(test, "apply %u cut at %u, kind %u: %s",
					   seed, when, cut, fault);
				when = end;
				break;
			}
		}
	}
	w->o.k.lenient = false;
}

static void check_applied(struct kunit *test, struct snapshot_fixture *f, u32 seed,
			  const struct made *s)
{
	struct writer *w = &f->w;
	const struct memfile *m = writer_top(w)->m;

	KUNIT_EXPECT_TRUE_MSG(test, checker_check(&w->o.k, m->store, memfile_size(m)),
			      "apply %u: %s", seed, w->o.k.text);
	KUNIT_EXPECT_EQ_MSG(test, w->o.k.leaks, w->o.leaks, "apply %u", seed);
	KUNIT_EXPECT_NULL_MSG(test, check_snapshots(f, ORACLE_NEVER - 1), "apply %u",
			      seed);
	KUNIT_EXPECT_TRUE(test, oracle_same_disk(&w->o, w->o.k.l1_at, s->content, NULL));
}

static void run_apply(struct kunit *test, u32 seed)
{
	struct snapshot_fixture *f = test->priv;
	struct writer *w = &f->w;
	u32 start, i;
	u8 *old;

	build(test, 500 + seed, 3);
	f->quiet = true;
	old = kvmalloc(writer_top(w)->size + 1, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, old);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	for (i = 0; i < 24; i++) {
		KUNIT_EXPECT_EQ(test, start_write(f), 0);
		if (i == 8 || i == 16) {
			KUNIT_EXPECT_EQ(test, wait_all(f), 0);
			KUNIT_EXPECT_EQ(test, make_snapshot(f), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, wait_all(f), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	memcpy(old, writer_top(w)->expect, writer_top(w)->size);
	start = now(f);
	KUNIT_EXPECT_EQ(test, apply_snapshot(f, &f->snapshot[0]), 0);
	memcpy(writer_top(w)->expect, f->snapshot[0].content, writer_top(w)->size);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	check_applied(test, f, seed, &f->snapshot[0]);
	apply_cuts(test, f, seed, start, old, &f->snapshot[0]);
	kvfree(old);
	snapshot_free(f);
}

static void snapshot_apply_step(struct kunit *test)
{
	u32 seed;

	for (seed = 0; seed < LOADS; seed++)
		run_apply(test, seed);
}

/* --- Files that fail, disks that are full --- */

/* All kinds of clusters in small tables; one with subclusters. */
static void build_small(struct kunit *test, u32 seed)
{
	struct rnd_state rnd = qtest_rnd(71000 + seed);
	struct snapshot_fixture *f = test->priv;
	struct builder_spec specs[2] = {
		{
			.version = seed == 1 ? 2 : 3,
			.cluster_bits = seed == 2 ? 14 : 9,
			.extended_l2 = seed == 2,
			.kinds = BUILDER_ALL,
			.size = seed == 2 ? 8 << 14 : 80 << 9,
			.writable = true,
			.order = seed ? 4 : 6,
			.room = 7 << 20,
		},
		{ .raw = true, .size = 20 << 9 },
	};

	KUNIT_ASSERT_EQ(test, writer_build(&f->w, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ(test, oracle_log(&f->w.o, LOG_ENTRIES, LOG_BYTES), 0);
}

static void write_some(struct snapshot_fixture *f, u32 nr)
{
	/* Whether they fail is not the question here. */
	while (nr--)
		(void)start_write(f);
	(void)wait_all(f);
}

/* Return: the first error of an operation that is no write. */
static int all_ops(struct snapshot_fixture *f)
{
	int err, ret;

	write_some(f, 4);
	err = make_snapshot(f);
	write_some(f, 4);
	ret = make_snapshot(f);
	err = err ?: ret;
	write_some(f, 2);
	if (there(&f->snapshot[0])) {
		ret = delete_snapshot(f, &f->snapshot[0]);
		err = err ?: ret;
	}
	write_some(f, 2);
	if (there(&f->snapshot[1])) {
		ret = apply_snapshot(f, &f->snapshot[1]);
		err = err ?: ret;
	}
	write_some(f, 2);
	ret = writer_flush(&f->w);
	return err ?: ret;
}

/* The metadata, and the snapshots: of the disk nothing is expected. */
static const char *check_tables(struct snapshot_fixture *f, const void *data, u64 size,
				u32 when)
{
	if (!checker_check(&f->w.o.k, data, size))
		return f->w.o.k.text;
	return check_snapshots(f, when);
}

/* If the power was cut now, in each way; and as it is. */
static const char *check_now(struct snapshot_fixture *f)
{
	const struct memfile *m = writer_top(&f->w)->m;
	struct memlog_disk *d = &f->w.o.disk;
	u32 cut, when = now(f);
	const char *fault = NULL;

	memlog_disk_start(d, writer_top(&f->w)->file, writer_top(&f->w)->file_len);
	for (cut = 0; cut < MEMLOG_CUTS && !fault; cut++) {
		memlog_disk_cut(d, when, cut, &f->rnd);
		fault = check_tables(f, d->data, min(d->size, d->capacity), when);
	}
	return fault ?: check_tables(f, m->store, memfile_size(m), when);
}

static void restart(struct snapshot_fixture *f, const struct memfile_mode *mode)
{
	f->rnd = qtest_rnd(72000);
	bitmap_zero(f->unsure, MAX_SECTORS);
	f->nr = 0;
	f->quiet = true;
	f->failing = true;
	writer_restart(&f->w);
	builder_set_mode(f->w.base.c, mode);
}

/* Return: whether there was such an operation. */
static bool run_site(struct kunit *test, u32 seed, u32 ops, int error, u32 nth)
{
	struct snapshot_fixture *f = test->priv;
	struct memfile *m = writer_top(&f->w)->m;
	struct memfile_mode mode = { .nowait = seed & 1 }, bad;
	const char *fault;
	int err;

	restart(f, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(&f->w), 0);
	bad = mode;
	bad.fail_ops = ops;
	bad.fail_at = nth;
	bad.error = error;
	memfile_set_mode(m, &bad);
	err = all_ops(f);
	m->mode.fail_at = 0;
	if (!atomic_read(&m->injected) && err)
		KUNIT_FAIL(test, "image %u: %d, and nothing failed", seed, err);
	fault = check_now(f);
	/* The device goes on, unless a sync failed. */
	if (!fault && !f->w.img->alloc->failed && make_snapshot(f))
		fault = "no snapshot can be made after that";
	fault = fault ?: check_now(f);
	writer_close(&f->w);
	fault = fault ?: check_now(f);
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu), operation %#x number %u fails with %d: %s",
			   seed, qtest_seed, ops, nth, error, fault);
	return atomic_read(&m->injected);
}

static void snapshot_faults(struct kunit *test)
{
	struct snapshot_fixture *f = test->priv;
	u32 seed, op, nth, total = 0;

	for (seed = 0; seed < 2; seed++) {
		build_small(test, seed);
		f->w.o.k.lenient = true;
		for (op = 0; op < MEMFILE_OPS; op++)
			for (nth = 1; nth < MAX_SITES; nth++, total++)
				if (!run_site(test, seed, BIT(op), -EIO, nth))
					break;
		for (nth = 1; nth < MAX_SITES; nth++, total++)
			if (!run_site(test, seed, MEMFILE_WRITE, -ENOSPC, nth))
				break;
		snapshot_free(f);
	}
	kunit_info(test, "%u operations failed\n", total);
	KUNIT_EXPECT_GT(test, total, 200);
}

/* Return: whether all went well with so much room. */
static bool run_room(struct kunit *test, u32 seed, u64 room)
{
	struct snapshot_fixture *f = test->priv;
	struct memfile_mode mode = { .room = room };
	struct writer *w = &f->w;
	const char *fault;
	int err, ret;

	restart(f, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	err = all_ops(f);
	w->o.k.lenient = true;
	fault = check_now(f);
	writer_top(w)->m->mode.room = 0;
	ret = make_snapshot(f);
	writer_close(w);
	w->o.k.lenient = false;
	fault = fault ?: check_now(f);
	if (fault || (err && err != -ENOSPC) || ret || w->o.k.leaks != w->o.leaks)
		KUNIT_FAIL(test, "image %u, room %llu: %s, error %d, then %d, %u leaks", seed,
			   room, fault, err, ret, w->o.k.leaks - w->o.leaks);
	return !err;
}

static void snapshot_room(struct kunit *test)
{
	struct snapshot_fixture *f = test->priv;
	u32 seed, total = 0, n;
	u64 room;

	for (seed = 0; seed < 3; seed++) {
		build_small(test, seed);
		room = writer_top(&f->w)->file_len;
		for (n = 0; n < MAX_SITES && !run_room(test, seed, room); n++)
			room += seed == 2 ? 1 << 14 : SECTOR;
		total += n;
		snapshot_free(f);
	}
	kunit_info(test, "%u disks were full\n", total);
	KUNIT_EXPECT_GT(test, total, 20);
}

/* --- Refusals --- */

static void snapshot_refused(struct kunit *test)
{
	struct snapshot_fixture *f = test->priv;
	struct memfile_mode mode = { };
	struct made none = { .name = "none" };
	struct qcow_snapshot_request req = { .name = "1", .pause = &f->pause };
	struct qcow_msg msg = { };
	u32 nr;

	build_small(test, 0);
	restart(f, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(&f->w), 0);
	KUNIT_EXPECT_EQ(test, delete_snapshot(f, &none), -ENOENT);
	KUNIT_EXPECT_EQ(test, apply_snapshot(f, &none), -ENOENT);
	KUNIT_EXPECT_EQ(test, make_snapshot(f), 0);
	nr = f->w.o.log->nr;
	/* its id, its name */
	KUNIT_EXPECT_EQ(test, qcow_snapshot_create(f->w.img, &req, &msg), -EEXIST);
	req.name = f->snapshot[0].name;
	KUNIT_EXPECT_EQ(test, qcow_snapshot_create(f->w.img, &req, &msg), -EEXIST);
	KUNIT_EXPECT_TRUE(test, msg.text[0]);
	KUNIT_EXPECT_EQ(test, f->w.o.log->nr, nr);
	/* by its id */
	req.name = "1";
	KUNIT_EXPECT_EQ(test, qcow_snapshot_delete(f->w.img, &req, &msg), 0);
	KUNIT_EXPECT_STREQ(test, req.id, "1");
	writer_close(&f->w);
	f->nr = 0;
	KUNIT_EXPECT_NULL(test, check_now(f));
	snapshot_free(f);
}

static struct kunit_case snapshot_test_cases[] = {
	KUNIT_CASE(snapshot_refused),	 KUNIT_CASE(snapshot_cuts),
	KUNIT_CASE(snapshot_apply_step), KUNIT_CASE(snapshot_faults),
	KUNIT_CASE(snapshot_room),	 {}
};

static int snapshot_test_init(struct kunit *test)
{
	struct snapshot_fixture *f;
	int err = writer_fixture_init(test, sizeof(struct snapshot_fixture));

	if (err)
		return err;
	f = test->priv;
	f->pause.stop = pause_stop;
	f->pause.go = pause_go;
	return 0;
}

static void snapshot_test_exit(struct kunit *test)
{
	struct snapshot_fixture *f = test->priv;
	u32 i;

	for (i = 0; f && i < MAX_SNAPSHOTS; i++)
		kvfree(f->snapshot[i].content);
	writer_test_exit(test);
}

static struct kunit_suite snapshot_suite = {
	.name = "qcow_snapshot",
	.init = snapshot_test_init,
	.exit = snapshot_test_exit,
	.test_cases = snapshot_test_cases,
};

kunit_test_suite(snapshot_suite);
