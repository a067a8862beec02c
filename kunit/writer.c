// SPDX-License-Identifier: GPL-2.0
/*
 * The writer: builds images, opens them, and submits writes, zeros, discards and flushes
 * as the device does. See writer.h.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat/compat_test.h"
#include "data/write.h"
#include "data/zero.h"
#include "jobs/snapshot_ops.h"
#include "meta/alloc.h"
#include "meta/image.h"
#include "ondisk/format.h"
#include "writer.h"

#define SECTOR		512
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
	w->o.c = w->base.c;
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

/* Small enough for many images; the file has room for more than the disk. */
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

void writer_overlay_specs(struct builder_spec *specs, u32 cluster_bits, u32 clusters)
{
	specs[0] = (struct builder_spec){
		.version = 3,
		.cluster_bits = cluster_bits,
		.tidy = true,
		.kinds = BUILDER_HOLE,
		.size = (u64)clusters << cluster_bits,
		.backing = true,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};
	specs[1] = (struct builder_spec){ .raw = true, .size = specs[0].size };
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
	int err = builder_build(w->base.c, specs, nr, rnd);

	if (err)
		return err;
	w->ahead = qtest_one_in(rnd, 2);
	return oracle_init(&w->o, writer_top(w)->spec.cluster_bits);
}

/* Of the kinds that writer_encrypt() can take: the image has no data yet. */
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

int writer_encrypt(struct writer *w)
{
	u32 in_header = offsetof(struct qcow_disk_header, crypt_method);
	struct builder_image *b = writer_top(w);
	struct qcow_msg msg;

	put_unaligned_be32(QCOW_DISK_CRYPT_AES, b->file + in_header);
	put_unaligned_be32(QCOW_DISK_CRYPT_AES, b->m->store + in_header);
	strscpy(w->key.cipher, "aes-cbc-plain64", sizeof(w->key.cipher));
	w->key.len = 16;
	memset(w->key.bytes, 0x5a, w->key.len);
	w->base.c->sources[0].key = &w->key;
	return qcow_crypt_open(&w->o.crypt, QCOW_DISK_CRYPT_AES, &w->key, NULL, &msg);
}

void writer_free(struct writer *w)
{
	oracle_free(&w->o);
	builder_free(w->base.c);
}

void writer_restart(struct writer *w)
{
	struct builder_image *b = writer_top(w);

	memfile_rewrite(b->m, b->file, b->file_len);
	oracle_restart(&w->o);
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
	qcow_image_close_chain(w->img);
	w->img = NULL;
}

/* --- Writing --- */

/* The content of a write goes to the memory of the I/O; the slot keeps it to compare. */
static void fill_slot(struct writer *w, u32 slot, u32 op)
{
	struct qcow_io *io = &w->base.r->io[slot].io;
	struct iov_iter iter;
	u32 i;

	for (i = 0; i < io->len; i += SECTOR)
		oracle_fill(w->content[slot] + i, op, io->guest_offset + i);
	qcow_iter_init(&iter, READ, io->bvec, io->nr_bvec, io->skip, io->len);
	WARN_ON(copy_to_iter(w->content[slot], io->len, &iter) != io->len);
}

/* Cuts an I/O to whole sectors. Return: whether any is left. */
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

u32 writer_submit(struct writer *w, u32 slot, u64 guest_offset, u32 len, bool worker,
		  struct rnd_state *rnd)
{
	writer_start(w, slot, guest_offset, len, worker, rnd);
	return w->o.op[w->slot_op[slot]].len;
}

void writer_start(struct writer *w, u32 slot, u64 guest_offset, u32 len, bool worker,
		  struct rnd_state *rnd)
{
	struct reader *r = w->base.r;
	struct qcow_io *io = &r->io[slot].io;

	if (rnd)
		reader_prepare_random(r, slot, w->img, guest_offset, len, rnd);
	if (!rnd || !trim_slot(io))
		reader_prepare(r, slot, w->img, guest_offset, len);
	io->op = QCOW_OP_WRITE;
	w->slot_op[slot] = oracle_begin(&w->o, QCOW_OP_WRITE, guest_offset, io->len);
	fill_slot(w, slot, w->slot_op[slot]);
	if (worker)
		qcow_write_in_worker(io);
	else
		qcow_write(io);
}

int writer_end(struct writer *w, u32 slot)
{
	int verdict = reader_wait(w->base.r, slot, w->content[slot]);

	oracle_end(&w->o, w->slot_op[slot], !verdict);
	return verdict;
}

void writer_submit_zero(struct writer *w, u32 slot, u64 guest_offset, u32 len,
			enum qcow_op op)
{
	struct qcow_io *io = &w->base.r->io[slot].io;

	reader_prepare(w->base.r, slot, w->img, guest_offset, 0);
	io->op = op;
	io->len = len;
	w->slot_op[slot] = oracle_begin(&w->o, op, guest_offset, len);
	qcow_zero(io);
}

bool writer_draw_piece(struct writer *w, struct rnd_state *rnd, u32 slot, u32 nr, u32 *first,
		       u32 *sectors)
{
	u32 all = writer_top(w)->size / SECTOR / nr;

	if (!all)
		return false;
	*first = qtest_below(rnd, all);
	*sectors = min(1 + qtest_below(rnd, 24), all - *first);
	*first += slot * all;
	return true;
}

void writer_submit_piece(struct writer *w, struct rnd_state *rnd, u32 slot, u32 first,
			 u32 sectors)
{
	u64 guest_offset = (u64)first * SECTOR;

	if (qtest_one_in(rnd, 4))
		writer_submit_zero(w, slot, guest_offset, sectors * SECTOR,
				   QCOW_OP_ZERO + qtest_below(rnd, 2));
	else
		writer_submit(w, slot, guest_offset, sectors * SECTOR,
			      qtest_one_in(rnd, 3), NULL);
}

int writer_wait(struct writer *w, u32 slot)
{
	int verdict = writer_end(w, slot);

	if (!verdict)
		oracle_expect(&w->o, w->slot_op[slot], w->img, w->content[slot]);
	return verdict;
}

int writer_write(struct writer *w, u64 guest_offset, u32 len)
{
	writer_submit(w, 0, guest_offset, len, false, NULL);
	return writer_wait(w, 0);
}

int writer_flush(struct writer *w)
{
	u32 op = oracle_begin(&w->o, QCOW_OP_WRITE, 0, 0);
	int err = qcow_write_flush(w->img);

	oracle_end(&w->o, op, !err);
	return err;
}

int writer_flush_range(struct writer *w, u32 slot)
{
	const struct oracle_op *op = &w->o.op[w->slot_op[slot]];
	int err = qcow_write_flush_range(w->img, op->guest_offset, op->len);

	if (!err)
		oracle_durable(&w->o, w->slot_op[slot]);
	return err;
}

int writer_read_back(struct writer *w)
{
	return reader_read_all(w->base.r, w->img, writer_top(w)->expect, 64 << 10);
}

/* --- Snapshots --- */

static int no_stop(struct qcow_pause *p)
{
	return 0;
}

static void no_go(struct qcow_pause *p)
{
}

struct qcow_pause writer_no_pause = { .stop = no_stop, .go = no_go };

int writer_snapshot_create(struct writer *w, const char *name)
{
	struct qcow_snapshot_request req = { .name = name, .pause = &writer_no_pause };

	w->base.msg.text[0] = 0;
	return qcow_snapshot_create(w->img, &req, &w->base.msg);
}

int writer_snapshot_delete(struct writer *w, const char *name)
{
	struct qcow_snapshot_request req = { .name = name, .pause = &writer_no_pause };

	w->base.msg.text[0] = 0;
	return qcow_snapshot_delete(w->img, &req, &w->base.msg);
}

int writer_snapshot_apply(struct writer *w, const char *name)
{
	struct qcow_snapshot_request req = { .name = name, .pause = &writer_no_pause };

	w->base.msg.text[0] = 0;
	return qcow_snapshot_apply(w->img, &req, &w->base.msg);
}
