/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sectors that name their own number and the operation that wrote them, and the journal
 * of these operations.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_SIZE	512

/*
 * A generation is the number of the operation that wrote a sector. Data from before the
 * first operation has generations of its own.
 */
#define GEN_BACKING	1	/* in the backing file */
#define GEN_BASE	2	/* in the image before the first operation */
#define GEN_FIRST	16	/* of the operations */

void block_make(void *buf, uint32_t seed, uint32_t sector, uint32_t gen);
/* Return: whether it is a sector of this seed, whole and unharmed. */
bool block_parse(const void *buf, uint32_t seed, uint32_t *sector, uint32_t *gen);

/**
 * enum journal_type - events
 * @J_WRITE: a write of @nr sectors from @sector as @gen was submitted
 * @J_FUA: a write that is durable once done
 * @J_ZERO: the sectors were told to be zeros
 * @J_DISCARD: the sectors may be zeros from now on
 * @J_DONE: operation @gen was acknowledged
 * @J_FLUSH: a flush began
 * @J_FLUSHED: it was acknowledged
 * @J_MARK: mark number @gen went to the log of the disk; all events of the
 *	journal up to here had happened then
 * @J_CHANGE: a change of the image of kind @gen began; @sector is its number,
 *	@nr the next operation. One at a time. Until it is acknowledged, its
 *	effect on the image may or may not be there
 * @J_CHANGED: it was acknowledged
 */
enum journal_type {
	J_WRITE = 1,
	J_FUA,
	J_ZERO,
	J_DISCARD,
	J_DONE,
	J_FLUSH,
	J_FLUSHED,
	J_MARK,
	J_CHANGE,
	J_CHANGED,
};

/**
 * enum change - changes of an image, of J_CHANGE
 * @C_CREATE: the snapshot with that number is made
 * @C_DELETE: it is deleted
 * @C_APPLY: the disk gets its content
 * @C_SIZE: the disk gets another size
 * @C_ADD: the bitmap with that number is added
 * @C_REMOVE: it is removed
 * @C_STREAM: the image gets all that its backing file has
 */
enum change {
	C_CREATE = 1,
	C_DELETE,
	C_APPLY,
	C_SIZE,
	C_ADD,
	C_REMOVE,
	C_STREAM,
};

/* Numbers of snapshots and bitmaps are smaller; they are called s1, s2 or b1, b2. */
#define MAX_CHANGES	64

struct journal_record {
	uint32_t type;
	uint32_t gen;
	uint32_t sector;
	uint32_t nr;
};

#endif /* BLOCK_H */
