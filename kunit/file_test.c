// SPDX-License-Identifier: GPL-2.0
/*
 * Reads of files that are direct or not, asynchronous, short, failing.
 */
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "file/file.h"
#include "memfile.h"
#include "qtest.h"
#include "file/space.h"

#define DATA_SIZE	(160 << 10)
#define BUF_SIZE	(128 << 10)
#define GUARD		0xa5

/* The file, its content, and memory to read to. */
struct file_fixture {
	struct memfile *m;
	struct qcow_file f;
	u8 *data;
	u8 *buf;
};

static int file_test_init(struct kunit *test)
{
	struct file_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	struct rnd_state rnd = qtest_rnd(200);

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->data = vmalloc(DATA_SIZE);
	x->buf = vmalloc(BUF_SIZE);
	x->m = memfile_create();
	if (!x->data || !x->buf || !x->m)
		return -ENOMEM;
	prandom_bytes_state(&rnd, x->data, DATA_SIZE);
	memfile_set_data(x->m, x->data, DATA_SIZE, DATA_SIZE);
	return 0;
}

static void file_test_exit(struct kunit *test)
{
	struct file_fixture *x = test->priv;

	if (!x)
		return;
	qcow_file_close(&x->f);
	KUNIT_EXPECT_TRUE(test, !x->m || memfile_idle(x->m));
	memfile_destroy(x->m);
	vfree(x->data);
	vfree(x->buf);
}

static void open_file(struct kunit *test, const struct memfile_mode *mode,
		      enum qcow_direct direct)
{
	struct file_fixture *x = test->priv;
	struct qcow_msg msg = { };

	qcow_file_close(&x->f);
	memfile_set_mode(x->m, mode);
	KUNIT_ASSERT_EQ_MSG(test, qcow_file_open(&x->f, x->m->file, direct, &msg), 0,
			    "%s", msg.text);
}

/* Whether @got is the file's content at @host_offset, and zeros behind its end. */
static bool content_right(const struct file_fixture *x, u64 host_offset, const u8 *got,
			  size_t len)
{
	u64 size = i_size_read(file_inode(x->m->file));
	size_t stored = host_offset < size ? min_t(u64, len, size - host_offset) : 0;

	return !memcmp(x->data + host_offset, got, stored) &&
	       !memchr_inv(got + stored, 0, len - stored);
}

/* --- Opening --- */

/**
 * struct open_case - a file opened
 * @name: of the case
 * @mode: how the file behaves
 * @want: the user's choice
 * @err: expected
 * @direct: expected
 * @dio_mask: expected
 */
struct open_case {
	const char *name;
	struct memfile_mode mode;
	enum qcow_direct want;
	int err;
	bool direct;
	u32 dio_mask;
};

static const struct open_case open_cases[] = {
	{ "no direct I/O", { }, QCOW_DIRECT_AUTO },
	{ "direct I/O, off", { .direct = true }, QCOW_DIRECT_OFF },
	{ "no direct I/O, on", { }, QCOW_DIRECT_ON, -EOPNOTSUPP },
	{ "direct I/O, alignment unknown", { .direct = true }, QCOW_DIRECT_ON, 0, true, 4095 },
	{ "no device, alignment unknown", { .direct = true }, QCOW_DIRECT_AUTO },
	{ "direct I/O of 512",
	  { .direct = true, .dio_align = 512 }, QCOW_DIRECT_AUTO, 0, true, 511 },
	{ "direct I/O of 4096",
	  { .direct = true, .dio_align = 4096 }, QCOW_DIRECT_ON, 0, true, 4095 },
	{ "direct I/O of 65536",
	  { .direct = true, .dio_align = 65536 }, QCOW_DIRECT_AUTO, 0, true, 65535 },
	{ "direct I/O of 1 MiB", { .direct = true, .dio_align = 1 << 20 }, QCOW_DIRECT_AUTO },
	{ "direct I/O of 1 MiB, on",
	  { .direct = true, .dio_align = 1 << 20 }, QCOW_DIRECT_ON, -EOPNOTSUPP },
	{ "direct I/O of 520", { .direct = true, .dio_align = 520 }, QCOW_DIRECT_AUTO },
	{ "refused when tried", { .direct = true, .refuse_direct = true }, QCOW_DIRECT_AUTO },
	{ "refused when tried, on",
	  { .direct = true, .refuse_direct = true }, QCOW_DIRECT_ON, -EOPNOTSUPP },
	{ "NOWAIT", { .nowait = true }, QCOW_DIRECT_AUTO },
	{ "NOWAIT, but access times", { .nowait = true, .atime = true }, QCOW_DIRECT_AUTO },
};

static void open_case_desc(const struct open_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(open, open_cases, open_case_desc);

static void file_open(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	struct file_fixture *x = test->priv;
	struct qcow_msg msg = { };

	memfile_set_mode(x->m, &c->mode);
	KUNIT_EXPECT_EQ(test, qcow_file_open(&x->f, x->m->file, c->want, &msg),
			c->err);
	KUNIT_EXPECT_EQ(test, !msg.text[0], !c->err);
	if (c->err)
		return;
	KUNIT_EXPECT_EQ(test, x->f.size, DATA_SIZE);
	KUNIT_EXPECT_EQ(test, x->f.direct, c->direct);
	KUNIT_EXPECT_EQ(test, x->f.dio_mask, c->dio_mask);
	/* Updating the access time may sleep. */
	KUNIT_EXPECT_EQ(test, x->f.nowait, c->mode.nowait && !c->mode.atime);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->misaligned), 0);
}

static void file_open_refused(struct kunit *test)
{
	struct file_fixture *x = test->priv;
	struct inode *inode = file_inode(x->m->file);
	umode_t mode = inode->i_mode;
	struct qcow_msg msg = { };

	inode->i_mode = S_IFDIR | 0700;
	KUNIT_EXPECT_EQ(test, qcow_file_open(&x->f, x->m->file, 0, &msg), -EISDIR);
	inode->i_mode = S_IFIFO | 0600;
	KUNIT_EXPECT_EQ(test, qcow_file_open(&x->f, x->m->file, 0, &msg), -EINVAL);
	inode->i_mode = mode;
	x->m->file->f_mode &= ~FMODE_READ;
	KUNIT_EXPECT_EQ(test, qcow_file_open(&x->f, x->m->file, 0, &msg), -EBADF);
	x->m->file->f_mode |= FMODE_READ;
	KUNIT_EXPECT_TRUE(test, memfile_idle(x->m));
}

/* --- qcow_file_pread() --- */

/* All to all: where reads begin, how long they are, where they go to. */
static const u32 pread_pos[] = {
	0, 1, 511, 512, 513, 4095, 4096, 4097, 65536, 99999, 100000, 100001,
	100352, 102400, 106496, 110000,
};

static const u32 pread_len[] = {
	1, 7, 511, 512, 513, 4096, 5000, 8192, 65536, 70000,
};

static const u32 pread_align[] = { 0, 1, 8, 512 };

static void pread_one(struct kunit *test, u8 *buf, u64 host_offset, u32 len)
{
	struct file_fixture *x = test->priv;
	int err;

	memset(buf - 1, GUARD, len + 2);
	err = qcow_file_pread(&x->f, host_offset, buf, len);
	KUNIT_EXPECT_EQ_MSG(test, err, 0, "offset %llu len %u", host_offset, len);
	KUNIT_EXPECT_TRUE_MSG(test, content_right(x, host_offset, buf, len),
			      "wrong bytes: offset %llu len %u buffer %p", host_offset,
			      len, buf);
	KUNIT_EXPECT_EQ(test, buf[-1], GUARD);
	KUNIT_EXPECT_EQ(test, buf[len], GUARD);
}

static void pread_all(struct kunit *test, u8 *base)
{
	u32 i, j, k;

	for (i = 0; i < ARRAY_SIZE(pread_pos); i++)
		for (j = 0; j < ARRAY_SIZE(pread_len); j++)
			for (k = 0; k < ARRAY_SIZE(pread_align); k++)
				pread_one(test, base + 4096 + pread_align[k],
					  pread_pos[i], pread_len[j]);
}

/**
 * struct mode_case - how a file behaves when it is read
 * @name: of the case
 * @mode: that
 */
struct mode_case {
	const char *name;
	struct memfile_mode mode;
};

static const struct mode_case pread_cases[] = {
	{ "buffered", { } },
	{ "direct 512", { .direct = true, .dio_align = 512 } },
	{ "direct 4096", { .direct = true, .dio_align = 4096 } },
	{ "direct 16384", { .direct = true, .dio_align = 16384 } },
	{ "short", { .max_read = 1000 } },
	{ "short, direct 512", { .direct = true, .dio_align = 512, .max_read = 1 } },
	{ "short, direct 4096", { .direct = true, .dio_align = 4096, .max_read = 8192 } },
	{ "asynchronous", { .async = true, .nowait = true, .eagain = 1 } },
};

static void mode_case_desc(const struct mode_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(pread, pread_cases, mode_case_desc);

/* Files of sizes on and off alignment. */
static void file_pread(struct kunit *test)
{
	static const u32 sizes[] = { 0, 1, 100000, 102400, 106496 };
	const struct mode_case *c = test->param_value;
	struct file_fixture *x = test->priv;
	u8 *buf = kmalloc(BUF_SIZE, GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		memfile_set_size(x->m, sizes[i]);
		open_file(test, &c->mode, QCOW_DIRECT_AUTO);
		pread_all(test, i & 1 ? buf : x->buf);
		KUNIT_EXPECT_EQ(test, atomic_read(&x->m->misaligned), 0);
		if (sizes[i])
			KUNIT_EXPECT_EQ(test, !!atomic_read(&x->m->directs),
					c->mode.direct);
	}
	kfree(buf);
}

/* Direct I/O works at first, and later for some reason does not. */
static void file_pread_direct_ends(struct kunit *test)
{
	struct memfile_mode mode = { .direct = true, .dio_align = 512 };
	struct file_fixture *x = test->priv;

	open_file(test, &mode, QCOW_DIRECT_AUTO);
	mode.refuse_direct = true;
	memfile_set_mode(x->m, &mode);
	pread_all(test, x->buf);
}

static void file_pread_shrunk(struct kunit *test)
{
	struct file_fixture *x = test->priv;

	open_file(test, &(struct memfile_mode){ }, QCOW_DIRECT_AUTO);
	memfile_set_size(x->m, 50000);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 0, x->buf, 50000), 0);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 0, x->buf, 50001), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 50000, x->buf, 1), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, DATA_SIZE - 1, x->buf, 1), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, DATA_SIZE, x->buf, 1), 0);
}

static void file_pread_errors(struct kunit *test)
{
	static const u32 lens[] = { 1, 512, 4096, 70000 };
	struct file_fixture *x = test->priv;
	u32 i, direct;

	for (direct = 0; direct < 2; direct++) {
		struct memfile_mode mode = { .direct = direct, .dio_align = 512 };

		open_file(test, &mode, QCOW_DIRECT_AUTO);
		mode.fail_at = 1;
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			memfile_set_mode(x->m, &mode);
			KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 512, x->buf, lens[i]), -EIO);
			KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 512, x->buf, lens[i]), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, S64_MAX, x->buf, 1), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, U64_MAX, x->buf, 512), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&x->f, 1ULL << 62, x->buf, 512), 0);
}

/* --- qcow_file_io() --- */

#define MAX_SEGMENTS	20

/* One transfer and its memory: pages of x->buf, in segments. */
struct transfer {
	struct qcow_file_req req;
	struct completion done;
	int err;
	atomic_t ends;
	u32 agains;
	struct bio_vec bvec[MAX_SEGMENTS];
	u8 out[BUF_SIZE / 2];
};

static void transfer_end(struct qcow_file_req *req, int err)
{
	struct transfer *t = container_of(req, struct transfer, req);

	t->err = err;
	atomic_inc(&t->ends);
	complete(&t->done);
}

/* Segments of up to a page, of which some lie in one page. */
static void transfer_segments(struct transfer *t, struct rnd_state *rnd, u8 *buf,
			      u32 bytes, u32 unit)
{
	u32 n, i, in_page;

	for (i = 0; bytes && i < MAX_SEGMENTS; i++) {
		in_page = qtest_below(rnd, PAGE_SIZE / unit) * unit;
		n = min_t(u32, (1 + qtest_below(rnd, PAGE_SIZE / unit)) * unit,
			  min_t(u32, bytes, PAGE_SIZE - in_page));
		t->bvec[i].bv_page = vmalloc_to_page(buf + i * PAGE_SIZE);
		t->bvec[i].bv_offset = in_page;
		t->bvec[i].bv_len = n;
		bytes -= n;
	}
	t->req.nr_bvec = i;
	t->req.len -= bytes;
}

static int transfer_start(struct transfer *t, bool nowait)
{
	t->req.nowait = nowait;
	return qcow_file_io(&t->req);
}

/* Runs as read.c does: -EAGAIN means again, and sleeping. */
static void transfer_run(struct transfer *t, bool nowait)
{
	int err;

	init_completion(&t->done);
	for (;;) {
		atomic_set(&t->ends, 0);
		t->err = 0;
		err = transfer_start(t, nowait);
		if (!err) {
			if (!wait_for_completion_timeout(&t->done, 20 * HZ))
				err = -ETIMEDOUT;
			else
				err = t->err;
		}
		if (err != -EAGAIN || t->agains++ > 100)
			break;
		nowait = false;
		reinit_completion(&t->done);
	}
	t->err = err;
}

static void transfer_gather(struct transfer *t)
{
	struct iov_iter iter;

	qcow_iter_init(&iter, ITER_SOURCE, t->req.bvec, t->req.nr_bvec, t->req.skip,
		       t->req.len);
	memset(t->out, GUARD, sizeof(t->out));
	WARN_ON(copy_from_iter(t->out, t->req.len, &iter) != t->req.len);
}

/* A transfer of blocks, of sectors, or of bytes. */
static void transfer_prepare(struct kunit *test, struct transfer *t,
			     struct rnd_state *rnd)
{
	struct file_fixture *x = test->priv;
	u32 unit = qtest_one_in(rnd, 3) ? 1 : qtest_one_in(rnd, 3) ? 4096 : 512;
	struct qcow_file_req *req = &t->req;

	memset(t, 0, offsetof(struct transfer, out));
	memset(x->buf, GUARD, BUF_SIZE);
	req->file = &x->f;
	req->bvec = t->bvec;
	req->host_offset = qtest_below(rnd, 110000 / unit) * (u64)unit;
	req->skip = qtest_below(rnd, 3) * unit;
	req->len = req->skip + (1 + qtest_below(rnd, 40000 / unit)) * unit;
	req->end_io = transfer_end;
	transfer_segments(t, rnd, x->buf, req->len, unit);
	if (req->len <= req->skip) {
		req->skip = 0;
		return;
	}
	req->len -= req->skip;
}

/* Bytes in memory that are not the transfer's. */
static u32 transfer_strays(struct transfer *t, const u8 *buf)
{
	u32 i, outside = 0, n = 0;

	for (i = 0; i < t->req.nr_bvec; i++)
		n += t->bvec[i].bv_len;
	for (i = 0; i < BUF_SIZE; i++)
		outside += buf[i] != GUARD;
	return outside > n ? outside - n : 0;
}

static const struct mode_case read_cases[] = {
	{ "buffered", { } },
	{ "buffered, NOWAIT", { .nowait = true } },
	{ "NOWAIT, always EAGAIN", { .nowait = true, .eagain = 1 } },
	{ "NOWAIT, EAGAIN at times", { .nowait = true, .eagain = 2, .max_read = 3000 } },
	{ "asynchronous", { .async = true, .nowait = true } },
	{ "asynchronous, late EAGAIN",
	  { .async = true, .nowait = true, .eagain = 1, .eagain_late = true } },
	{ "asynchronous, short", { .async = true, .nowait = true, .max_read = 1234 } },
	{ "asynchronous without NOWAIT", { .async = true } },
	{ "short", { .max_read = 777 } },
	{ "direct 512", { .direct = true, .dio_align = 512, .nowait = true } },
	{ "direct 4096", { .direct = true, .dio_align = 4096, .nowait = true } },
	{ "direct 512, asynchronous",
	  { .direct = true, .dio_align = 512, .nowait = true, .async = true } },
	{ "direct 512, all", { .direct = true, .dio_align = 512, .nowait = true, .async = true,
	  .eagain = 3, .eagain_late = true, .max_read = 2048 } },
	{ "direct 4096, short", { .direct = true, .dio_align = 4096, .max_read = 4096 } },
};

KUNIT_ARRAY_PARAM(read, read_cases, mode_case_desc);

static void read_random(struct kunit *test, struct transfer *t, u32 seed)
{
	struct file_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(seed);

	transfer_prepare(test, t, &rnd);
	transfer_run(t, qtest_one_in(&rnd, 2));
	KUNIT_EXPECT_EQ_MSG(test, t->err, 0, "seed %u", seed);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&t->ends), 1, "seed %u", seed);
	transfer_gather(t);
	KUNIT_EXPECT_TRUE_MSG(test,
			      content_right(x, t->req.host_offset, t->out, t->req.len),
			      "wrong bytes: seed %u offset %llu len %u", seed,
			      t->req.host_offset, t->req.len);
	KUNIT_EXPECT_EQ_MSG(test, transfer_strays(t, x->buf), 0, "seed %u", seed);
}

static void file_read(struct kunit *test)
{
	const struct mode_case *c = test->param_value;
	struct file_fixture *x = test->priv;
	struct transfer *t = vzalloc(sizeof(*t));
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	for (i = 0; i < 250; i++) {
		if (i % 50 == 0) {
			memfile_set_size(x->m, i % 100 ? 100000 : 102400);
			open_file(test, &c->mode, QCOW_DIRECT_AUTO);
		}
		read_random(test, t, i);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->misaligned), 0);
	KUNIT_EXPECT_EQ(test, !!atomic_read(&x->m->nowaits), c->mode.nowait);
	vfree(t);
}

/* A page to read to, for the tests below. */
static struct transfer *simple_transfer(struct kunit *test, u64 host_offset, u32 len)
{
	struct file_fixture *x = test->priv;
	struct transfer *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->bvec[0].bv_page = vmalloc_to_page(x->buf);
	t->bvec[0].bv_len = PAGE_SIZE;
	t->req.file = &x->f;
	t->req.bvec = t->bvec;
	t->req.nr_bvec = 1;
	t->req.host_offset = host_offset;
	t->req.len = len;
	t->req.end_io = transfer_end;
	init_completion(&t->done);
	return t;
}

/* A read that must not be tried without sleeping is not tried at all. */
static void file_read_not_now(struct kunit *test)
{
	struct memfile_mode mode = { };
	struct file_fixture *x = test->priv;
	struct transfer *t = simple_transfer(test, 0, 512);
	int dummy;

	open_file(test, &mode, QCOW_DIRECT_AUTO);
	KUNIT_EXPECT_EQ(test, transfer_start(t, true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 0);

	mode.nowait = true;
	open_file(test, &mode, QCOW_DIRECT_AUTO);
	current->journal_info = &dummy;
	KUNIT_EXPECT_EQ(test, transfer_start(t, true), -EAGAIN);
	current->journal_info = NULL;
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 0);

	mode.direct = true;
	mode.dio_align = 4096;
	open_file(test, &mode, QCOW_DIRECT_AUTO);
	memfile_set_mode(x->m, &mode);
	KUNIT_EXPECT_EQ(test, transfer_start(t, true), -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->ends), 0);
}

static void file_read_errors(struct kunit *test)
{
	static const int errors[] = { -EIO, -ENOMEM, -ENOSPC, -EINTR };
	struct memfile_mode mode = { .nowait = true };
	struct file_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 2 * 2 * ARRAY_SIZE(errors); i++) {
		struct transfer *t = simple_transfer(test, 4096, 4096);

		mode.async = i & 1;
		mode.sticky = true;
		mode.fail_at = 0;
		open_file(test, &mode, QCOW_DIRECT_AUTO);
		mode.fail_at = 1;
		mode.error = errors[i / 4];
		memfile_set_mode(x->m, &mode);
		transfer_run(t, i & 2);
		KUNIT_EXPECT_EQ(test, t->err, mode.error);
		/* A read that failed without sleeping is tried again. */
		KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), i & 2 ? 2 : 1);
	}
}

/* The second half of a transfer fails. */
static void file_read_error_after_short(struct kunit *test)
{
	struct memfile_mode mode = { .nowait = true, .max_read = 1000, .fail_at = 3 };
	struct file_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 4; i++) {
		struct transfer *t = simple_transfer(test, 0, 4096);

		mode.async = i & 1;
		open_file(test, &mode, QCOW_DIRECT_AUTO);
		memfile_set_mode(x->m, &mode);
		transfer_run(t, i & 2);
		KUNIT_EXPECT_EQ(test, t->err, -EIO);
	}
}

/* Direct I/O is refused in the middle: the page cache takes over. */
static void file_read_direct_ends(struct kunit *test)
{
	struct memfile_mode mode = { .direct = true, .dio_align = 512, .nowait = true };
	struct file_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 4; i++) {
		struct transfer *t = simple_transfer(test, 8192, 4096);

		mode.refuse_direct = false;
		mode.async = i & 1;
		open_file(test, &mode, QCOW_DIRECT_AUTO);
		mode.refuse_direct = true;
		memfile_set_mode(x->m, &mode);
		transfer_run(t, i & 2);
		KUNIT_EXPECT_EQ(test, t->err, 0);
		KUNIT_EXPECT_TRUE(test, content_right(x, 8192, x->buf, 4096));
		KUNIT_EXPECT_LE(test, atomic_read(&x->m->directs), 2);
	}
}

/* A file that became shorter does not read as zeros. */
static void file_read_shrunk(struct kunit *test)
{
	struct memfile_mode mode = { .nowait = true };
	struct file_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 4; i++) {
		struct transfer *inside = simple_transfer(test, 8192, 4096);
		struct transfer *across = simple_transfer(test, 8192 + 2048, 4096);

		mode.async = i & 1;
		memfile_set_size(x->m, DATA_SIZE);
		open_file(test, &mode, QCOW_DIRECT_AUTO);
		memfile_set_size(x->m, 8192 + 4096);
		transfer_run(inside, i & 2);
		KUNIT_EXPECT_EQ(test, inside->err, 0);
		transfer_run(across, i & 2);
		KUNIT_EXPECT_EQ(test, across->err, -EIO);
	}
}

/* A file that grew: its new part may be read. */
static void file_read_grown(struct kunit *test)
{
	struct memfile_mode mode = { .nowait = true };
	struct file_fixture *x = test->priv;
	struct transfer *t = simple_transfer(test, 8192, 4096);

	memfile_set_size(x->m, 8192);
	open_file(test, &mode, QCOW_DIRECT_AUTO);
	memfile_set_size(x->m, DATA_SIZE);
	transfer_run(t, false);
	KUNIT_EXPECT_EQ(test, t->err, 0);
	KUNIT_EXPECT_TRUE(test, content_right(x, 8192, x->buf, 4096));
}

/* --- Writing --- */

static bool freeze_is_kept_off(const struct memfile *m)
{
	struct super_block *sb = file_inode(m->file)->i_sb;

	return percpu_is_read_locked(&sb->s_writers.rw_sem[SB_FREEZE_WRITE - 1]);
}

/* The file as one that can be written, with its content. */
static void open_writable(struct kunit *test, const struct memfile_mode *mode)
{
	struct file_fixture *x = test->priv;

	KUNIT_ASSERT_EQ(test, memfile_own(x->m, x->data, DATA_SIZE, DATA_SIZE), 0);
	open_file(test, mode, QCOW_DIRECT_AUTO);
}

/* A write keeps a freeze off until it is complete, in whatever context that happens. */
static void file_write_keeps_freeze_off(struct kunit *test)
{
	struct memfile_mode mode = { .nowait = true, .async = true };
	struct file_fixture *x = test->priv;
	u32 i;

	for (i = 0; i < 6; i++) {
		DECLARE_COMPLETION_ONSTACK(gate);
		struct transfer *t = simple_transfer(test, 4096, 4096);

		mode.gate = &gate;
		mode.irqs_off = i & 1;
		mode.fail_ops = MEMFILE_WRITE;
		mode.fail_at = i >= 4;
		mode.sticky = true;
		open_writable(test, &mode);
		t->req.write = true;
		KUNIT_EXPECT_FALSE(test, freeze_is_kept_off(x->m));
		KUNIT_EXPECT_EQ(test, transfer_start(t, i & 2), 0);
		KUNIT_EXPECT_TRUE(test, freeze_is_kept_off(x->m));
		complete_all(&gate);
		KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&t->done, 20 * HZ), 0);
		KUNIT_EXPECT_FALSE(test, freeze_is_kept_off(x->m));
	}
}

/* A task that reclaims memory must not be made to wait for the filesystem. */
static void file_write_not_now(struct kunit *test)
{
	struct memfile_mode mode = { .nowait = true };
	struct file_fixture *x = test->priv;
	struct transfer *t = simple_transfer(test, 0, 512);
	unsigned int flags;
	int err;

	open_writable(test, &mode);
	t->req.write = true;
	flags = memalloc_noreclaim_save();
	err = transfer_start(t, true);
	memalloc_noreclaim_restore(flags);
	KUNIT_EXPECT_EQ(test, err, -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->nowaits), 0);
	KUNIT_EXPECT_EQ(test, transfer_start(t, true), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->ends), 1);
}

/* --- Holes --- */

/* The filesystem says "no data" of the part that was cut off, too: that is no hole. */
static void file_hole_cut_off(struct kunit *test)
{
	struct memfile_mode mode = { };
	struct file_fixture *x = test->priv;

	open_writable(test, &mode);
	KUNIT_EXPECT_FALSE(test, qcow_space_is_hole(&x->f, 16384, 4096));
	KUNIT_EXPECT_TRUE(test, qcow_space_is_hole(&x->f, DATA_SIZE, 4096));
	memfile_set_size(x->m, 8192);
	KUNIT_EXPECT_FALSE(test, qcow_space_is_hole(&x->f, 16384, 4096));
	KUNIT_EXPECT_FALSE(test, qcow_space_is_hole(&x->f, DATA_SIZE, 4096));
}

static struct kunit_case file_test_cases[] = {
	KUNIT_CASE_PARAM(file_open, open_gen_params),
	KUNIT_CASE(file_open_refused),
	KUNIT_CASE_PARAM(file_pread, pread_gen_params),
	KUNIT_CASE(file_pread_direct_ends),
	KUNIT_CASE(file_pread_shrunk),
	KUNIT_CASE(file_pread_errors),
	KUNIT_CASE_PARAM(file_read, read_gen_params),
	KUNIT_CASE(file_read_not_now),
	KUNIT_CASE(file_read_errors),
	KUNIT_CASE(file_read_error_after_short),
	KUNIT_CASE(file_read_direct_ends),
	KUNIT_CASE(file_read_shrunk),
	KUNIT_CASE(file_read_grown),
	KUNIT_CASE(file_write_keeps_freeze_off),
	KUNIT_CASE(file_write_not_now),
	KUNIT_CASE(file_hole_cut_off),
	{ }
};

static struct kunit_suite file_suite = {
	.name = "qcow_file",
	.init = file_test_init,
	.exit = file_test_exit,
	.test_cases = file_test_cases,
};

kunit_test_suite(file_suite);
