/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reader opens a built chain and reads its disk through the driver's data path, to
 * memory of any shape, up to READER_PARALLEL reads at once. It owns the memory of the I/O,
 * and finds reads that return wrong data, touch other memory, hang, or end twice.
 */
#ifndef _QCOW_READER_H
#define _QCOW_READER_H

#include <linux/bvec.h>
#include <linux/completion.h>

#include "builder.h"
#include "file/request.h"
#include "meta/cow_mem.h"
#include "meta/qcow.h"
#include "qtest.h"

/* Memory of a read: pieces of contiguous pages. */
#define READER_PIECES		32
#define READER_PIECE_ORDER	2
#define READER_PIECE		(PAGE_SIZE << READER_PIECE_ORDER)
#define READER_PARALLEL		8

/* Results of a read besides an errno: faults of the driver. */
#define READER_WRONG		1 /* other bytes */
#define READER_STRAY		2 /* bytes beside those wanted were written to */
#define READER_HANG		3
#define READER_TWICE		4 /* end_io was called more than once */

/**
 * struct reader_io - a read with memory of its own
 * @io: for the driver
 * @done: it has ended
 * @dones: how often
 * @bvec: its memory
 * @piece: where that comes from
 */
struct reader_io {
	struct qcow_io io;
	struct completion done;
	atomic_t dones;
	struct bio_vec bvec[READER_PIECES];
	struct page *piece[READER_PIECES];
};

/**
 * struct reader - parameters and memory for reads of an opened chain
 * @params: to open it with
 * @ending: QCOW_ENDING_*, for all of its images
 * @ctx: resources that all I/O uses
 * @cow_mems: memory for COW, for @ctx
 * @io: reads that can be under way at once
 */
struct reader {
	struct qcow_params params;
	unsigned long ending;
	struct qcow_io_ctx ctx;
	struct qcow_cow_mems cow_mems;
	struct reader_io io[READER_PARALLEL];
};

/**
 * struct reader_fixture - a reader and a chain, made for each case
 * @r: the reader
 * @c: a chain to be built
 * @msg: why opening it failed
 */
struct reader_fixture {
	struct reader *r;
	struct builder_chain *c;
	struct qcow_msg msg;
};

int reader_fixture_init(struct kunit *test, size_t size);
int reader_test_init(struct kunit *test);
void reader_test_exit(struct kunit *test);

struct qcow_image *reader_open(struct reader *r, const struct builder_chain *c,
			       struct qcow_msg *msg);
void reader_silence(struct qcow_image *img);
void reader_prepare(struct reader *r, u32 slot, struct qcow_image *img, u64 guest_offset,
		    u32 len);
void reader_prepare_random(struct reader *r, u32 slot, struct qcow_image *img,
			   u64 guest_offset, u32 len, struct rnd_state *rnd);
void reader_submit(struct reader *r, u32 slot, bool worker);
int reader_wait(struct reader *r, u32 slot, const u8 *expect);
int reader_read(struct reader *r, struct qcow_image *img, u64 guest_offset, u32 len,
		const u8 *expect);
int reader_read_all(struct reader *r, struct qcow_image *img, const u8 *expect,
		    u32 step);

#endif /* _QCOW_READER_H */
