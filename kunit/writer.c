// SPDX-License-Identifier: GPL-2.0
/*
 * Writes whose content says which write it was and for which sector, and a look
 * at an image to see whether each sector holds one that it may hold.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include <asm/unaligned.h>

#include "data/write.h"
#include "meta/alloc.h"
#include "meta/image.h"
#include "ondisk/format.h"
#include "writer.h"
#include "data/zero.h"

#define SECTOR		512
#define BACKING_SIZE_AT	offsetof(struct qcow_disk_header, backing_file_size)
#define CONTENT_BYTES	(READER_PIECES * READER_PIECE)

/* --- Set-up --- */

/* @size: of a structure that begins with a &struct writer */
int writer_fixture_init(struct kunit *test, size_t size)
{
	struct writer *w;
	int err;
	u32 i;

	err = reader_fixture_init(test, size);
	if (err)
		return err;
	w = test->priv;
	w->base.r->params.writable = true;
	for (i = 0; i < READER_PARALLEL; i++) {
		w->content[i] = kvmalloc(CONTENT_BYTES, GFP_KERNEL);
		if (!w->content[i])
			return -ENOMEM;
	}
	return 0;
}

int writer_test_init(struct kunit *test)
{
	return writer_fixture_init(test, sizeof(struct writer));
}

void writer_test_exit(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 i;

	if (!w)
		return;
	writer_close(w);
	writer_free(w);
	for (i = 0; i < READER_PARALLEL; i++)
		kvfree(w->content[i]);
	reader_test_exit(test);
}

/* Small enough for many; room for what is written, and more. */
void writer_random_spec(struct rnd_state *rnd, struct builder_spec *spec)
{
	builder_random_spec(rnd, spec);
	if (spec->cluster_bits > 16) {
		spec->cluster_bits = 9;
		spec->extended_l2 = false;
	}
	if (qtest_one_in(rnd, 5)) {
		spec->version = 3;
		spec->cluster_bits = 14;
		spec->extended_l2 = true;
	}
	spec->size = clamp_t(u64, spec->size, SECTOR, 192 << 10);
	spec->data_file = false;
	spec->writable = true;
	spec->order = spec->version == 3 ? qtest_below(rnd, 7) : 4;
	spec->room = 2 * spec->size + (80ULL << spec->cluster_bits) + (256 << 10);
}

void writer_random_mode(struct rnd_state *rnd, struct memfile_mode *mode)
{
	*mode = (struct memfile_mode) {
		.nowait = qtest_one_in(rnd, 2),
		.async = qtest_one_in(rnd, 2),
		.direct = qtest_one_in(rnd, 2),
		.dio_align = 512,
		.eagain = qtest_below(rnd, 4),
		.eagain_late = qtest_one_in(rnd, 4),
		.delay_us = qtest_one_in(rnd, 2) ? 100 : 0,
	};
}

int writer_build(struct writer *w, const struct builder_spec *specs, u32 nr,
		 struct rnd_state *rnd)
{
	struct builder_image *b = writer_top(w);
	int err = builder_build(w->base.c, specs, nr, rnd);

	if (err)
		return err;
	w->nr_ops = 0;
	w->ahead = qtest_one_in(rnd, 2);
	w->before = kvmalloc(b->size + 1, GFP_KERNEL);
	w->floor = kvmalloc((b->size / SECTOR + 1) * sizeof(*w->floor), GFP_KERNEL);
	if (!w->before || !w->floor)
		return -ENOMEM;
	memcpy(w->before, b->expect, b->size);
	err = checker_init(&w->k, (b->m->capacity >> b->spec.cluster_bits) + 1);
	if (err)
		return err;
	if (WARN_ON(!checker_check(&w->k, b->file, b->file_len)))
		pr_err("built an image: %s\n", w->k.text);
	w->leaks = w->k.leaks;
	return 0;
}

/* Of the kinds that writer_encrypt() can have: no data that is there already. */
void writer_encrypted_spec(struct rnd_state *rnd, struct builder_spec *spec)
{
	writer_random_spec(rnd, spec);
	spec->backing = false;
	spec->kinds = BUILDER_HOLE | BUILDER_ZERO;
	if (qtest_one_in(rnd, 2))
		spec->kinds |= BUILDER_ZERO_ALLOC;
	if (qtest_one_in(rnd, 2))
		spec->kinds |= BUILDER_COMPRESSED;
}

/* From now on, after writer_build(), the image is encrypted with AES. */
int writer_encrypt(struct writer *w)
{
	u32 at = offsetof(struct qcow_disk_header, crypt_method);
	struct builder_image *b = writer_top(w);
	struct qcow_msg msg;

	put_unaligned_be32(QCOW_DISK_CRYPT_AES, b->file + at);
	put_unaligned_be32(QCOW_DISK_CRYPT_AES, b->m->store + at);
	strscpy(w->key.cipher, "aes-cbc-plain64", sizeof(w->key.cipher));
	w->key.len = 16;
	memset(w->key.bytes, 0x5a, w->key.len);
	w->base.c->sources[0].key = &w->key;
	return qcow_crypt_open(&w->crypt, QCOW_DISK_CRYPT_AES, &w->key, NULL, &msg);
}

/* Log what is done to the image file, up to so many operations and bytes. */
int writer_log(struct writer *w, u32 entries, u64 bytes)
{
	struct memfile *m = writer_top(w)->m;

	w->log = memlog_create(entries, bytes);
	if (!w->log)
		return -ENOMEM;
	m->log = w->log;
	return memlog_disk_init(&w->disk, w->log, m->capacity);
}

void writer_free(struct writer *w)
{
	memlog_disk_free(&w->disk);
	kvfree(w->before);
	kvfree(w->floor);
	checker_free(&w->k);
	qcow_crypt_close(w->crypt);
	w->crypt = NULL;
	memlog_destroy(w->log);
	w->before = NULL;
	w->floor = NULL;
	w->log = NULL;
	builder_free(w->base.c);
}

/* The image as it was built, and nothing written. */
void writer_restart(struct writer *w)
{
	struct builder_image *b = writer_top(w);

	memfile_rewrite(b->m, b->file, b->file_len);
	memcpy(b->expect, w->before, b->size);
	w->nr_ops = 0;
	w->clock = 0;
	if (w->log)
		memlog_reset(w->log);
}

int writer_open(struct writer *w)
{
	struct qcow_image *img = reader_open(w->base.r, w->base.c, &w->base.msg);

	if (IS_ERR(img))
		return PTR_ERR(img);
	w->img = img;
	if (img->alloc)
		img->alloc->reserve.no_renew = !w->ahead;
	return 0;
}

void writer_close(struct writer *w)
{
	if (!w->img)
		return;
	qtest_flush();
	qcow_image_close_chain(w->img);
	w->img = NULL;
}

/* --- Writing --- */

static void fill_sector(u8 *p, u32 op, u64 pos)
{
	u64 tag = (u64)(op + 1) << 40 | pos / SECTOR;
	u32 i;

	for (i = 0; i < SECTOR; i += 8)
		put_unaligned_be64(tag ^ ((u64)i << 32), p + i);
}

/* The write that filled a sector so, or -1. */
static int sector_op(const struct writer *w, const u8 *p, u64 pos)
{
	u64 op = (get_unaligned_be64(p) >> 40) - 1;
	u8 sector[SECTOR];

	if (op >= w->nr_ops || w->op[op].op != QCOW_OP_WRITE)
		return -1;
	fill_sector(sector, op, pos);
	return memcmp(p, sector, SECTOR) ? -1 : op;
}

static u32 stamp(struct writer *w)
{
	return w->log ? memlog_now(w->log) : ++w->clock;
}

static u32 begin_op(struct writer *w, enum qcow_op op, u64 pos, u32 len)
{
	u32 i = w->nr_ops++;

	if (WARN_ON(i >= WRITER_OPS))
		return w->nr_ops = 0;
	w->op[i] = (struct writer_op) {
		.op = op, .pos = pos, .len = len, .begun = stamp(w),
		.end = WRITER_NEVER,
	};
	return i;
}

static void end_op(struct writer *w, u32 i, bool ok)
{
	w->op[i].end = stamp(w);
	w->op[i].ok = ok;
}

/* What each slot writes goes to its memory, and stays to be compared with. */
static void fill_slot(struct writer *w, u32 slot, u32 op)
{
	struct qcow_io *io = &w->base.r->io[slot].io;
	struct iov_iter iter;
	u32 i;

	for (i = 0; i < io->len; i += SECTOR)
		fill_sector(w->content[slot] + i, op, io->guest_offset + i);
	qcow_iter_init(&iter, READ, io->bvec, io->nr_bvec, io->skip, io->len);
	WARN_ON(copy_to_iter(w->content[slot], io->len, &iter) != io->len);
}

/* Disks are written in sectors. Return: whether something is left. */
static bool trim_slot(struct qcow_io *io)
{
	struct bio_vec *bvec = (struct bio_vec *)io->bvec;
	u32 excess = io->len % SECTOR, n;

	io->len -= excess;
	for (; excess; excess -= n) {
		n = min(excess, bvec[io->nr_bvec - 1].bv_len);
		bvec[io->nr_bvec - 1].bv_len -= n;
		if (!bvec[io->nr_bvec - 1].bv_len)
			io->nr_bvec--;
	}
	return io->len;
}

/**
 * writer_submit() - start a write
 * @w: opened
 * @slot: below READER_PARALLEL, to be given to writer_wait()
 * @pos: bytes into the disk
 * @len: bytes
 * @worker: all of it in a worker
 * @rnd: for memory of any shape, in which case it may be shorter; or NULL
 *
 * Return: bytes that are written.
 */
u32 writer_submit(struct writer *w, u32 slot, u64 pos, u32 len, bool worker,
		  struct rnd_state *rnd)
{
	writer_start(w, slot, pos, len, worker, rnd);
	return w->op[w->slot_op[slot]].len;
}

void writer_start(struct writer *w, u32 slot, u64 pos, u32 len, bool worker,
		  struct rnd_state *rnd)
{
	struct reader *r = w->base.r;
	struct qcow_io *io = &r->io[slot].io;

	if (rnd)
		reader_prepare_random(r, slot, w->img, pos, len, rnd);
	if (!rnd || !trim_slot(io))
		reader_prepare(r, slot, w->img, pos, len);
	io->op = QCOW_OP_WRITE;
	w->slot_op[slot] = begin_op(w, QCOW_OP_WRITE, pos, io->len);
	fill_slot(w, slot, w->slot_op[slot]);
	if (worker)
		qcow_write_in_worker(io);
	else
		qcow_write(io);
}

int writer_end(struct writer *w, u32 slot)
{
	int verdict = reader_wait(w->base.r, slot, w->content[slot]);

	end_op(w, w->slot_op[slot], !verdict);
	return verdict;
}

void writer_submit_zero(struct writer *w, u32 slot, u64 pos, u32 len,
			enum qcow_op op)
{
	struct qcow_io *io = &w->base.r->io[slot].io;

	reader_prepare(w->base.r, slot, w->img, pos, 0);
	io->op = op;
	io->len = len;
	w->slot_op[slot] = begin_op(w, op, pos, len);
	qcow_zero(io);
}

/*
 * Bytes that a discard makes zeros: whole clusters, where entries can say that
 * they are zeros whatever is below.
 */
static void discarded(const struct writer *w, u64 *pos, u64 *end)
{
	const struct builder_image *b = &w->base.c->img[0];
	u64 cluster = 1ULL << b->spec.cluster_bits;

	*pos = round_up(*pos, cluster);
	if (*end != b->size)
		*end = round_down(*end, cluster);
	if (b->spec.version < 3 && b->spec.backing)
		*end = *pos;
}

static void expect_zeros(struct writer *w, u64 pos, u64 end)
{
	if (pos < end)
		memset(writer_top(w)->expect + pos, 0, end - pos);
}

/*
 * A piece of a cluster that was discarded is zeros if the rest of the cluster was known
 * to be zeros; else it stays. Both are right.
 */
static void expect_discarded_piece(struct writer *w, u64 pos, u64 end)
{
	if (pos < end && qcow_image_reads_zero(w->img, pos, end - pos))
		expect_zeros(w, pos, end);
}

static void expect_discard(struct writer *w, u64 pos, u64 end)
{
	u64 first = pos, last = end;

	discarded(w, &first, &last);
	expect_discarded_piece(w, pos, min(first, end));
	expect_zeros(w, first, last);
	expect_discarded_piece(w, max(last, pos), end);
}

static void expect_op(struct writer *w, u32 slot)
{
	const struct writer_op *op = &w->op[w->slot_op[slot]];

	if (op->op == QCOW_OP_WRITE)
		memcpy(writer_top(w)->expect + op->pos, w->content[slot], op->len);
	else if (op->op == QCOW_OP_DISCARD)
		expect_discard(w, op->pos, op->pos + op->len);
	else
		expect_zeros(w, op->pos, op->pos + op->len);
}

/* Return: 0, its error, or READER_*. */
int writer_wait(struct writer *w, u32 slot)
{
	int verdict = writer_end(w, slot);

	if (!verdict)
		expect_op(w, slot);
	return verdict;
}

int writer_write(struct writer *w, u64 pos, u32 len)
{
	writer_submit(w, 0, pos, len, false, NULL);
	return writer_wait(w, 0);
}

int writer_flush(struct writer *w)
{
	u32 op = begin_op(w, QCOW_OP_WRITE, 0, 0);
	int err = qcow_write_flush(w->img);

	end_op(w, op, !err);
	return err;
}

/* All that is expected. Only where writes to the same place were not parallel. */
int writer_read_back(struct writer *w)
{
	return reader_read_all(w->base.r, w->img, writer_top(w)->expect, 64 << 10);
}

/* --- What a sector may hold --- */

/* The begin of the last flush that had ended at @when, 0: none. */
static u32 flushed_until(const struct writer *w, u32 when)
{
	u32 until = 0, i;

	for (i = 0; i < w->nr_ops; i++)
		if (!w->op[i].len && w->op[i].ok && w->op[i].end <= when)
			until = max(until, w->op[i].begun);
	return until;
}

void writer_cut(struct writer *w, u32 when)
{
	u32 until = flushed_until(w, when);
	struct writer_op *op = w->op;

	for (; op < w->op + w->nr_ops && op->begun < when; op++) {
		op->end = min(op->end, when);
		op->ok &= op->end <= until;
	}
	w->nr_ops = op - w->op;
}

static void set_floor(struct writer *w, u32 until)
{
	const struct writer_op *op;
	u64 s;

	memset(w->floor, 0, writer_top(w)->size / SECTOR * sizeof(*w->floor));
	for (op = w->op; op < w->op + w->nr_ops; op++)
		for (s = op->pos; op->op != QCOW_OP_DISCARD && op->ok &&
		     op->end <= until && s < op->pos + op->len; s += SECTOR)
			w->floor[s / SECTOR] = max(w->floor[s / SECTOR], op->begun);
}

/* Whether an operation covers a sector and had begun at @when. */
static bool op_covers(const struct writer_op *op, u64 pos, u32 when)
{
	return pos >= op->pos && pos < op->pos + op->len && op->begun < when;
}

/* Whether something made a sector zeros that may still count. */
static bool zeroed(const struct writer *w, u64 pos, u32 when)
{
	u32 floor = w->floor[pos / SECTOR], i;

	for (i = 0; i < w->nr_ops; i++)
		if (w->op[i].op != QCOW_OP_WRITE && op_covers(&w->op[i], pos, when) &&
		    floor <= w->op[i].end)
			return true;
	return false;
}

/* Whether what the disk began with, or a write, may be there at @when. */
static const char *check_content(struct writer *w, const u8 *p, u64 pos, u32 when)
{
	u32 floor = w->floor[pos / SECTOR];
	int i = sector_op(w, p, pos);

	if (i < 0 && !memchr_inv(p, 0, SECTOR) && zeroed(w, pos, when))
		return NULL;
	if (i < 0 && memcmp(p, w->before + pos, SECTOR))
		return "what was never written there";
	if (i < 0)
		return floor ? "what was there before a flushed write" : NULL;
	if (!op_covers(&w->op[i], pos, when))
		return "what is written there later";
	return floor > w->op[i].end ? "what a flushed write has replaced" : NULL;
}

/* The backing file's, zeros beyond it and if the image names none. */
static const u8 *under_sector(struct writer *w, u64 pos)
{
	const struct builder_image *b = &w->base.c->img[1];

	if (w->under)
		return w->under(w, pos);
	if (w->base.c->nr < 2 || pos + SECTOR > b->size ||
	    !get_unaligned_be32(w->k.data + BACKING_SIZE_AT))
		return page_address(ZERO_PAGE(0));
	return b->expect + pos;
}

/* Compressed clusters are never written: entry and data are as at the start. */
static const char *check_compressed(struct writer *w, u64 pos, u64 entry)
{
	const struct builder_image *b = writer_top(w);
	u64 index = pos >> b->spec.cluster_bits;
	const struct builder_cluster *c = &b->clusters[index];

	if (!c->l2_at || get_unaligned_be64(b->file + c->l2_at) != entry)
		return "a compressed cluster of which nothing is known";
	if (c->host + c->host_len > w->k.size ||
	    memcmp(w->k.data + c->host, b->file + c->host, c->host_len))
		return "compressed data that was changed";
	return w->floor[pos / SECTOR] ? "the compressed cluster before a flushed write" : NULL;
}

/* What lies at @at of the file, as it is on the disk at @pos. */
static const u8 *host_sector(struct writer *w, u64 pos, u64 at)
{
	struct bio_vec bv = {
		.bv_page = virt_to_page(w->plain),
		.bv_offset = offset_in_page(w->plain),
		.bv_len = SECTOR,
	};
	struct qcow_file_req req = { .bvec = &bv, .nr_bvec = 1, .len = SECTOR };

	if (!w->crypt && at + SECTOR <= w->k.size)
		return w->k.data + at;
	/* The file's last sector may be in part. */
	memset(w->plain, 0, SECTOR);
	if (at < w->k.size)
		memcpy(w->plain, w->k.data + at, min_t(u64, SECTOR, w->k.size - at));
	if (w->crypt &&
	    qcow_crypt_decrypt(w->crypt, &req, qcow_crypt_sector(w->crypt, pos, at)))
		pr_err("kunit: cannot decrypt a sector\n");
	return w->plain;
}

static const char *check_sector(struct writer *w, u64 pos, u32 when)
{
	const u8 *p = page_address(ZERO_PAGE(0));
	u64 at = 0;

	switch (checker_find(&w->k, pos, &at)) {
	case CHECKER_COMPRESSED:
		return check_compressed(w, pos, at);
	case CHECKER_HOLE:
		p = under_sector(w, pos);
		break;
	case CHECKER_HOST:
		p = host_sector(w, pos, at);
		break;
	case CHECKER_ZERO:
		break;
	}
	return check_content(w, p, pos, when);
}

/* Whether a compressed cluster is the one that the image was built with. */
static bool same_compressed(struct writer *w, u64 pos, u64 entry)
{
	const struct builder_image *b = writer_top(w);
	const struct builder_cluster *c = &b->clusters[pos >> b->spec.cluster_bits];

	return c->l2_at && get_unaligned_be64(b->file + c->l2_at) == entry &&
	       c->host + c->host_len <= w->k.size &&
	       !memcmp(w->k.data + c->host, b->file + c->host, c->host_len);
}

static bool same_sector(struct writer *w, u64 l1_at, u64 pos, const u8 *expect)
{
	const u8 *p = page_address(ZERO_PAGE(0));
	u64 at = 0;

	switch (checker_find_in(&w->k, l1_at, pos, &at)) {
	case CHECKER_COMPRESSED:
		return same_compressed(w, pos, at) &&
		       !memcmp(w->before + pos, expect, SECTOR);
	case CHECKER_HOLE:
		p = under_sector(w, pos);
		break;
	case CHECKER_HOST:
		p = host_sector(w, pos, at);
		break;
	case CHECKER_ZERO:
		break;
	}
	return !memcmp(p, expect, SECTOR);
}

/**
 * writer_same_disk() - is a disk what it should be, after writer_check()
 * @w: its image
 * @l1_at: the L1 table by which it is looked at
 * @expect: what it should be
 * @unsure: sectors of which nothing is expected, or NULL
 *
 * Return: whether it is.
 */
bool writer_same_disk(struct writer *w, u64 l1_at, const u8 *expect,
		      const unsigned long *unsure)
{
	u64 pos;

	for (pos = 0; pos < writer_top(w)->size; pos += SECTOR)
		if (!(unsure && test_bit(pos / SECTOR, unsure)) &&
		    !same_sector(w, l1_at, pos, expect + pos))
			return false;
	return true;
}

/* Details stay in w->k.text. */
const char *writer_check(struct writer *w, const void *data, u64 size, u32 when)
{
	const char *fault;
	u64 pos;

	if (!checker_check(&w->k, data, size))
		return w->k.text;
	set_floor(w, flushed_until(w, when));
	for (pos = 0; pos < writer_top(w)->size; pos += SECTOR) {
		fault = check_sector(w, pos, when);
		if (!fault)
			continue;
		snprintf(w->k.text, sizeof(w->k.text), "at %#llx is %s", pos, fault);
		return w->k.text;
	}
	return NULL;
}

/* If the power was cut now, in each way. */
const char *writer_check_cuts(struct writer *w, struct rnd_state *rnd)
{
	const struct builder_image *b = writer_top(w);
	struct memlog_disk *d = &w->disk;
	u32 cut, when = stamp(w);
	const char *fault = NULL;

	memlog_disk_start(d, b->file, b->file_len);
	for (cut = 0; cut < MEMLOG_CUTS && !fault; cut++) {
		memlog_disk_cut(d, when, cut, rnd);
		fault = writer_check(w, d->data, min(d->size, d->capacity), when);
	}
	return fault;
}

/* The image file as it is now. */
const char *writer_check_closed(struct writer *w)
{
	const struct memfile *m = writer_top(w)->m;

	return writer_check(w, m->store, memfile_size(m), WRITER_NEVER);
}

/*
 * What a snapshot would refer to, too: clusters with a reference more than there
 * is. After writer_check().
 */
const char *writer_check_foreign(struct writer *w)
{
	const struct builder_image *b = writer_top(w);
	u64 cluster = 1ULL << b->spec.cluster_bits, c;
	struct checker before;
	const char *fault = NULL;

	if (checker_init(&before, w->k.max))
		return "no memory";
	checker_walk(&before, b->file, b->file_len);
	for (c = 0; c < before.nr && !fault; c++) {
		if (checker_refcount(&before, c) == before.refs[c])
			continue;
		if (checker_refcount(&w->k, c) <= w->k.refs[c])
			fault = "a reference of somebody else is gone";
		else if (memcmp(b->file + c * cluster, w->k.data + c * cluster,
				min(cluster, b->file_len - c * cluster)))
			fault = "data of somebody else was changed";
	}
	checker_free(&before);
	return fault;
}
