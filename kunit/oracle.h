/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The oracle knows what content each sector of a written disk may have. It owns the
 * journal of a disk's operations (writes, zeros, discards and flushes), with stamps of
 * their begins and ends, the log of the image file, and the checker that reads an image.
 *
 * The writer fills the journal. Suites ask about an image file, or about the image that a
 * power cut leaves: oracle_check() and its like walk the tables by checker.c, which shares
 * no code with the driver. The oracle changes no image; of the driver it uses the
 * decryption, and for discards qcow_image_reads_zero().
 *
 * An image is wrong if a sector has content that
 *  - no operation wrote there, and the disk did not begin with;
 *  - is of an operation that began after the power was cut;
 *  - was replaced by an operation that ended before a flush began that ended well, or that
 *    was made durable by itself.
 */
#ifndef _QCOW_ORACLE_H
#define _QCOW_ORACLE_H

#include "builder.h"
#include "checker.h"
#include "file/crypt.h"
#include "memlog.h"

#define ORACLE_OPS	1024

/* Stamp of an operation that has not ended, and of the present. */
#define ORACLE_NEVER	U32_MAX

/**
 * struct oracle_op - an operation on the disk
 * @op: a write, zeros, or a discard
 * @guest_offset: its begin
 * @len: bytes; 0: a flush
 * @begun: stamp of its begin
 * @end: stamp of its end
 * @durable: stamp since when it is known to be durable by itself
 * @ok: it ended well
 */
struct oracle_op {
	enum qcow_op op;
	u64 guest_offset;
	u32 len;
	u32 begun;
	u32 end;
	u32 durable;
	bool ok;
};

/**
 * struct oracle - the journal of a disk's operations, and the content it allows
 * @c: the images, set by the writer; the first is written, and its @expect has the
 *	content that is expected if operations on the same sectors did not overlap
 * @log: of the writes to the image file, or NULL
 * @disk: the part of @log that a power cut leaves
 * @clock: for stamps, if there is no @log
 * @op: the operations; the number of a write decides on its content
 * @nr_ops: of @op
 * @before: the disk at the start
 * @floor: for each sector, the begin of the last operation that must not be lost
 * @k: the checker, with details of the last fault
 * @leaks: of the image at the start
 * @crypt: decrypts the image for the checker, or NULL
 * @plain: a decrypted sector
 * @under: returns the backing file's content of a sector; NULL: its first content
 */
struct oracle {
	struct builder_chain *c;
	struct memlog *log;
	struct memlog_disk disk;
	u32 clock;
	struct oracle_op op[ORACLE_OPS];
	u32 nr_ops;
	u8 *before;
	u32 *floor;
	struct checker k;
	u32 leaks;
	struct qcow_crypt *crypt;
	u8 plain[512];
	const u8 *(*under)(struct oracle *o, u64 guest_offset);
};

/*
 * The chain was built, and is not written yet. The checker counts clusters of that size.
 * Return: 0 or -ENOMEM.
 */
int oracle_init(struct oracle *o, u32 cluster_bits);
/* Logs the writes to the image file, up to so many operations and bytes. */
int oracle_log(struct oracle *o, u32 entries, u64 bytes);
/* Forgets all operations; the caller has put the image back. */
void oracle_restart(struct oracle *o);
void oracle_free(struct oracle *o);

/* --- The journal --- */

/* Return: the number of the operation. */
u32 oracle_begin(struct oracle *o, enum qcow_op op, u64 guest_offset, u32 len);
void oracle_end(struct oracle *o, u32 i, bool ok);
/* Operation @i has ended well, and is durable now. */
void oracle_durable(struct oracle *o, u32 i);
/* Content of a sector that no other operation and no other sector has. */
void oracle_fill(u8 *sector, u32 op, u64 guest_offset);
/* Operation @i has ended well: changes the expected content. @content is that of a write. */
void oracle_expect(struct oracle *o, u32 i, struct qcow_image *img, const u8 *content);
/*
 * The power was cut at @when: operations that began later never happened, and those that
 * were not flushed may be lost.
 */
void oracle_cut(struct oracle *o, u32 when);

/* --- Questions --- */

/*
 * Each returns NULL if the image is right, else the fault; details are in @o->k.text.
 * oracle_check(): an image file of @size bytes, after a cut at @when or ORACLE_NEVER.
 */
const char *oracle_check(struct oracle *o, const void *data, u64 size, u32 when);
/* The images that a power cut in this moment may leave. */
const char *oracle_check_cuts(struct oracle *o, struct rnd_state *rnd);
/* The image file as it is now, closed. */
const char *oracle_check_closed(struct oracle *o);
/*
 * After oracle_check(): clusters that the image was built with and that have a reference
 * more than its tables, as a snapshot's would have, still have it, and their data.
 */
const char *oracle_check_foreign(struct oracle *o);

/**
 * oracle_same_disk() - compare a disk, after oracle_check()
 * @o: of its image
 * @l1_at: host offset of the L1 table that leads to the disk
 * @expect: the content
 * @unsure: sectors that may have any content, or NULL
 *
 * Return: whether the disk has the content.
 */
bool oracle_same_disk(struct oracle *o, u64 l1_at, const u8 *expect,
		      const unsigned long *unsure);

#endif /* _QCOW_ORACLE_H */
