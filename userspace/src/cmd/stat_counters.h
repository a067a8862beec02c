/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of a device: stat_counters.c has the table of them and reads them, stat.c
 * chooses the devices and prints them.
 */
#ifndef _QCOWCTL_STAT_COUNTERS_H
#define _QCOWCTL_STAT_COUNTERS_H

#include <stdbool.h>

#include "qcow/ondisk/pure.h"

/**
 * struct counter - a counter
 * @name: its file in /sys/block/qcowN/qcow_stat, and its key in JSON
 * @heading: of its column; NULL: JSON only
 * @bytes: it counts bytes
 * @level: it goes up and down, and is not compared with an earlier value
 */
struct counter {
	const char *name;
	const char *heading;
	bool bytes;
	bool level;
};

/* The most counters there are */
#define STAT_COUNTERS	32

/**
 * struct counters - the counters of a device at one time
 * @index: the N of /dev/qcowN
 * @known: the driver has the counter
 * @value: its value
 */
struct counters {
	int index;
	bool known[STAT_COUNTERS];
	u64 value[STAT_COUNTERS];
};

/* Ends with one without a name. */
extern const struct counter stat_counters[];

int stat_read(struct counters *c, int index);
void stat_subtract(struct counters *c, const struct counters *before);

#endif /* _QCOWCTL_STAT_COUNTERS_H */
