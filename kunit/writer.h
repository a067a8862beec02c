/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_WRITER_H
#define _QCOW_WRITER_H

#include "checker.h"
#include "file/crypt.h"
#include "memlog.h"
#include "reader.h"

#define WRITER_OPS	1024

/* Stamp of what has not ended. */
#define WRITER_NEVER	U32_MAX

/**
 * struct writer_op - a write or flush of the disk
 * @op: of it: a write, zeros, or a discard
 * @pos: bytes into the disk
 * @len: bytes, 0: a flush
 * @begun: stamp of its begin
 * @end: stamp of its end
 * @ok: it ended well
 */
struct writer_op {
	enum qcow_op op;
	u64 pos;
	u32 len;
	u32 begun;
	u32 end;
	bool ok;
};

/**
 * struct writer - writes of an opened chain, and what may be read after them
 * @base: the chain, and memory for I/O
 * @img: opened
 * @log: of the image file, or NULL
 * @disk: what is left of it when the power is cut
 * @clock: for stamps, if there is no @log
 * @op: what was done; the content of a write is made of its number
 * @nr_ops: of @op
 * @slot_op: the operation of each slot
 * @content: what each slot writes
 * @before: the disk at the start
 * @floor: for each sector, when the last write began that must not be lost
 * @k: the checker
 * @leaks: of the image at the start
 * @ahead: space is taken ahead, as on a filesystem that writes in place
 * @key: of an encrypted image
 * @crypt: what decrypts it for the checker, or NULL
 * @plain: a sector of it
 * @under: what the backing file has in a sector of the disk; NULL: what it began with
 */
struct writer {
	struct reader_fixture base;
	struct qcow_image *img;
	struct memlog *log;
	struct memlog_disk disk;
	u32 clock;
	struct writer_op op[WRITER_OPS];
	u32 nr_ops;
	u32 slot_op[READER_PARALLEL];
	u8 *content[READER_PARALLEL];
	u8 *before;
	u32 *floor;
	struct checker k;
	u32 leaks;
	bool ahead;
	struct qcow_crypt_key key;
	struct qcow_crypt *crypt;
	u8 plain[512];
	const u8 *(*under)(struct writer *w, u64 pos);
};

int writer_fixture_init(struct kunit *test, size_t size);
int writer_test_init(struct kunit *test);
void writer_test_exit(struct kunit *test);

/* An image to be written, maybe with backing files. */
void writer_random_spec(struct rnd_state *rnd, struct builder_spec *spec);
void writer_random_mode(struct rnd_state *rnd, struct memfile_mode *mode);
int writer_build(struct writer *w, const struct builder_spec *specs, u32 nr,
		 struct rnd_state *rnd);
void writer_encrypted_spec(struct rnd_state *rnd, struct builder_spec *spec);
int writer_encrypt(struct writer *w);
int writer_log(struct writer *w, u32 entries, u64 bytes);
void writer_free(struct writer *w);
void writer_restart(struct writer *w);
int writer_open(struct writer *w);
void writer_close(struct writer *w);

static inline struct builder_image *writer_top(struct writer *w)
{
	return &w->base.c->img[0];
}

u32 writer_submit(struct writer *w, u32 slot, u64 pos, u32 len, bool worker,
		  struct rnd_state *rnd);
/* Zeros or a discard. */
void writer_submit_zero(struct writer *w, u32 slot, u64 pos, u32 len,
			enum qcow_op op);
int writer_wait(struct writer *w, u32 slot);
/* The same, of a disk of which nothing is expected. */
void writer_start(struct writer *w, u32 slot, u64 pos, u32 len, bool worker,
		  struct rnd_state *rnd);
int writer_end(struct writer *w, u32 slot);
int writer_write(struct writer *w, u64 pos, u32 len);
int writer_flush(struct writer *w);
int writer_read_back(struct writer *w);

/*
 * The power was cut at @when: what began later never happened, and what was not
 * flushed may be lost.
 */
void writer_cut(struct writer *w, u32 when);

/* Of a closed image, or of a disk after a cut at @when. Return: NULL if well. */
const char *writer_check(struct writer *w, const void *data, u64 size, u32 when);
const char *writer_check_cuts(struct writer *w, struct rnd_state *rnd);
const char *writer_check_closed(struct writer *w);
bool writer_same_disk(struct writer *w, u64 l1_at, const u8 *expect,
		      const unsigned long *unsure);
const char *writer_check_foreign(struct writer *w);

#endif /* _QCOW_WRITER_H */
