// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of an image by qcowctl while the image is written and recorded. Each change
 * has marks before and after; most of them go on while there are writes.
 *
 *	snapshot	snapshots are made, deleted and applied
 *	size		the disk grows and shrinks
 *	bitmap		bitmaps are added, removed, and stored when it is detached
 *	stream		it is made to need its backing file no more
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cut.h"

#define MAX_ALIVE	3
#define PIECE		(256 * SECTOR)

static void begin(struct cut *c, uint32_t what, uint32_t number, uint32_t nr)
{
	c->change = (struct journal_record){ J_CHANGE, what, number, nr };
	c->nr_changes++;
	cut_mark(c);
	cut_record(c, J_CHANGE, what, number, nr);
}

static void end(struct cut *c)
{
	cut_record(c, J_CHANGED, c->change.gen, c->change.sector, c->change.nr);
	cut_mark(c);
}

static void now(char *const *argv)
{
	struct output o;

	run_program(argv, &o);
	if (o.code)
		die("qcowctl %s %s: %s", argv[1], argv[2], o.err);
}

/* Goes on while there are writes. */
static void start(struct cut *c, char *const *argv)
{
	fflush(NULL);
	c->child = fork();
	if (c->child < 0)
		die("fork: %s", strerror(errno));
	if (c->child)
		return;
	now(argv);
	_exit(0);
}

void cut_poll_change(struct cut *c, bool wait)
{
	int status;

	if (!c->child || !waitpid(c->child, &status, wait ? 0 : WNOHANG))
		return;
	if (status)
		die("change %u of %u: status %d", c->change.gen, c->change.sector, status);
	c->child = 0;
	/* A bitmap knows of all writes from here on. */
	c->change.nr = c->gen;
	end(c);
}

/* --- Snapshots --- */

/* The tag of a sector, as the checker has it */
static uint64_t tag(const unsigned char *sector, uint32_t seed)
{
	static const unsigned char zeros[SECTOR];
	uint32_t number, gen;

	if (block_parse(sector, seed, &number, &gen))
		return (uint64_t)number << 32 | gen;
	return memcmp(sector, zeros, SECTOR) ? -2 : -1;
}

/* Nothing is in flight. */
static void keep_content(struct cut *c, uint32_t number)
{
	unsigned char *buf = alloc_aligned(PIECE);
	uint64_t *tags = calloc(c->first_sectors, sizeof(*tags));
	uint32_t s, i, n;

	for (s = 0; tags && s < c->first_sectors; s += n) {
		n = c->first_sectors - s < PIECE / SECTOR ? c->first_sectors - s : PIECE / SECTOR;
		if (pread(c->fd, buf, n * SECTOR, (uint64_t)s * SECTOR) != n * SECTOR)
			die("read: %s", strerror(errno));
		for (i = 0; i < n; i++)
			tags[s + i] = tag(buf + i * SECTOR, c->seed);
	}
	if (!tags ||
	    fseek(c->content, (long)number * c->first_sectors * sizeof(*tags), SEEK_SET) ||
	    fwrite(tags, sizeof(*tags), c->first_sectors, c->content) != c->first_sectors)
		die("the content of a snapshot: %s", strerror(errno));
	free(tags);
	free(buf);
}

/* One of them */
static uint32_t draw_alive(struct cut *c)
{
	uint32_t n = rng_below(&c->rng, __builtin_popcountll(c->alive));
	uint64_t rest = c->alive;

	while (n--)
		rest &= rest - 1;
	return __builtin_ctzll(rest);
}

static void apply(struct cut *c, char **argv, uint32_t number)
{
	cut_drain(c);
	close(c->fd);
	begin(c, C_APPLY, number, c->gen);
	now(argv);
	end(c);
	cut_open(c);
}

static void change_snapshots(struct cut *c)
{
	int alive = __builtin_popcountll(c->alive), pick = rng_below(&c->rng, 8);
	char name[16], *argv[] = { "qcowctl", "snapshot", "", c->t.dev, name, NULL };
	bool create = !alive || (pick < 4 && alive < MAX_ALIVE);
	uint32_t number;

	if (create && c->number + 1 == MAX_CHANGES)
		return;
	number = create ? ++c->number : draw_alive(c);
	snprintf(name, sizeof(name), "s%u", number);
	argv[2] = create ? "create" : pick < 6 ? "delete" : "apply";
	if (create) {
		c->alive |= 1ull << number;
		cut_drain(c);
		keep_content(c, number);
		begin(c, C_CREATE, number, 0);
		now(argv);
		end(c);
	} else if (pick < 6) {
		c->alive &= ~(1ull << number);
		begin(c, C_DELETE, number, 0);
		start(c, argv);
	} else {
		apply(c, argv, number);
	}
}

/* --- The others --- */

static void change_size(struct cut *c)
{
	char size[24], *argv[] = { "qcowctl", "resize", "--force", c->t.dev, size, NULL };
	uint32_t sectors = c->first_sectors / 2 + rng_below(&c->rng, c->first_sectors);

	snprintf(size, sizeof(size), "%llu", (unsigned long long)sectors * SECTOR);
	cut_drain(c);
	begin(c, C_SIZE, sectors, c->gen);
	now(argv);
	end(c);
	close(c->fd);
	cut_open(c);
	if (c->sectors != sectors)
		die("resize to %u sectors: there are %u", sectors, c->sectors);
}

static void change_bitmaps(struct cut *c)
{
	int alive = __builtin_popcountll(c->alive), pick = rng_below(&c->rng, 8);
	char name[16], *argv[] = { "qcowctl", "bitmap", "remove", c->t.dev, name, NULL };
	bool add = !alive || (pick < 3 && alive < MAX_ALIVE);
	uint32_t number;

	if (alive && pick >= 5) {
		cut_reattach(c);
		return;
	}
	if (add && c->number + 1 == MAX_CHANGES)
		return;
	number = add ? ++c->number : draw_alive(c);
	snprintf(name, sizeof(name), "b%u", number);
	if (add)
		argv[2] = "add";
	c->alive ^= 1ull << number;
	begin(c, add ? C_ADD : C_REMOVE, number, 0);
	start(c, argv);
}

/* Once, and not at the very beginning */
static void change_stream(struct cut *c)
{
	char *argv[] = { "qcowctl", "stream", c->t.dev, NULL };

	if (c->number++ != 4)
		return;
	begin(c, C_STREAM, 0, 0);
	start(c, argv);
}

void cut_change(struct cut *c)
{
	if (c->child)
		return;
	if (!strcmp(c->changes, "snapshot"))
		change_snapshots(c);
	else if (!strcmp(c->changes, "size"))
		change_size(c);
	else if (!strcmp(c->changes, "bitmap"))
		change_bitmaps(c);
	else if (!strcmp(c->changes, "stream"))
		change_stream(c);
	else
		die("no such changes: %s", c->changes);
}
