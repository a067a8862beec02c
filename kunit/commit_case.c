// SPDX-License-Identifier: GPL-2.0
/* Images of a commit: they are built, their commit is carried on, and both are read. */
#include <linux/err.h>
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "commit_case.h"
#include "meta/alloc.h"
#include "meta/bitmap.h"
#include "meta/flush.h"
#include "meta/image.h"
#include "meta/reclaim.h"
#include "meta/release.h"
#include "data/zero.h"

#define SIZE_AT		24

struct builder_image *commit_below(struct commit_case *c)
{
	return &c->w.base.c->img[1];
}

/* --- Content of the lower image --- */

static const u8 *sector_at(struct commit_case *c, u64 host_offset)
{
	memset(c->sector, 0, SECTOR);
	if (host_offset < c->size)
		memcpy(c->sector, c->data + host_offset,
		       min_t(u64, SECTOR, c->size - host_offset));
	return c->sector;
}

static const u8 *under(struct oracle *o, u64 guest_offset)
{
	struct commit_case *c = container_of(o, struct commit_case, w.o);
	const struct builder_image *next = &o->c->img[2];
	u64 host_offset = 0;

	if (commit_below(c)->spec.raw)
		return sector_at(c, guest_offset);
	if (guest_offset + SECTOR > get_unaligned_be64(c->data + SIZE_AT))
		return page_address(ZERO_PAGE(0));
	switch (checker_find(&c->k, guest_offset, &host_offset)) {
	case CHECKER_HOST:
		return sector_at(c, host_offset);
	case CHECKER_COMPRESSED:
		return commit_below(c)->expect + guest_offset;
	case CHECKER_HOLE:
		if (o->c->nr > 2 && guest_offset + SECTOR <= next->size)
			return next->expect + guest_offset;
		break;
	case CHECKER_ZERO:
		break;
	}
	return page_address(ZERO_PAGE(0));
}

/* Both images, after a cut or at the end. */
static const char *commit_check_both(struct commit_case *c, const void *top, u64 top_size,
				     const void *low, u64 low_size, u32 when)
{
	c->data = low;
	c->size = low_size;
	if (!commit_below(c)->spec.raw && !checker_check(&c->k, low, low_size))
		return c->k.text;
	return oracle_check(&c->w.o, top, top_size, when);
}

const char *commit_check_closed(struct commit_case *c)
{
	struct memfile *top = writer_top(&c->w)->m, *low = commit_below(c)->m;

	return commit_check_both(c, top->store, memfile_size(top), low->store,
			  memfile_size(low), ORACLE_NEVER);
}

const char *commit_check_cut(struct commit_case *c, u32 when, u32 kind)
{
	struct memlog_disk *top = &c->w.o.disk, *low = &c->disk;

	memlog_disk_cut(top, when, kind, &c->rnd);
	memlog_disk_cut(low, when, qtest_below(&c->rnd, MEMLOG_CUTS), &c->rnd);
	return commit_check_both(c, top->data, min(top->size, top->capacity), low->data,
			  min(low->size, low->capacity), when);
}

void commit_start_cuts(struct commit_case *c)
{
	const struct builder_image *top = writer_top(&c->w), *low = commit_below(c);

	memlog_disk_start(&c->w.o.disk, top->file, top->file_len);
	memlog_disk_start(&c->disk, low->file, low->file_len);
}

/* --- Set-up --- */

/* Of so many images; the first two are logged. */
void commit_build_specs(struct kunit *test, struct commit_case *c,
			const struct builder_spec *specs, u32 nr)
{
	struct writer *w = &c->w;

	KUNIT_ASSERT_EQ(test, writer_build(w, specs, nr, &c->rnd), 0);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
	w->o.under = under;
	c->log = memlog_create(LOG_ENTRIES, LOG_BYTES);
	KUNIT_ASSERT_NOT_NULL(test, c->log);
	c->log->lead = w->o.log;
	commit_below(c)->m->log = c->log;
	KUNIT_ASSERT_EQ(test, memlog_disk_init(&c->disk, c->log, commit_below(c)->m->capacity), 0);
	if (!specs[1].raw)
		KUNIT_ASSERT_EQ(test, checker_init(&c->k, (commit_below(c)->m->capacity >>
					commit_below(c)->spec.cluster_bits) + 1), 0);
}

void commit_build(struct kunit *test, struct commit_case *c)
{
	struct builder_spec specs[3];
	u32 nr = 2;

	writer_random_spec(&c->rnd, &specs[0]);
	writer_random_spec(&c->rnd, &specs[1]);
	builder_random_spec(&c->rnd, &specs[2]);
	specs[0].size = clamp_t(u64, specs[0].size, 4 * SECTOR, 96 << 10);
	specs[0].room = 1 << 20;
	specs[1].size = clamp_t(u64, specs[1].size, 4 * SECTOR, 96 << 10);
	specs[1].room = 1 << 20;
	specs[1].raw = qtest_one_in(&c->rnd, 3);
	nr += !specs[1].raw && qtest_one_in(&c->rnd, 2);
	commit_build_specs(test, c, specs, nr);
}

void commit_tear_down(struct commit_case *c)
{
	if (c->commit && c->w.img)
		qcow_commit_end(c->commit);
	qcow_commit_free(c->commit);
	c->commit = NULL;
	writer_close(&c->w);
	memlog_disk_free(&c->disk);
	memlog_destroy(c->log);
	checker_free(&c->k);
	c->log = NULL;
	writer_free(&c->w);
}

/* --- The commit --- */

/* Opens the backing file anew, as a device does. */
int commit_swap_below(struct commit_case *c, bool writable)
{
	struct qcow_params params = c->w.base.r->params;
	struct qcow_image *img;
	int err;

	if (!writable) {
		err = qcow_commit_flush(c->commit, c->started, &c->w.base.msg);
		if (err)
			return err;
	}
	params.writable = writable;
	img = qcow_image_open_again(c->w.img->backing, &c->w.base.c->sources[1],
				    &params, &c->w.base.msg);
	if (IS_ERR(img))
		return PTR_ERR(img);
	if (c->commit)
		qcow_commit_end(c->commit);
	return qcow_image_close_replaced(qcow_image_swap_backing(c->w.img, img), img);
}

static int above_stop(struct qcow_pause *p)
{
	struct commit_case *c = container_of(p, struct commit_case, pause);

	c->stopped = c->log->nr;
	return 0;
}

static void above_go(struct qcow_pause *p)
{
	struct commit_case *c = container_of(p, struct commit_case, pause);

	c->waited += c->log->nr - c->stopped;
	if (!c->look)
		return;
	c->looks++;
	c->wrong |= writer_read_back(&c->w);
}

int commit_start(struct commit_case *c)
{
	c->pause = (struct qcow_pause) { .stop = above_stop, .go = above_go };
	return qcow_commit_begin_copy(c->commit, &c->pause, &c->w.base.msg);
}

/* @bits: log2 of the bytes that are copied in one piece */
int commit_begin_by(struct commit_case *c, u32 bits)
{
	int err;

	err = commit_swap_below(c, true);
	if (err)
		return err;
	c->commit = qcow_commit_create(c->w.img, bits);
	if (!c->commit)
		return -ENOMEM;
	qcow_commit_begin(c->commit);
	err = commit_start(c);
	c->started = !err;
	return err;
}

int commit_begin(struct commit_case *c)
{
	return commit_begin_by(c, 9 + qtest_below(&c->rnd, 8));
}

int commit_end(struct commit_case *c)
{
	int err = commit_swap_below(c, false);

	qcow_commit_free(c->commit);
	c->commit = NULL;
	return err;
}

/* A write, zeros or a discard, which may still be under way. */
void commit_submit(struct commit_case *c, u32 slot)
{
	struct writer *w = &c->w;
	u32 sectors = w->img->size / SECTOR, first, len;

	first = qtest_below(&c->rnd, sectors);
	len = 1 + qtest_below(&c->rnd, min(sectors - first, 64U));
	if (qtest_one_in(&c->rnd, 4))
		writer_submit_zero(w, slot, (u64)first * SECTOR, len * SECTOR,
				   QCOW_OP_ZERO + qtest_below(&c->rnd, 3));
	else
		writer_submit(w, slot, (u64)first * SECTOR, len * SECTOR,
			      qtest_one_in(&c->rnd, 2), NULL);
}

/* Some of the commit, with a write at the same time. */
static int commit_step(struct commit_case *c, bool writes)
{
	int err, verdict = 0;

	if (writes)
		commit_submit(c, 0);
	err = qcow_commit_some(c->commit, 1 + qtest_below(&c->rnd, c->w.img->size),
			       &c->w.base.msg);
	if (writes)
		verdict = writer_wait(&c->w, 0);
	if (writes && !verdict && qtest_one_in(&c->rnd, 4))
		verdict = writer_flush(&c->w);
	return err ?: verdict;
}

int commit_all(struct commit_case *c, bool writes)
{
	int err = 0;

	while (!err && !c->commit->last)
		err = commit_step(c, writes && qtest_one_in(&c->rnd, 2));
	if (!err)
		err = qcow_commit_finish(c->commit, &c->w.base.msg);
	if (!err)
		qcow_commit_release(c->commit);
	return err;
}

int commit_test_init(struct kunit *test)
{
	return writer_fixture_init(test, sizeof(struct commit_case));
}

void commit_test_exit(struct kunit *test)
{
	struct commit_case *c = test->priv;

	if (c && c->log)
		commit_tear_down(c);
	writer_test_exit(test);
}
