// SPDX-License-Identifier: GPL-2.0
/*
 * Reads of an opened chain to all kinds of memory, and a look at the results.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "data/io.h"
#include "data/read.h"
#include "reader.h"

#define GUARD		0xa5
#define GUARD_BYTES	64

/* --- Set-up --- */

static int io_alloc(struct reader_io *rio)
{
	u32 i;

	for (i = 0; i < READER_PIECES; i++) {
		rio->piece[i] = alloc_pages(GFP_KERNEL | __GFP_COMP, READER_PIECE_ORDER);
		if (!rio->piece[i])
			return -ENOMEM;
	}
	return 0;
}

static void reader_destroy(struct reader *r)
{
	u32 i, j;

	if (!r)
		return;
	for (i = 0; i < READER_PARALLEL; i++)
		for (j = 0; j < READER_PIECES; j++)
			if (r->io[i].piece[j])
				__free_pages(r->io[i].piece[j], READER_PIECE_ORDER);
	mempool_destroy(r->ctx.subreqs);
	free_percpu(r->params.stats);
	kvfree(r);
}

static struct reader *reader_create(void)
{
	struct reader *r = kvzalloc(sizeof(*r), GFP_KERNEL);
	int err = 0;
	u32 i;

	if (!r)
		return NULL;
	r->params.device = "kunit";
	r->params.ctx = &r->ctx;
	r->params.comp_wq = qtest_comp_wq;
	r->params.flush_wq = qtest_flush_wq;
	r->params.cache_bytes = 1 << 20;
	r->params.ending = &r->ending;
	r->params.stats = qcow_stats_alloc();
	r->ctx.wq = qtest_wq;
	r->ctx.in_place_wq = qtest_wq;
	r->ctx.write_wq = qtest_write_wq;
	r->ctx.subreqs = qcow_io_create_pool();
	r->ctx.cow_mems = &r->cow_mems;
	qcow_cow_mems_init(&r->cow_mems);
	for (i = 0; !err && i < READER_PARALLEL; i++)
		err = io_alloc(&r->io[i]);
	if (!err && r->params.stats && r->ctx.subreqs)
		return r;
	reader_destroy(r);
	return NULL;
}

/* --- Fixture --- */

/**
 * reader_fixture_init() - make test->priv
 * @test: the case
 * @size: of a structure that begins with a &struct reader_fixture
 *
 * Return: 0 or -ENOMEM; reader_test_exit() undoes it in any case.
 */
int reader_fixture_init(struct kunit *test, size_t size)
{
	struct reader_fixture *x = kunit_kzalloc(test, size, GFP_KERNEL);

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->r = reader_create();
	x->c = kunit_kzalloc(test, sizeof(*x->c), GFP_KERNEL);
	return x->r && x->c ? 0 : -ENOMEM;
}

int reader_test_init(struct kunit *test)
{
	return reader_fixture_init(test, sizeof(struct reader_fixture));
}

void reader_test_exit(struct kunit *test)
{
	struct reader_fixture *x = test->priv;

	if (!x)
		return;
	if (x->c)
		builder_free(x->c);
	reader_destroy(x->r);
}

struct qcow_image *reader_open(struct reader *r, const struct builder_chain *c,
			       struct qcow_msg *msg)
{
	u32 failed;

	msg->text[0] = 0;
	return qcow_image_open_chain(c->sources, c->nr, &r->params, msg, &failed);
}

/* Damage that is no news does not fill the log. */
void reader_silence(struct qcow_image *img)
{
	for (; img; img = img->backing)
		set_bit(QCOW_IMAGE_CORRUPT, &img->flags);
}

/* --- Memory --- */

static u8 *segment(const struct bio_vec *bv)
{
	return (u8 *)page_address(bv->bv_page) + bv->bv_offset;
}

/* Bytes around a segment, within its piece, that must stay as they are. */
static u32 guard_before(const struct bio_vec *bv)
{
	return min_t(u32, bv->bv_offset, GUARD_BYTES);
}

static u32 guard_after(const struct bio_vec *bv)
{
	return min_t(u32, READER_PIECE - bv->bv_offset - bv->bv_len, GUARD_BYTES);
}

static void set_guards(struct reader_io *rio)
{
	u32 i;

	for (i = 0; i < rio->io.nr_bvec; i++) {
		const struct bio_vec *bv = &rio->bvec[i];

		memset(segment(bv) - guard_before(bv), GUARD,
		       guard_before(bv) + bv->bv_len + guard_after(bv));
	}
}

static bool all_guard(const u8 *p, u32 len)
{
	return !memchr_inv(p, GUARD, len);
}

static void add_segment(struct reader_io *rio, u32 in_page, u32 len)
{
	struct bio_vec *bv = &rio->bvec[rio->io.nr_bvec];

	bv->bv_page = rio->piece[rio->io.nr_bvec++];
	bv->bv_offset = in_page;
	bv->bv_len = len;
}

static void io_done(struct qcow_io *io)
{
	struct reader_io *rio = container_of(io, struct reader_io, io);

	atomic_inc(&rio->dones);
	complete(&rio->done);
}

static struct reader_io *io_prepare(struct reader *r, u32 slot,
				    struct qcow_image *img, u64 guest_offset)
{
	struct reader_io *rio = &r->io[slot];

	memset(&rio->io, 0, sizeof(rio->io));
	rio->io.image = img;
	rio->io.guest_offset = guest_offset;
	rio->io.bvec = rio->bvec;
	rio->io.end_io = io_done;
	init_completion(&rio->done);
	atomic_set(&rio->dones, 0);
	return rio;
}

/**
 * reader_prepare() - prepare a read to well-aligned memory
 * @r: the reader
 * @slot: which of its reads
 * @img: the top of the chain
 * @guest_offset: bytes into its disk
 * @len: bytes, up to READER_PIECES * READER_PIECE
 */
void reader_prepare(struct reader *r, u32 slot, struct qcow_image *img, u64 guest_offset,
		    u32 len)
{
	struct reader_io *rio = io_prepare(r, slot, img, guest_offset);
	u32 n;

	rio->io.len = len;
	for (; len; len -= n) {
		n = min_t(u32, len, READER_PIECE);
		add_segment(rio, 0, n);
	}
	set_guards(rio);
}

/* As reader_prepare(), but to memory in any shape; maybe less than @len. */
void reader_prepare_random(struct reader *r, u32 slot, struct qcow_image *img,
			   u64 guest_offset, u32 len, struct rnd_state *rnd)
{
	struct reader_io *rio = io_prepare(r, slot, img, guest_offset);
	u32 unit = (guest_offset | len) & 511 || qtest_one_in(rnd, 4) ? 1 : 512;
	u32 most = qtest_one_in(rnd, 2) ? READER_PIECE : PAGE_SIZE;
	u32 skip = qtest_one_in(rnd, 3) ? qtest_below(rnd, 20) * unit : 0;
	u32 left = len + skip, in_page, n;

	while (left && rio->io.nr_bvec < READER_PIECES) {
		in_page = qtest_below(rnd, most / unit) * unit;
		n = (1 + qtest_below(rnd, (most - in_page) / unit)) * unit;
		n = min(n, left);
		add_segment(rio, in_page, n);
		left -= n;
	}
	len = len + skip - left;
	if (len <= skip)
		skip = 0;
	rio->io.skip = skip;
	rio->io.len = len - skip;
	set_guards(rio);
}

void reader_submit(struct reader *r, u32 slot, bool worker)
{
	if (worker)
		qcow_read_in_worker(&r->io[slot].io);
	else
		qcow_read(&r->io[slot].io);
}

/* --- Results --- */

/* Compares a segment of which the first @skip bytes are not wanted. */
static int check_segment(const struct bio_vec *bv, u32 skip, const u8 *expect)
{
	const u8 *p = segment(bv);

	if (!all_guard(p - guard_before(bv), guard_before(bv) + skip) ||
	    !all_guard(p + bv->bv_len, guard_after(bv)))
		return READER_STRAY;
	if (expect && memcmp(p + skip, expect, bv->bv_len - skip))
		return READER_WRONG;
	return 0;
}

static int check_memory(const struct reader_io *rio, const u8 *expect)
{
	u32 i, skip = rio->io.skip, n;
	int verdict = 0;

	for (i = 0; !verdict && i < rio->io.nr_bvec; i++) {
		n = min(skip, rio->bvec[i].bv_len);
		verdict = check_segment(&rio->bvec[i], n, expect);
		skip -= n;
		if (expect)
			expect += rio->bvec[i].bv_len - n;
	}
	return verdict;
}

/**
 * reader_wait() - wait for a read and look at the result
 * @r: the reader
 * @slot: which of its reads
 * @expect: the data that must come, or NULL: any
 *
 * Return: 0, its error, or READER_*.
 */
int reader_wait(struct reader *r, u32 slot, const u8 *expect)
{
	struct reader_io *rio = &r->io[slot];
	int verdict;

	if (!wait_for_completion_timeout(&rio->done, 20 * HZ))
		return READER_HANG;
	verdict = check_memory(rio, rio->io.error ? NULL : expect);
	if (atomic_read(&rio->dones) != 1)
		verdict = READER_TWICE;
	return verdict ?: rio->io.error;
}

int reader_read(struct reader *r, struct qcow_image *img, u64 guest_offset, u32 len,
		const u8 *expect)
{
	reader_prepare(r, 0, img, guest_offset, len);
	reader_submit(r, 0, false);
	return reader_wait(r, 0, expect);
}

/* Return: 0, the first error, or READER_* as soon as that is met. */
int reader_read_all(struct reader *r, struct qcow_image *img, const u8 *expect,
		    u32 step)
{
	int err, verdict = 0;
	u64 guest_offset;

	for (guest_offset = 0; guest_offset < img->size; guest_offset += step) {
		err = reader_read(r, img, guest_offset,
				  min_t(u64, step, img->size - guest_offset),
				  expect ? expect + guest_offset : NULL);
		if (err > 0)
			return err;
		verdict = verdict ?: err;
	}
	return verdict;
}
