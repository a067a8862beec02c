// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest threads: threads read several devices at once, direct and buffered,
 * and compare with the references.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcowtest.h"

#define THREADS		4
#define MAX_DEVICES	8
#define LONGEST		(256 << 10)

static struct {
	const char *path;
	const unsigned char *ref;
	size_t size;
} devices[MAX_DEVICES];
static size_t nr_devices;
static int rounds;

static bool read_one(struct rng *r, int fd, size_t which, bool direct,
		     unsigned char *buf)
{
	uint64_t unit = direct ? SECTOR : 1;
	uint64_t len = (1 + rng_below(r, rng_below(r, 2) ? 8192 : LONGEST) / unit) * unit;
	uint64_t off;
	ssize_t n;

	if (len > LONGEST)
		len = LONGEST;
	off = rng_below(r, devices[which].size - len) / unit * unit;
	n = pread(fd, buf, len, off);
	if (n == (ssize_t)len && !memcmp(buf, devices[which].ref + off, len))
		return true;
	printf("%s: %s read of %llu at %#llx: %s\n", devices[which].path,
	       direct ? "direct" : "buffered", (unsigned long long)len,
	       (unsigned long long)off,
	       n < 0 ? strerror(errno) : n < (ssize_t)len ? "short" : "wrong");
	return false;
}

static void *thread(void *arg)
{
	int fds[MAX_DEVICES][2], i;
	unsigned char *buf = alloc_aligned(LONGEST);
	char name[32];
	struct rng r;
	size_t d;

	snprintf(name, sizeof(name), "thread %ld", (long)arg);
	rng_seed(&r, name);
	for (d = 0; d < nr_devices; d++)
		for (i = 0; i < 2; i++) {
			fds[d][i] = open(devices[d].path, O_RDONLY | (i ? O_DIRECT : 0));
			if (fds[d][i] < 0)
				die("%s: %s", devices[d].path, strerror(errno));
		}
	for (i = 0; i < rounds; i++) {
		bool direct = rng_below(&r, 2);

		d = rng_below(&r, nr_devices);
		if (!read_one(&r, fds[d][direct], d, direct, buf))
			return (void *)1;
	}
	return NULL;
}

int threads_main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	void *result, *failed = NULL;
	long i;

	if (argc < 4 || argc % 2)
		return 2;
	rounds = atoi(argv[1]);
	for (i = 2; i < argc && nr_devices < MAX_DEVICES; i += 2, nr_devices++) {
		devices[nr_devices].path = argv[i];
		devices[nr_devices].ref = load_file(argv[i + 1],
						    &devices[nr_devices].size);
	}
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)i);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		if (result)
			failed = result;
	}
	return !!failed;
}
