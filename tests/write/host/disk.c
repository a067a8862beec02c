// SPDX-License-Identifier: GPL-2.0
/*
 * A disk in memory, with undo.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cut.h"

void disk_load(struct disk *d, const char *path, uint32_t seed)
{
	unsigned char *p;
	uint64_t i;
	size_t size;

	memset(d, 0, sizeof(*d));
	p = map_file(path, &size);
	d->sectors = size / BLOCK_SIZE;
	d->data = malloc(size);
	if (!d->data)
		die("out of memory");
	memcpy(d->data, p, size);
	munmap(p, size);
	d->seed = seed;
	d->tags = xcalloc(d->sectors, sizeof(*d->tags));
	d->versions = xcalloc(d->sectors, sizeof(*d->versions));
	for (i = 0; i < d->sectors; i++)
		d->tags[i] = tag_of(d->data + i * BLOCK_SIZE, seed);
}

static void remember(struct disk *d, uint64_t sector)
{
	struct undo *u;

	if (d->nr_undo == d->max_undo) {
		d->max_undo = d->max_undo * 2 + 4096;
		d->undo = realloc(d->undo, d->max_undo * sizeof(*d->undo));
		if (!d->undo)
			die("out of memory");
	}
	u = &d->undo[d->nr_undo++];
	u->sector = sector;
	u->tag = d->tags[sector];
	u->version = d->versions[sector];
	memcpy(u->data, d->data + sector * BLOCK_SIZE, BLOCK_SIZE);
}

void disk_write(struct disk *d, uint64_t sector, const unsigned char *data)
{
	unsigned char *to = d->data + sector * BLOCK_SIZE;

	if (sector >= d->sectors)
		die("a write past the end of the disk");
	if (d->undoing)
		remember(d, sector);
	if (data)
		memcpy(to, data, BLOCK_SIZE);
	else
		memset(to, 0, BLOCK_SIZE);
	d->tags[sector] = tag_of(to, d->seed);
	d->versions[sector] = ++d->version;
}

void disk_begin(struct disk *d)
{
	d->undoing = true;
	d->nr_undo = 0;
}

void disk_undo(struct disk *d)
{
	while (d->nr_undo) {
		const struct undo *u = &d->undo[--d->nr_undo];

		memcpy(d->data + u->sector * BLOCK_SIZE, u->data, BLOCK_SIZE);
		d->tags[u->sector] = u->tag;
		d->versions[u->sector] = u->version;
	}
	d->undoing = false;
}

/* With holes where there is nothing, for it may be done often. */
void disk_save(const struct disk *d, const char *path)
{
	static const unsigned char zeros[65536];
	uint64_t size = d->sectors * BLOCK_SIZE, at, n;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, size))
		die("%s: %s", path, strerror(errno));
	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(zeros) ? size - at : sizeof(zeros);
		if (memcmp(d->data + at, zeros, n) &&
		    pwrite(fd, d->data + at, n, at) != (ssize_t)n)
			die("%s: %s", path, strerror(errno));
	}
	close(fd);
}
