/* SPDX-License-Identifier: GPL-2.0 */
/*
 * qcowwrite cut: see cut.c.
 */
#ifndef GUEST_CUT_H
#define GUEST_CUT_H

#include "block.h"
#include "write.h"

#define BATCH		16

/**
 * struct cut - a run
 * @image: the disk, which holds the image
 * @args: of qcowctl attach
 * @name: of the mapped disk
 * @t: the device
 * @fd: it, open
 * @seed: in every sector written
 * @gen: of the next operation
 * @marks: sent so far
 * @sectors: of the device
 * @cluster: sectors of a cluster
 * @rng: the one source of chance
 * @journal: the operations
 * @aio: writes in flight
 * @flying: for each, its record; @nr 0 for none
 * @bufs: for each, its data
 * @refused: discards are
 * @changes: how the image is changed
 * @change: the last record of that
 * @child: the process that makes it, 0: none
 * @number: of the last snapshot or bitmap
 * @nr_changes: so far
 * @alive: those that there are, a bit for each
 * @content: of each snapshot when it was made
 * @first_sectors: of the device in the beginning
 */
struct cut {
	const char *image;
	const char *args;
	const char *name;
	struct target t;
	int fd;
	uint32_t seed;
	uint32_t gen;
	uint32_t marks;
	uint32_t sectors;
	uint32_t cluster;
	struct rng rng;
	FILE *journal;
	struct aio aio;
	struct journal_record flying[BATCH];
	unsigned char *bufs[BATCH];
	bool refused;
	const char *changes;
	struct journal_record change;
	pid_t child;
	uint32_t number;
	uint32_t nr_changes;
	uint64_t alive;
	FILE *content;
	uint32_t first_sectors;
};

void cut_record(struct cut *c, uint32_t type, uint32_t gen, uint32_t sector, uint32_t nr);
void cut_mark(struct cut *c);
void cut_open(struct cut *c);
/* Waits for all that is in flight. */
void cut_drain(struct cut *c);
void cut_reattach(struct cut *c);

/* Begins a change of the image, or one and ends it. */
void cut_change(struct cut *c);
/* Sees whether a change has ended; @wait: until it has. */
void cut_poll_change(struct cut *c, bool wait);

#endif /* GUEST_CUT_H */
