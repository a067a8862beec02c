/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parameters, random numbers and workqueues of all suites.
 */
#ifndef _QCOW_QTEST_H
#define _QCOW_QTEST_H

#include <linux/hash.h>
#include <linux/prandom.h>
#include <linux/workqueue.h>

#include <kunit/test.h>

/* Module parameters. */
extern unsigned int qtest_images;
extern unsigned long qtest_seed;

/*
 * The driver's workqueues, made as its devices make theirs: for work that may sleep, for
 * decompression, for flushes, and for writes.
 */
extern struct workqueue_struct *qtest_wq;
extern struct workqueue_struct *qtest_comp_wq;
extern struct workqueue_struct *qtest_flush_wq;
extern struct workqueue_struct *qtest_write_wq;

int qtest_ask_for_memory(void);

/* Random numbers that depend on the module's seed and on @salt alone. */
static inline struct rnd_state qtest_rnd(u64 salt)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, (qtest_seed + salt) * 0x9e3779b97f4a7c15ULL);
	return rnd;
}

/* 0 to @n - 1. */
static inline u32 qtest_below(struct rnd_state *rnd, u32 n)
{
	return prandom_u32_state(rnd) % n;
}

static inline u64 qtest_u64(struct rnd_state *rnd)
{
	return (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
}

/* True once in @n times. */
static inline bool qtest_one_in(struct rnd_state *rnd, u32 n)
{
	return !qtest_below(rnd, n);
}

#endif /* _QCOW_QTEST_H */
