// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cut.h"

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("qcowcut: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void *xcalloc(size_t nr, size_t size)
{
	void *p = calloc(nr ? nr : 1, size);

	if (!p)
		die("out of memory");
	return p;
}

void *map_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	if (size)
		*size = st.st_size;
	p = mmap(NULL, st.st_size ? st.st_size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return p;
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t hash(uint64_t a, uint64_t b, uint64_t c)
{
	return mix(mix(mix(a + 0x9e3779b97f4a7c15ull) + b) + c);
}

uint64_t rng_next(struct rng *r)
{
	return mix(r->state += 0x9e3779b97f4a7c15ull);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

tag_t tag_of(const void *data, uint32_t seed)
{
	const uint64_t *word = data;
	uint32_t sector, gen;
	uint64_t sum = 0;
	int i;

	if (block_parse(data, seed, &sector, &gen))
		return make_tag(sector, gen);
	for (i = 0; i < BLOCK_SIZE / 8; i++)
		sum |= word[i];
	return sum ? TAG_JUNK : TAG_ZERO;
}
