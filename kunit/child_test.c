// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of an image that is written, shown by a second chain of the same files: their
 * content does not change, whatever happens to the disk and to other snapshots.
 */
#include <linux/slab.h>

#include "jobs/snapshot_ops.h"
#include "meta/flush.h"
#include "writer.h"

#define SECTOR		512
#define LOADS		8
#define STEPS		60
#define SHOWN		4
/* Slots of writes; slot 0 reads. */
#define SLOTS		4

/**
 * struct shown - a snapshot, and the chain that shows it
 * @name: of it
 * @content: of it; NULL: there is no such snapshot
 * @size: bytes of its disk
 * @img: the chain; or NULL
 */
struct shown {
	char name[16];
	u8 *content;
	u64 size;
	struct qcow_image *img;
};

/**
 * struct child_fixture - an image that is written, with its snapshots
 * @w: the image
 * @rnd: where all comes from
 * @busy: slots with a write under way
 * @made: snapshots that were made
 * @shown: snapshots that are there
 * @refused: snapshots that were not made, as refcounts are narrow
 * @reads: reads of snapshots
 */
struct child_fixture {
	struct writer w;
	struct rnd_state rnd;
	u32 busy;
	u32 made;
	struct shown shown[SHOWN];
	u32 refused;
	u32 reads;
};

/* --- Writes --- */

static int wait_slot(struct child_fixture *f, u32 slot)
{
	if (!(f->busy & BIT(slot)))
		return 0;
	f->busy &= ~BIT(slot);
	return writer_wait(&f->w, slot);
}

static int wait_all(struct child_fixture *f)
{
	int err = 0;
	u32 i;

	for (i = 1; i < SLOTS; i++)
		err = wait_slot(f, i) ?: err;
	return err;
}

/* Each slot has a piece of the disk of its own. */
static int start_write(struct child_fixture *f)
{
	u32 slot = 1 + qtest_below(&f->rnd, SLOTS - 1), first, sectors;
	int err = wait_slot(f, slot);

	if (err || !writer_draw_piece(&f->w, &f->rnd, slot, SLOTS, &first, &sectors))
		return err;
	f->busy |= BIT(slot);
	writer_submit_piece(&f->w, &f->rnd, slot, first, sectors);
	return 0;
}

/* --- Snapshots --- */

static int make(struct child_fixture *f, struct shown *s)
{
	struct builder_image *b = writer_top(&f->w);
	int err = wait_all(f);

	if (err)
		return err;
	snprintf(s->name, sizeof(s->name), "snap%u", f->made++);
	s->size = b->size;
	s->content = kvmalloc(b->size + 1, GFP_KERNEL);
	if (!s->content)
		return -ENOMEM;
	memcpy(s->content, b->expect, b->size);
	err = writer_snapshot_create(&f->w, s->name);
	if (!err)
		return 0;
	kvfree(s->content);
	s->content = NULL;
	f->refused += err == -EOVERFLOW;
	return err == -EOVERFLOW ? 0 : err;
}

/* Open all images once more, beside those that are open. @same: say so */
static struct qcow_image *open_beside(struct child_fixture *f, const char *name, bool same)
{
	struct builder_chain *c = f->w.base.c;
	struct qcow_params params = f->w.base.r->params;
	struct qcow_source *sources;
	struct qcow_image *img;
	u32 i, failed;

	sources = kmemdup(c->sources, c->nr * sizeof(*sources), GFP_KERNEL);
	if (!sources)
		return ERR_PTR(-ENOMEM);
	for (i = 0, img = f->w.img; i < c->nr; i++, img = img->backing) {
		if (!same)
			continue;
		sources[i].same = img;
		sources[i].key = NULL;
	}
	params.writable = false;
	params.snapshot = name;
	f->w.base.msg.text[0] = 0;
	img = qcow_image_open_chain(sources, c->nr, &params, &f->w.base.msg, &failed);
	kfree(sources);
	return img;
}

static int show(struct child_fixture *f, struct shown *s)
{
	struct qcow_image *img = open_beside(f, s->name, true);

	if (IS_ERR(img))
		return PTR_ERR(img);
	s->img = img;
	return img->size == s->size ? 0 : -EINVAL;
}

static void hide(struct shown *s)
{
	qcow_image_close_chain(s->img);
	s->img = NULL;
}

static int drop(struct child_fixture *f, struct shown *s)
{
	int err = wait_all(f);

	hide(s);
	err = err ?: writer_snapshot_delete(&f->w, s->name);
	kvfree(s->content);
	s->content = NULL;
	return err;
}

/* The disk gets the snapshot's content, and the snapshot stays what it is. */
static int apply(struct child_fixture *f, struct shown *s)
{
	int err = wait_all(f);

	err = err ?: writer_snapshot_apply(&f->w, s->name);
	if (!err)
		memcpy(writer_top(&f->w)->expect, s->content, s->size);
	f->refused += err == -EOVERFLOW;
	return err == -EOVERFLOW ? 0 : err;
}

static int read_some(struct child_fixture *f, struct shown *s)
{
	u64 first = qtest_below(&f->rnd, s->size / SECTOR) * SECTOR;
	u32 len = min_t(u64, s->size - first, SECTOR * (1 + qtest_below(&f->rnd, 40)));

	f->reads++;
	return reader_read(f->w.base.r, s->img, first, len, s->content + first);
}

static int change_shown(struct child_fixture *f)
{
	struct shown *s = &f->shown[qtest_below(&f->rnd, SHOWN)];

	if (!s->content)
		return make(f, s);
	if (!s->img)
		return show(f, s);
	if (qtest_one_in(&f->rnd, 3))
		return drop(f, s);
	if (qtest_one_in(&f->rnd, 4))
		return apply(f, s);
	hide(s);
	return 0;
}

static int step(struct child_fixture *f)
{
	int err = 0;
	u32 i;

	if (qtest_one_in(&f->rnd, 4))
		err = change_shown(f);
	else if (qtest_one_in(&f->rnd, 6))
		err = qcow_flush(f->w.img->alloc);
	else
		err = start_write(f);
	for (i = 0; !err && i < SHOWN; i++)
		if (f->shown[i].img && f->shown[i].size)
			err = read_some(f, &f->shown[i]);
	return err;
}

/* --- Cases --- */

static void build(struct kunit *test, u32 seed)
{
	struct child_fixture *f = test->priv;
	struct builder_spec specs[2];
	struct memfile_mode mode;

	f->rnd = qtest_rnd(74000 + seed);
	f->made = 0;
	builder_random_spec(&f->rnd, &specs[1]);
	specs[1].raw = true;
	if (seed % 4 == 3)
		writer_encrypted_spec(&f->rnd, &specs[0]);
	else
		writer_random_spec(&f->rnd, &specs[0]);
	specs[0].order = max(specs[0].order, 3U);
	specs[0].size = min_t(u64, specs[0].size, 128 << 10) & ~511ULL;
	specs[0].room = 9 << 20;
	KUNIT_ASSERT_EQ(test, writer_build(&f->w, specs, 1 + qtest_one_in(&f->rnd, 2),
					   &f->rnd), 0);
	if (seed % 4 == 3)
		KUNIT_ASSERT_EQ(test, writer_encrypt(&f->w), 0);
	writer_random_mode(&f->rnd, &mode);
	builder_set_mode(f->w.base.c, &mode);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(&f->w), 0, "load %u: %s", seed,
			    f->w.base.msg.text);
}

/* All that is still shown is read once more, also after the image is closed. */
static void end(struct kunit *test, u32 seed)
{
	struct child_fixture *f = test->priv;
	struct shown *s;
	const char *fault;

	KUNIT_EXPECT_EQ(test, wait_all(f), 0);
	KUNIT_EXPECT_EQ_MSG(test, writer_read_back(&f->w), 0, "load %u", seed);
	writer_close(&f->w);
	for (s = f->shown; s < f->shown + SHOWN; s++) {
		if (s->img)
			KUNIT_EXPECT_EQ_MSG(test, reader_read_all(f->w.base.r, s->img,
								  s->content, 7 * SECTOR),
					    0, "load %u, %s", seed, s->name);
		hide(s);
		kvfree(s->content);
		s->content = NULL;
	}
	fault = oracle_check_closed(&f->w.o);
	KUNIT_EXPECT_NULL_MSG(test, fault, "load %u: %s", seed, fault);
	writer_free(&f->w);
}

static void child_loads(struct kunit *test)
{
	struct child_fixture *f = test->priv;
	u32 seed, i;
	int err;

	for (seed = 0; seed < LOADS; seed++) {
		build(test, seed);
		for (i = 0, err = 0; !err && i < STEPS; i++)
			err = step(f);
		KUNIT_EXPECT_EQ_MSG(test, err, 0, "load %u (seed %lu), step %u: %s", seed,
				    qtest_seed, i, f->w.base.msg.text);
		end(test, seed);
	}
	kunit_info(test, "%u reads of snapshots, %u snapshots refused\n", f->reads,
		   f->refused);
	KUNIT_EXPECT_GT(test, f->reads, LOADS * 10);
}

/* The claim of the written file keeps all others off. */
static void child_claim(struct kunit *test)
{
	struct child_fixture *f = test->priv;

	build(test, 0);
	KUNIT_ASSERT_EQ(test, make(f, &f->shown[0]), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(open_beside(f, f->shown[0].name, false)), -EBUSY);
	KUNIT_EXPECT_EQ(test, show(f, &f->shown[0]), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(open_beside(f, "none", true)), -ENOENT);
	end(test, 0);
}

struct test_users {
	struct qcow_snapshot_users base;
	u64 in_use;
};

static int users_refuse(struct qcow_snapshot_users *users, u64 l1_host_offset,
			struct qcow_msg *msg)
{
	struct test_users *u = container_of(users, struct test_users, base);

	return l1_host_offset == u->in_use ? qcow_fail(msg, -EBUSY, "is in use") : 0;
}

/* The snapshot that is in use, and no other, is not deleted, and nothing is written. */
static void child_delete(struct kunit *test)
{
	struct child_fixture *f = test->priv;
	struct test_users users = { .base.refuse = users_refuse };
	struct qcow_snapshot_request req = { .pause = &writer_no_pause, .users = &users.base };
	struct shown *s = f->shown;
	struct qcow_msg msg = { };
	u64 sum;

	build(test, 0);
	KUNIT_ASSERT_EQ(test, make(f, &s[0]), 0);
	KUNIT_ASSERT_EQ(test, start_write(f), 0);
	KUNIT_ASSERT_EQ(test, make(f, &s[1]), 0);
	KUNIT_ASSERT_EQ(test, show(f, &s[0]), 0);
	users.in_use = s[0].img->snapshot_l1;
	KUNIT_EXPECT_NE(test, users.in_use, 0ULL);
	sum = f->w.img->alloc->snapshots.sum;
	req.name = s[0].name;
	KUNIT_EXPECT_EQ(test, qcow_snapshot_delete(f->w.img, &req, &msg), -EBUSY);
	KUNIT_EXPECT_STREQ(test, msg.text, "is in use");
	KUNIT_EXPECT_EQ(test, f->w.img->alloc->snapshots.sum, sum);
	req.name = s[1].name;
	KUNIT_EXPECT_EQ(test, qcow_snapshot_delete(f->w.img, &req, &msg), 0);
	kvfree(s[1].content);
	s[1].content = NULL;
	KUNIT_EXPECT_EQ(test, reader_read_all(f->w.base.r, s[0].img, s[0].content, SECTOR), 0);
	end(test, 0);
}

static struct kunit_case child_test_cases[] = {
	KUNIT_CASE(child_loads), KUNIT_CASE(child_claim), KUNIT_CASE(child_delete), {}
};

static int child_test_init(struct kunit *test)
{
	return writer_fixture_init(test, sizeof(struct child_fixture));
}

static void child_test_exit(struct kunit *test)
{
	struct child_fixture *f = test->priv;
	u32 i;

	for (i = 0; f && i < SHOWN; i++) {
		hide(&f->shown[i]);
		kvfree(f->shown[i].content);
	}
	writer_test_exit(test);
}

static struct kunit_suite child_suite = {
	.name = "qcow_child",
	.init = child_test_init,
	.exit = child_test_exit,
	.test_cases = child_test_cases,
};

kunit_test_suite(child_suite);
