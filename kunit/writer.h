/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writer builds and opens images, and submits writes, zeros, discards and flushes to
 * the driver's data path as the device does, up to READER_PARALLEL at once. It owns the
 * opened image and the memory of the I/O, and tells the oracle of each operation's begin
 * and end. It does not know whether an image is right: suites ask @o for that.
 */
#ifndef _QCOW_WRITER_H
#define _QCOW_WRITER_H

#include "oracle.h"
#include "reader.h"

/**
 * struct writer - an opened chain that is written
 * @base: the chain, and memory for I/O
 * @img: opened
 * @o: the oracle
 * @slot_op: the oracle's number of the operation of each slot
 * @content: of the write of each slot
 * @ahead: space is taken ahead, as on a filesystem that writes in place
 * @key: of an encrypted image
 */
struct writer {
	struct reader_fixture base;
	struct qcow_image *img;
	struct oracle o;
	u32 slot_op[READER_PARALLEL];
	u8 *content[READER_PARALLEL];
	bool ahead;
	struct qcow_crypt_key key;
};

/* --- For each case; @size: of a structure that begins with a &struct writer --- */

int writer_fixture_init(struct kunit *test, size_t size);
int writer_test_init(struct kunit *test);
void writer_test_exit(struct kunit *test);

/* --- Images --- */

void writer_random_spec(struct rnd_state *rnd, struct builder_spec *spec);
/* Holes over a raw image: @specs[0] and @specs[1]. */
void writer_overlay_specs(struct builder_spec *specs, u32 cluster_bits, u32 clusters);
void writer_random_mode(struct rnd_state *rnd, struct memfile_mode *mode);
int writer_build(struct writer *w, const struct builder_spec *specs, u32 nr,
		 struct rnd_state *rnd);
void writer_encrypted_spec(struct rnd_state *rnd, struct builder_spec *spec);
/* After writer_build(): the image is encrypted with AES from now on. */
int writer_encrypt(struct writer *w);
void writer_free(struct writer *w);
/* Puts the image back as it was built. */
void writer_restart(struct writer *w);
int writer_open(struct writer *w);
void writer_close(struct writer *w);

static inline struct builder_image *writer_top(struct writer *w)
{
	return &w->base.c->img[0];
}

/* --- Operations --- */

/**
 * writer_submit() - start a write
 * @w: opened
 * @slot: below READER_PARALLEL, to be given to writer_wait()
 * @guest_offset: its begin
 * @len: bytes
 * @worker: all of it in a worker
 * @rnd: for memory of any shape, in which case the write may be shorter; or NULL
 *
 * Return: bytes that are written.
 */
u32 writer_submit(struct writer *w, u32 slot, u64 guest_offset, u32 len, bool worker,
		  struct rnd_state *rnd);
/* Starts zeros or a discard. */
void writer_submit_zero(struct writer *w, u32 slot, u64 guest_offset, u32 len,
			enum qcow_op op);
/*
 * Draws a piece of up to 24 sectors of the part of the disk that a slot of @nr has. Return:
 * true; false: the disk is too small, and nothing was drawn.
 */
bool writer_draw_piece(struct writer *w, struct rnd_state *rnd, u32 slot, u32 nr, u32 *first,
		       u32 *sectors);
/* Starts a write there, or zeros it or discards it. */
void writer_submit_piece(struct writer *w, struct rnd_state *rnd, u32 slot, u32 first,
			 u32 sectors);
/*
 * Waits for a slot, and changes the expected content of the disk if the operation ended
 * well. Return: 0, a negative errno, or READER_*.
 */
int writer_wait(struct writer *w, u32 slot);
/* Start a write and wait for it, on a disk whose content is not expected. */
void writer_start(struct writer *w, u32 slot, u64 guest_offset, u32 len, bool worker,
		  struct rnd_state *rnd);
int writer_end(struct writer *w, u32 slot);
int writer_write(struct writer *w, u64 guest_offset, u32 len);
int writer_flush(struct writer *w);
/* Makes the operation of a slot durable that ended well, as FUA does. */
int writer_flush_range(struct writer *w, u32 slot);
/* Reads the expected content; for writes that did not overlap while they were under way. */
int writer_read_back(struct writer *w);

/* --- Snapshots, while no other operation is under way; @base.msg has the message --- */

struct qcow_pause;

/* Freezes nothing. */
extern struct qcow_pause writer_no_pause;

int writer_snapshot_create(struct writer *w, const char *name);
int writer_snapshot_delete(struct writer *w, const char *name);
int writer_snapshot_apply(struct writer *w, const char *name);

#endif /* _QCOW_WRITER_H */
