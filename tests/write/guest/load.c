// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite fsyncs DEVICE COUNT SEED BYTES: small writes in the first BYTES, each
 * with a flush after it.
 *
 * qcowwrite thrash MIB SECONDS: takes memory until so much of it had to be swapped
 * out, uses it, page after page at random, and looks whether each page still has its
 * content.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "write.h"

#define PAGE		4096u

/* Memory that thrash takes at most, bytes: more than there is, less than that and swap. */
#define THRASH_MOST	(384 * MIB)

int fsyncs_main(int argc, char **argv)
{
	unsigned char *buf = alloc_aligned(PAGE);
	unsigned int count, i;
	struct rng rng;
	uint64_t bytes;
	int fd;

	if (argc != 5)
		die("usage: fsyncs DEVICE COUNT SEED BYTES");
	fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	count = atoi(argv[2]);
	rng_seed(&rng, argv[3]);
	bytes = strtoull(argv[4], NULL, 0);
	for (i = 0; i < count; i++) {
		uint64_t off = rng_below(&rng, bytes / SECTOR) * SECTOR;
		uint64_t len = SECTOR << rng_below(&rng, 4);

		if (off + len > bytes)
			off = bytes - len;
		memset(buf, i | 1, len);
		if (pwrite(fd, buf, len, off) != (ssize_t)len || fsync(fd))
			die("write %u: %s", i, strerror(errno));
	}
	close(fd);
	return 0;
}

static uint64_t content(uint64_t page, uint32_t version)
{
	return (page << 20 | (version & 0xfffff)) * 0x9e3779b97f4a7c15ull;
}

static void touch(uint64_t *p, uint64_t page, uint32_t *version)
{
	uint64_t words = PAGE / 8, i, want = content(page, *version);

	p += page * words;
	/* Two words of a page tell whether it is the right one. */
	if (*version && (p[0] != want || p[words - 1] != want))
		die("page %llu is lost", (unsigned long long)page);
	want = content(page, ++*version);
	for (i = 0; i < words; i++)
		p[i] = want;
}

/* Pages that were written to swap since the system started. */
static uint64_t swapped_out(void)
{
	unsigned long long pages;
	char line[128];
	bool found = false;
	FILE *f = fopen("/proc/vmstat", "r");

	if (!f)
		die("/proc/vmstat: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "pswpout %llu", &pages) == 1;
	fclose(f);
	if (!found)
		die("/proc/vmstat: no pswpout");
	return pages;
}

/* Returns how many pages it took until so many of them were swapped out. */
static uint64_t fill_memory(uint64_t *p, uint64_t most, uint64_t out, uint32_t *version)
{
	uint64_t end = swapped_out() + out, i;

	for (i = 0; i < most; i++) {
		if (i % 64 == 0 && swapped_out() >= end)
			return i;
		touch(p, i, &version[i]);
	}
	die("there is no pressure: %llu pages are in use", (unsigned long long)most);
}

int thrash_main(int argc, char **argv)
{
	uint64_t most = THRASH_MOST / PAGE, pages, out, end, i, touched = 0;
	struct rng rng;
	uint32_t *version;
	uint64_t *p;

	if (argc != 3)
		die("usage: thrash MIB SECONDS");
	out = strtoull(argv[1], NULL, 10) * MIB / PAGE;
	rng_seed(&rng, argv[1]);
	version = calloc(most, sizeof(*version));
	p = mmap(NULL, THRASH_MOST, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!version || p == MAP_FAILED)
		die("%llu pages: %s", (unsigned long long)most, strerror(errno));
	pages = fill_memory(p, most, out, version);
	end = now_ms() + strtoull(argv[2], NULL, 10) * 1000;
	for (; now_ms() < end; touched++) {
		i = rng_below(&rng, pages);
		touch(p, i, &version[i]);
	}
	for (i = 0; i < pages; i++)
		touch(p, i, &version[i]);
	printf("%llu pages, %llu touched\n", (unsigned long long)pages,
	       (unsigned long long)touched);
	return 0;
}

int hog_main(int argc, char **argv)
{
	size_t bytes;
	void *p;

	if (argc != 2)
		die("usage: hog MIB");
	bytes = strtoull(argv[1], NULL, 10) * MIB;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mlock(p, bytes))
		die("%zu bytes: %s", bytes, strerror(errno));
	puts("there");
	for (;;)
		pause();
}
