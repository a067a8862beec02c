// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite race DEVICE SEED THREADS BYTES: threads on all CPUs write the first
 * BYTES of a device at the same time, each every so many sectors, so that they
 * are always in the same clusters; some flush. All of it has to be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "write.h"

#define MAX_THREADS	8
#define AT_ONCE		64

struct racer {
	const char *dev;
	uint32_t seed;
	uint32_t sectors;
	unsigned int nr;
	unsigned int of;
	pthread_barrier_t *barrier;
};

static int open_dev(const char *dev)
{
	int fd = open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", dev, strerror(errno));
	return fd;
}

static void *run(void *arg)
{
	struct racer *r = arg;
	unsigned char *buf = alloc_aligned(SECTOR);
	int fd = open_dev(r->dev);
	cpu_set_t cpus;
	uint32_t s;

	CPU_ZERO(&cpus);
	CPU_SET(r->nr % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (s = r->nr; s < r->sectors; s += r->of) {
		/* None runs ahead. */
		if (s / r->of % AT_ONCE == 0)
			pthread_barrier_wait(r->barrier);
		block_make(buf, r->seed, s, GEN_FIRST + r->nr);
		if (pwrite(fd, buf, SECTOR, (uint64_t)s * SECTOR) != SECTOR)
			die("write: %s", strerror(errno));
		if (s / r->of % 256 == r->nr && fsync(fd))
			die("fsync: %s", strerror(errno));
	}
	close(fd);
	free(buf);
	return NULL;
}

static void check(const struct racer *r)
{
	unsigned char *buf = alloc_aligned(MIB);
	int fd = open_dev(r->dev);
	uint32_t s, sector, gen;

	for (s = 0; s < r->sectors; s++) {
		unsigned char *p = buf + s % (MIB / SECTOR) * SECTOR;

		if (p == buf && pread(fd, buf, MIB, (uint64_t)s * SECTOR) <= 0)
			die("read: %s", strerror(errno));
		if (!block_parse(p, r->seed, &sector, &gen) || sector != s ||
		    gen != GEN_FIRST + s % r->of)
			die("sector %u has other data than was written", s);
	}
	close(fd);
	free(buf);
}

int race_main(int argc, char **argv)
{
	pthread_t thread[MAX_THREADS];
	struct racer racer[MAX_THREADS];
	pthread_barrier_t barrier;
	unsigned int i, of;
	uint32_t sectors;

	if (argc != 5)
		die("usage: race DEVICE SEED THREADS BYTES");
	of = atoi(argv[3]);
	if (!of || of > MAX_THREADS)
		die("1 to %d threads", MAX_THREADS);
	sectors = strtoull(argv[4], NULL, 0) / SECTOR / of / AT_ONCE * of * AT_ONCE;
	pthread_barrier_init(&barrier, NULL, of);
	for (i = 0; i < of; i++) {
		racer[i] = (struct racer){ argv[1], atoi(argv[2]), sectors, i, of, &barrier };
		if (pthread_create(&thread[i], NULL, run, &racer[i]))
			die("pthread_create");
	}
	for (i = 0; i < of; i++)
		pthread_join(thread[i], NULL);
	check(&racer[0]);
	printf("%u sectors by %u threads\n", sectors, of);
	return 0;
}
