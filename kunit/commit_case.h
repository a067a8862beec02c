/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A commit into the backing file, for tests: an image over another one, whose commit
 * begins, goes on, and ends. The suites of commits use it.
 */
#ifndef _QCOW_COMMIT_CASE_H
#define _QCOW_COMMIT_CASE_H

#include "jobs/commit.h"
#include "meta/pause.h"
#include "writer.h"

#define SECTOR		512
#define LOG_ENTRIES	4096
#define LOG_BYTES	(8U << 20)

/**
 * struct commit_case - an image over another one
 * @w: the upper one; first
 * @rnd: where it all comes from
 * @log: of the lower one
 * @disk: the part of @log that a power cut leaves
 * @k: its checker, unless it is raw
 * @data: it, as it is looked at
 * @size: bytes of @data
 * @sector: of it
 * @commit: under way, or NULL
 * @started: the lower image may be written
 * @retries: that were needed
 * @pause: holds up the I/O of the upper one
 * @look: the disk is read whenever its I/O goes on
 * @stopped: operations on the lower one when it was held up, or U32_MAX
 * @waited: operations on the lower one while it was
 * @looks: how often the disk was read
 * @wrong: it did not read as it should
 */
struct commit_case {
	struct writer w;
	struct rnd_state rnd;
	struct memlog *log;
	struct memlog_disk disk;
	struct checker k;
	const u8 *data;
	u64 size;
	u8 sector[SECTOR];
	struct qcow_commit *commit;
	bool started;
	u32 retries;
	struct qcow_pause pause;
	bool look;
	u32 stopped;
	u32 waited;
	u32 looks;
	bool wrong;
};

struct builder_image *commit_below(struct commit_case *c);
const char *commit_check_closed(struct commit_case *c);
const char *commit_check_cut(struct commit_case *c, u32 when, u32 kind);
void commit_start_cuts(struct commit_case *c);
void commit_build_specs(struct kunit *test, struct commit_case *c,
			const struct builder_spec *specs, u32 nr);
void commit_build(struct kunit *test, struct commit_case *c);
void commit_tear_down(struct commit_case *c);
int commit_swap_below(struct commit_case *c, bool writable);
int commit_start(struct commit_case *c);
int commit_begin_by(struct commit_case *c, u32 bits);
int commit_begin(struct commit_case *c);
int commit_end(struct commit_case *c);
void commit_submit(struct commit_case *c, u32 slot);
int commit_all(struct commit_case *c, bool writes);
int commit_test_init(struct kunit *test);
void commit_test_exit(struct kunit *test);

#endif /* _QCOW_COMMIT_CASE_H */
