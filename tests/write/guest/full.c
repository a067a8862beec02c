// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite full DEVICE SEED ERRNO BLOCK BREAK MEND: writes every block of a
 * device once, in any order. The command BREAK is run after so many blocks; from
 * then on writes and flushes may fail, with that error and no other, and some
 * have to. After the command MEND what failed is written again, and all of it
 * has to be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "write.h"

#define BLOCK		32768u
#define FLUSH_EVERY	16

struct full {
	int fd;
	uint32_t seed;
	int error;
	uint32_t blocks;
	uint32_t *order;
	bool *failed;
	unsigned int failures;
	unsigned char *buf;
	unsigned char *got;
};

static void shuffle(struct full *f)
{
	struct rng rng = { f->seed };
	uint32_t i, j, t;

	for (i = 0; i < f->blocks; i++)
		f->order[i] = i;
	for (i = f->blocks; i > 1; i--) {
		j = rng_below(&rng, i);
		t = f->order[i - 1];
		f->order[i - 1] = f->order[j];
		f->order[j] = t;
	}
}

static void fill(struct full *f, uint32_t block)
{
	uint32_t i, sectors = BLOCK / SECTOR;

	for (i = 0; i < sectors; i++)
		block_make(f->buf + i * SECTOR, f->seed, block * sectors + i, GEN_FIRST);
}

static void expect(struct full *f, const char *what)
{
	if (errno != f->error)
		die("%s: %s, not %s", what, strerror(errno), strerror(f->error));
	f->failures++;
}

static void write_block(struct full *f, uint32_t block)
{
	ssize_t n;

	fill(f, block);
	n = pwrite(f->fd, f->buf, BLOCK, (uint64_t)block * BLOCK);
	f->failed[block] = n != BLOCK;
	if (n < 0)
		expect(f, "write");
}

static void run(const char *command)
{
	if (system(command))
		die("failed: %s", command);
}

static void write_all(struct full *f, uint32_t at, const char *command)
{
	uint32_t i;

	for (i = 0; i < f->blocks; i++) {
		if (i == at)
			run(command);
		write_block(f, f->order[i]);
		if (i % FLUSH_EVERY == 0 && fsync(f->fd))
			expect(f, "fsync");
	}
	if (fsync(f->fd))
		expect(f, "fsync");
}

static void write_again(struct full *f)
{
	uint32_t i;

	for (i = 0; i < f->blocks; i++) {
		if (!f->failed[i])
			continue;
		write_block(f, i);
		if (f->failed[i])
			die("block %u is not written again: %s", i, strerror(errno));
	}
	if (fsync(f->fd))
		die("fsync: %s", strerror(errno));
}

static void read_all(struct full *f)
{
	uint32_t i;

	for (i = 0; i < f->blocks; i++) {
		fill(f, i);
		if (pread(f->fd, f->got, BLOCK, (uint64_t)i * BLOCK) != BLOCK)
			die("read of block %u: %s", i, strerror(errno));
		if (memcmp(f->buf, f->got, BLOCK))
			die("block %u is not what was written", i);
	}
}

int full_main(int argc, char **argv)
{
	struct full f = { };

	if (argc != 7)
		die("usage: full DEVICE SEED ERRNO BLOCK BREAK MEND");
	f.fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f.fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	f.seed = atoi(argv[2]);
	f.error = strcmp(argv[3], "ENOSPC") ? EIO : ENOSPC;
	f.blocks = lseek(f.fd, 0, SEEK_END) / BLOCK;
	f.order = calloc(f.blocks, sizeof(*f.order));
	f.failed = calloc(f.blocks, sizeof(*f.failed));
	f.buf = alloc_aligned(BLOCK);
	f.got = alloc_aligned(BLOCK);
	shuffle(&f);
	write_all(&f, atoi(argv[4]), argv[5]);
	run(argv[6]);
	if (!f.failures)
		die("nothing failed");
	write_again(&f);
	read_all(&f);
	printf("%u failures in %u blocks\n", f.failures, f.blocks);
	return 0;
}
