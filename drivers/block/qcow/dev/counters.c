// SPDX-License-Identifier: GPL-2.0
/*
 * The counters in /sys/block/qcowN/qcow_stat/, one value a file. Documentation/ABI
 * describes them. They begin at 0 at attach.
 */
#include <linux/blkdev.h>
#include <linux/sysfs.h>

#include "dev/counters.h"
#include "dev/device_status.h"

/**
 * struct counter - a counter
 * @attr: its file
 * @field: its place in &struct qcow_stats, if @attr shows it with counter_show()
 */
struct counter {
	struct device_attribute attr;
	size_t field;
};

static ssize_t counter_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	const struct counter *c = container_of(attr, struct counter, attr);

	return sysfs_emit(buf, "%llu\n", qcow_device_count(to_qcow(dev), c->field));
}

static ssize_t fast_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", qcow_device_fast(to_qcow(dev)));
}

static ssize_t memory_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", qcow_device_memory(to_qcow(dev)));
}

/* The counter @_name shows @_member of struct qcow_stats. */
#define QCOW_COUNTER(_name, _member)					\
static struct counter counter_##_name = {				\
	.attr = __ATTR(_name, 0444, counter_show, NULL),		\
	.field = offsetof(struct qcow_stats, _member),			\
}

/* The counter @_name is worked out by @_name_show(). */
#define QCOW_COUNTER_FN(_name)						\
static struct counter counter_##_name = {				\
	.attr = __ATTR(_name, 0444, _name##_show, NULL),		\
}

QCOW_COUNTER(reads, ops[QCOW_OP_READ].requests);
QCOW_COUNTER(read_bytes, ops[QCOW_OP_READ].bytes);
QCOW_COUNTER(writes, ops[QCOW_OP_WRITE].requests);
QCOW_COUNTER(written_bytes, ops[QCOW_OP_WRITE].bytes);
QCOW_COUNTER(zeroes, ops[QCOW_OP_ZERO].requests);
QCOW_COUNTER(zeroed_bytes, ops[QCOW_OP_ZERO].bytes);
QCOW_COUNTER(unmaps, ops[QCOW_OP_UNMAP].requests);
QCOW_COUNTER(unmapped_bytes, ops[QCOW_OP_UNMAP].bytes);
QCOW_COUNTER(discards, ops[QCOW_OP_DISCARD].requests);
QCOW_COUNTER(discarded_bytes, ops[QCOW_OP_DISCARD].bytes);
QCOW_COUNTER(flushes, flushes);
QCOW_COUNTER(flush_ns, flush_ns);
QCOW_COUNTER_FN(fast);
QCOW_COUNTER(slow, slow);
QCOW_COUNTER(cache_hits, hits);
QCOW_COUNTER(cache_misses, misses);
QCOW_COUNTER(allocated, allocated);
QCOW_COUNTER(cow, cow);
QCOW_COUNTER(cow_bytes, cow_bytes);
QCOW_COUNTER(decompressed, decompressed);
QCOW_COUNTER(errors, errors);
QCOW_COUNTER_FN(memory);

static struct attribute *qcow_counters[] = {
	&counter_reads.attr.attr,
	&counter_read_bytes.attr.attr,
	&counter_writes.attr.attr,
	&counter_written_bytes.attr.attr,
	&counter_zeroes.attr.attr,
	&counter_zeroed_bytes.attr.attr,
	&counter_unmaps.attr.attr,
	&counter_unmapped_bytes.attr.attr,
	&counter_discards.attr.attr,
	&counter_discarded_bytes.attr.attr,
	&counter_flushes.attr.attr,
	&counter_flush_ns.attr.attr,
	&counter_fast.attr.attr,
	&counter_slow.attr.attr,
	&counter_cache_hits.attr.attr,
	&counter_cache_misses.attr.attr,
	&counter_allocated.attr.attr,
	&counter_cow.attr.attr,
	&counter_cow_bytes.attr.attr,
	&counter_decompressed.attr.attr,
	&counter_errors.attr.attr,
	&counter_memory.attr.attr,
	NULL,
};

const struct attribute_group qcow_counters_group = {
	.name = "qcow_stat",
	.attrs = qcow_counters,
};
