// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of a device, which the driver shows in sysfs.
 */
#include "cmd/stat_counters.h"
#include "lib/sysfs.h"

const struct counter stat_counters[] = {
	{ .name = "reads", .heading = "READS" },
	{ .name = "read_bytes", .heading = "READ", .bytes = true },
	{ .name = "writes", .heading = "WRITES" },
	{ .name = "written_bytes", .heading = "WRITTEN", .bytes = true },
	{ .name = "zeroes" },
	{ .name = "zeroed_bytes", .bytes = true },
	{ .name = "unmaps" },
	{ .name = "unmapped_bytes", .bytes = true },
	{ .name = "discards", .heading = "DISCARDS" },
	{ .name = "discarded_bytes", .bytes = true },
	{ .name = "flushes", .heading = "FLUSHES" },
	{ .name = "flush_ns" },
	{ .name = "fast", .heading = "FAST" },
	{ .name = "slow", .heading = "SLOW" },
	{ .name = "cache_hits", .heading = "HITS" },
	{ .name = "cache_misses", .heading = "MISSES" },
	{ .name = "allocated", .heading = "ALLOC" },
	{ .name = "cow", .heading = "COW" },
	{ .name = "cow_bytes", .bytes = true },
	{ .name = "decompressed", .heading = "UNPACKED" },
	{ .name = "errors", .heading = "ERRORS" },
	{ .name = "memory", .heading = "MEMORY", .bytes = true, .level = true },
	{ }
};

/**
 * stat_read() - read the counters of a device
 * @c: the result
 * @index: the N of /dev/qcowN
 *
 * Return: 0, or -1: it has none.
 */
int stat_read(struct counters *c, int index)
{
	size_t i, found = 0;

	*c = (struct counters) { .index = index };
	for (i = 0; stat_counters[i].name; i++) {
		c->known[i] = sysfs_read_u64(&c->value[i], "/sys/block/qcow%d/qcow_stat/%s",
					     index, stat_counters[i].name);
		found += c->known[i];
	}
	return found ? 0 : -1;
}

/* Whether a counter went back: the device has gone, and another has its number. */
static bool is_another(const struct counters *c, const struct counters *before)
{
	size_t i;

	for (i = 0; stat_counters[i].name; i++)
		if (!stat_counters[i].level && c->value[i] < before->value[i])
			return true;
	return false;
}

/**
 * stat_subtract() - leave what was counted since an earlier time
 * @c: the counters, of which those of the earlier time are taken off
 * @before: those, of the same device
 */
void stat_subtract(struct counters *c, const struct counters *before)
{
	size_t i;

	if (is_another(c, before))
		return;
	for (i = 0; stat_counters[i].name; i++)
		if (!stat_counters[i].level)
			c->value[i] -= before->value[i];
}
