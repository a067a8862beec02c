/* SPDX-License-Identifier: GPL-2.0 */
/* The counters of a device, for all floors. */
#ifndef _QCOW_STATS_H
#define _QCOW_STATS_H

#include <linux/percpu.h>
#include <linux/u64_stats_sync.h>

#include "file/request.h"

/**
 * struct qcow_op_stats - counters of one operation
 * @requests: requests done
 * @bytes: their bytes
 */
struct qcow_op_stats {
	u64 requests;
	u64 bytes;
};

/**
 * struct qcow_stats - counters of a device, per CPU
 * @hits: look-ups of metadata served from memory
 * @misses: look-ups that read metadata from the file
 * @ops: requests done, by &enum qcow_op
 * @slow: requests among those that a worker did
 * @flushes: flushes that requests asked for
 * @flush_ns: nanoseconds that those took
 * @decompressed: clusters decompressed
 * @allocated: clusters allocated
 * @cow: writes that copied old data
 * @cow_bytes: bytes of that old data
 * @errors: requests that failed
 * @sync: lets a kernel of 32 bits read whole counters
 *
 * qcow_count() changes them, and qcow_stats_read() reads them.
 */
struct qcow_stats {
	u64 hits;
	u64 misses;
	struct qcow_op_stats ops[QCOW_OPS];
	u64 slow;
	u64 flushes;
	u64 flush_ns;
	u64 decompressed;
	u64 allocated;
	u64 cow;
	u64 cow_bytes;
	u64 errors;
	struct u64_stats_sync sync;
};

/**
 * qcow_count() - add to a counter of this CPU
 * @stats: the counters of the device
 * @counter: one of them
 * @n: the number
 *
 * With 64 bits this is one instruction; with 32 bits it is two, which an interrupt or a
 * reader could come between.
 *
 * Context: any.
 */
static __always_inline void qcow_count(struct qcow_stats __percpu *stats,
				       u64 __percpu *counter, u64 n)
{
	struct u64_stats_sync *sync;
	unsigned long flags;

	if (BITS_PER_LONG == 64) {
		this_cpu_add(*counter, n);
		return;
	}
	preempt_disable();
	sync = this_cpu_ptr(&stats->sync);
	flags = u64_stats_update_begin_irqsave(sync);
	*this_cpu_ptr(counter) += n;
	u64_stats_update_end_irqrestore(sync, flags);
	preempt_enable();
}

/**
 * qcow_stats_read() - read a counter of one CPU
 * @stats: that CPU's counters
 * @field: place of the counter in &struct qcow_stats
 *
 * Context: any task.
 *
 * Return: the counter.
 */
static inline u64 qcow_stats_read(const struct qcow_stats *stats, size_t field)
{
	const u64 *counter = (const void *)stats + field;
	unsigned int start;
	u64 n;

	do {
		start = u64_stats_fetch_begin(&stats->sync);
		n = READ_ONCE(*counter);
	} while (u64_stats_fetch_retry(&stats->sync, start));
	return n;
}

/**
 * qcow_stats_alloc() - make the counters of a device, all 0
 *
 * Context: may sleep.
 *
 * Return: the counters, for free_percpu(); or NULL.
 */
static inline struct qcow_stats __percpu *qcow_stats_alloc(void)
{
	struct qcow_stats __percpu *stats = alloc_percpu(struct qcow_stats);
	int cpu;

	if (!stats)
		return NULL;
	for_each_possible_cpu(cpu)
		u64_stats_init(&per_cpu_ptr(stats, cpu)->sync);
	return stats;
}

#endif /* _QCOW_STATS_H */
