// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest mutate: damages images at random, attaches each, reads all of it and
 * detaches. Whatever the driver says is right, but it has to say it soon.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qcowtest.h"

#define WORKERS		4
#define LIMIT_MS	5000
#define READ_ALL	(8 * MIB)
#define WINDOWS		6

struct base {
	unsigned char *data;
	size_t size;
};

static uint64_t get64(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void put64(unsigned char *p, uint64_t v)
{
	int i;

	for (i = 7; i >= 0; i--, v >>= 8)
		p[i] = v;
}

/* An entry of a table at @at, or anywhere if that is nowhere. */
static size_t pick_entry(struct rng *r, const unsigned char *p, size_t size,
			 uint64_t at, size_t entries)
{
	at &= 0x00fffffffffffe00ull;
	at += 8 * rng_below(r, entries);
	(void)p;
	return at + 8 <= size ? at : rng_below(r, size - 8) & ~7ull;
}

/* Header, extensions, L1 table, an L2 table, refcounts, anything. */
static size_t pick_place(struct rng *r, const unsigned char *p, size_t size)
{
	size_t l1, l2;

	switch (rng_below(r, 10)) {
	case 0: case 1:
		return rng_below(r, 112);
	case 2:
		return 104 + rng_below(r, 400);
	case 3: case 4:
		return pick_entry(r, p, size, get64(p + 40), 4);
	case 5: case 6: case 7: case 8:
		l1 = pick_entry(r, p, size, get64(p + 40), 2);
		l2 = pick_entry(r, p, size, get64(p + l1), 64);
		return l2;
	}
	return rng_below(r, size - 8);
}

static uint64_t odd_value(struct rng *r, uint64_t old, size_t size)
{
	switch (rng_below(r, 9)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << rng_below(r, 64);
	case 3:
		return old ^ 1ull << rng_below(r, 64);
	case 4:
		return old + 512 * rng_below(r, 4);
	case 5:
		return size & ~511ull;
	case 6:
		return old | 1ull << 62;
	case 7:
		return old << rng_below(r, 32);
	}
	return rng_next(r);
}

static void mutate(struct rng *r, unsigned char *p, size_t size)
{
	int n = 1 + rng_below(r, 5);

	while (n--) {
		size_t place = pick_place(r, p, size);

		if (place + 8 > size)
			continue;
		if (rng_below(r, 3))
			put64(p + place, odd_value(r, get64(p + place), size));
		else
			p[place] = rng_next(r);
	}
}

static int attach_image(int fd, int data_fd, int backing_fd)
{
	struct qcow_ioc_image images[2] = {
		{ .fd = fd, .data_fd = data_fd, .format = QCOW_FORMAT_QCOW2 },
		{ .fd = backing_fd, .data_fd = -1, .format = QCOW_FORMAT_RAW },
	};
	struct qcow_ioc_attach arg = {
		.size = sizeof(arg),
		.flags = QCOW_ATTACH_RO | QCOW_ATTACH_NO_PARTSCAN,
		.index = -1,
		.nr_images = backing_fd < 0 ? 1 : 2,
		.images = (uintptr_t)images,
		.image_size = sizeof(images[0]),
		.cache_size = QCOW_CACHE_SIZE_MIN,
	};

	return ioctl(control_fd(), QCOW_IOC_ATTACH, &arg) ? -errno : arg.index;
}

static bool read_at(int fd, unsigned char *buf, uint64_t off)
{
	ssize_t n = pread(fd, buf, 256 << 10, off);

	if (n >= 0 || errno == EIO)
		return true;
	printf("read at %#llx: %s\n", (unsigned long long)off, strerror(errno));
	return false;
}

static bool read_some(struct rng *r, int index, unsigned char *buf)
{
	int fd = open_device(index, O_RDONLY | O_DIRECT);
	uint64_t size, off;
	bool ok = true;
	int i;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	if (size <= READ_ALL) {
		for (off = 0; ok && off < size; off += 256 << 10)
			ok = read_at(fd, buf, off);
	} else {
		for (i = 0; ok && i < WINDOWS; i++)
			ok = read_at(fd, buf, (i < 2 ? rng_below(r, 64 * MIB) :
				     rng_below(r, size)) & ~511ull);
	}
	close(fd);
	return ok;
}

static bool one(struct rng *r, const struct base *b, unsigned char *buf, int zeros)
{
	int fd = memfd_create("mutant", MFD_CLOEXEC), index, err;
	unsigned char *copy = malloc(b->size);
	bool ok = true;

	memcpy(copy, b->data, b->size);
	mutate(r, copy, b->size);
	if (write(fd, copy, b->size - (rng_below(r, 8) ? 0 : rng_below(r, b->size))) < 0)
		die("memfd: %s", strerror(errno));
	free(copy);
	index = attach_image(fd, -1, -1);
	if (index == -ENOENT)
		index = attach_image(fd, -1, zeros);
	if (index == -ENOENT)
		index = attach_image(fd, zeros, -1);
	close(fd);
	if (index < 0)
		return true;
	ok = read_some(r, index, buf);
	err = detach_index(index, 0);
	if (!err)
		return ok;
	printf("detach: %s\n", strerror(-err));
	return false;
}

static int worker(const char *seed, int number, int count, const struct base *bases,
		  size_t nr)
{
	unsigned char *buf = alloc_aligned(256 << 10);
	int zeros = memfd_create("zeros", MFD_CLOEXEC);
	uint64_t start, ms;
	char name[64];
	struct rng r;
	int i, bad = 0;

	if (ftruncate(zeros, 1 << 20))
		die("memfd");
	for (i = number; i < count; i += WORKERS) {
		snprintf(name, sizeof(name), "%s-%d", seed, i);
		rng_seed(&r, name);
		start = now_ms();
		if (!one(&r, &bases[rng_below(&r, nr)], buf, zeros)) {
			printf("image %d is treated badly\n", i);
			bad++;
		}
		ms = now_ms() - start;
		if (ms > LIMIT_MS) {
			printf("image %d took %llu ms\n", i, (unsigned long long)ms);
			bad++;
		}
	}
	return !!bad;
}

int mutate_main(int argc, char **argv)
{
	struct base bases[32];
	size_t nr = 0;
	int i, status, failed = 0;

	if (argc < 4 || argc > 3 + (int)ARRAY_SIZE(bases))
		return 2;
	for (i = 3; i < argc; i++, nr++)
		bases[nr].data = load_file(argv[i], &bases[nr].size);
	for (i = 0; i < WORKERS; i++)
		if (!fork())
			exit(worker(argv[1], i, atoi(argv[2]), bases, nr));
	while (wait(&status) > 0)
		failed |= status;
	return !!failed;
}
