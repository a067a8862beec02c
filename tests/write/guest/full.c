// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite full DEVICE SEED ERRNO BLOCK BREAK MEND STATE: writes every block of
 * a device once, in any order. The command BREAK is run after so many blocks;
 * from then on writes and flushes may fail, with that error and no other, and some
 * have to. After the command MEND the failed blocks are written again, and all blocks
 * have to be there. Only after EIO flushes may go on failing; STATE tells then which
 * blocks were durable before.
 *
 * qcowwrite left DEVICE SEED STATE: whether these blocks are there.
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

enum state {
	NOTHING,	/* was ever written */
	WRITTEN,	/* or it failed: may be there, all of it or some */
	DURABLE,	/* has to be there */
};

struct full {
	int fd;
	uint32_t seed;
	int error;
	uint32_t blocks;
	uint32_t *order;
	bool *failed;
	unsigned char *state;
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
	f->state[block] = WRITTEN;
	n = pwrite(f->fd, f->buf, BLOCK, (uint64_t)block * BLOCK);
	f->failed[block] = n != BLOCK;
	if (n < 0)
		expect(f, "write");
}

/* Return: 0 or -1 with errno set. */
static int flush(struct full *f)
{
	uint32_t i;

	if (fsync(f->fd))
		return -1;
	for (i = 0; i < f->blocks; i++)
		if (f->state[i] == WRITTEN && !f->failed[i])
			f->state[i] = DURABLE;
	return 0;
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
		if (i % FLUSH_EVERY == 0 && flush(f))
			expect(f, "fsync");
	}
	if (flush(f))
		expect(f, "fsync");
}

static void save_state(struct full *f, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(f->state, 1, f->blocks, file) != f->blocks || fclose(file))
		die("%s: %s", path, strerror(errno));
}

/* Return: whether all is durable now. */
static bool write_again(struct full *f)
{
	uint32_t i;

	for (i = 0; i < f->blocks; i++) {
		if (!f->failed[i])
			continue;
		write_block(f, i);
		if (f->failed[i])
			die("block %u is not written again: %s", i, strerror(errno));
	}
	if (!flush(f))
		return true;
	if (f->error != EIO || errno != EIO)
		die("fsync: %s", strerror(errno));
	return false;
}

static void read_all(struct full *f)
{
	uint32_t i;

	for (i = 0; i < f->blocks; i++) {
		fill(f, i);
		if (pread(f->fd, f->got, BLOCK, (uint64_t)i * BLOCK) != BLOCK)
			die("read of block %u: %s", i, strerror(errno));
		if (memcmp(f->buf, f->got, BLOCK))
			die("block %u has other data than was written", i);
	}
}

static void begin(struct full *f, const char *dev, const char *seed)
{
	f->fd = open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (f->fd < 0)
		die("%s: %s", dev, strerror(errno));
	f->seed = atoi(seed);
	f->blocks = lseek(f->fd, 0, SEEK_END) / BLOCK;
	f->order = calloc(f->blocks, sizeof(*f->order));
	f->failed = calloc(f->blocks, sizeof(*f->failed));
	f->state = calloc(f->blocks, 1);
	f->buf = alloc_aligned(BLOCK);
	f->got = alloc_aligned(BLOCK);
}

int full_main(int argc, char **argv)
{
	struct full f = { };

	if (argc != 8)
		die("usage: full DEVICE SEED ERRNO BLOCK BREAK MEND STATE");
	begin(&f, argv[1], argv[2]);
	f.error = strcmp(argv[3], "ENOSPC") ? EIO : ENOSPC;
	shuffle(&f);
	write_all(&f, atoi(argv[4]), argv[5]);
	run(argv[6]);
	if (!f.failures)
		die("nothing failed");
	if (write_again(&f)) {
		read_all(&f);
		printf("%u failures in %u blocks\n", f.failures, f.blocks);
	} else {
		printf("%u failures in %u blocks, and it gave up\n", f.failures, f.blocks);
	}
	save_state(&f, argv[7]);
	return 0;
}

int left_main(int argc, char **argv)
{
	static const unsigned char zeros[SECTOR];
	struct full f = { };
	size_t size;
	uint32_t i, at;

	if (argc != 4)
		die("usage: left DEVICE SEED STATE");
	begin(&f, argv[1], argv[2]);
	f.state = load_file(argv[3], &size);
	for (i = 0; i < f.blocks; i++) {
		fill(&f, i);
		if (pread(f.fd, f.got, BLOCK, (uint64_t)i * BLOCK) != BLOCK)
			die("read of block %u: %s", i, strerror(errno));
		for (at = 0; at < BLOCK; at += SECTOR) {
			bool is = !memcmp(f.got + at, f.buf + at, SECTOR);
			bool none = !memcmp(f.got + at, zeros, SECTOR);

			if ((f.state[i] == DURABLE && !is) ||
			    (f.state[i] == NOTHING && !none) || (!is && !none))
				die("block %u, state %u, is wrong at %u", i, f.state[i], at);
		}
	}
	return 0;
}
