// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite cut: writes to an image on a disk whose writes are recorded by
 * dm-log-writes, and keeps a journal of operations and of their acknowledgements.
 * Meanwhile the image itself may be changed: see change.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cut.h"

#define MAX_SECTORS	256

void cut_record(struct cut *c, uint32_t type, uint32_t gen, uint32_t sector, uint32_t nr)
{
	struct journal_record rec = { type, gen, sector, nr };

	if (fwrite(&rec, sizeof(rec), 1, c->journal) != 1)
		die("the journal: %s", strerror(errno));
}

void cut_mark(struct cut *c)
{
	cut_record(c, J_MARK, ++c->marks, 0, 0);
	send_mark(c->name, c->marks);
}

void cut_open(struct cut *c)
{
	off_t size;

	c->fd = open(c->t.dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (c->fd < 0)
		die("%s: %s", c->t.dev, strerror(errno));
	size = lseek(c->fd, 0, SEEK_END);
	if (size <= 0)
		die("%s is empty", c->t.dev);
	c->sectors = size / SECTOR;
}

static void attach(struct cut *c)
{
	char why[200];

	if (target_attach(&c->t, c->image, c->args, why, sizeof(why)))
		die("%s", why);
	cut_open(c);
}

static void detach(struct cut *c)
{
	char why[200];

	close(c->fd);
	if (target_detach(&c->t, why, sizeof(why)))
		die("%s", why);
}

/* --- Ranges --- */

static uint32_t draw_nr(struct cut *c)
{
	uint32_t bits = rng_below(&c->rng, 8);
	uint32_t nr = (1u << bits) + rng_below(&c->rng, 1u << bits);

	if (rng_below(&c->rng, 4) == 0)
		nr = (nr + c->cluster - 1) / c->cluster * c->cluster;
	return nr < MAX_SECTORS ? nr : MAX_SECTORS;
}

/*
 * Places move through the disk slowly, so that some are written often and
 * others for the first time.
 */
static struct journal_record draw(struct cut *c)
{
	struct journal_record r = { .nr = draw_nr(c) };
	uint32_t room = c->sectors / 8;

	if (r.nr > c->sectors)
		r.nr = c->sectors;
	r.sector = rng_below(&c->rng, c->sectors);
	if (rng_below(&c->rng, 3))
		r.sector = c->gen * 16 % c->sectors / room * room +
			   rng_below(&c->rng, room);
	if (rng_below(&c->rng, 4) == 0)
		r.sector = r.sector / c->cluster * c->cluster;
	if (r.sector + r.nr > c->sectors)
		r.sector = c->sectors - r.nr;
	return r;
}

static bool in_flight(const struct cut *c, const struct journal_record *r)
{
	int i;

	for (i = 0; i < BATCH; i++) {
		const struct journal_record *f = &c->flying[i];

		if (f->nr && f->sector < r->sector + r->nr &&
		    r->sector < f->sector + f->nr)
			return true;
	}
	return false;
}

/* --- Operations --- */

static void submit(struct cut *c, int slot)
{
	struct journal_record r = draw(c);
	bool fua = rng_below(&c->rng, 24) == 0;
	uint32_t i;
	int err;

	if (in_flight(c, &r))
		return;
	r.gen = c->gen++;
	r.type = fua ? J_FUA : J_WRITE;
	for (i = 0; i < r.nr; i++)
		block_make(c->bufs[slot] + i * SECTOR, c->seed, r.sector + i, r.gen);
	c->flying[slot] = r;
	cut_record(c, r.type, r.gen, r.sector, r.nr);
	err = aio_write(&c->aio, slot, c->fd, c->bufs[slot], r.nr * SECTOR,
			(uint64_t)r.sector * SECTOR, fua ? RWF_DSYNC : 0);
	if (err)
		die("io_submit: %s", strerror(-err));
}

static void submit_some(struct cut *c)
{
	int i;

	for (i = 0; i < BATCH; i++)
		if (!c->flying[i].nr && rng_below(&c->rng, 3) == 0)
			submit(c, i);
}

static int nr_flying(const struct cut *c)
{
	int i, n = 0;

	for (i = 0; i < BATCH; i++)
		n += c->flying[i].nr != 0;
	return n;
}

/* At least @min */
static void reap(struct cut *c, int min)
{
	struct io_event ev[BATCH];
	bool fua = false;
	int i, n;

	n = aio_reap(&c->aio, min, BATCH, ev);
	for (i = 0; i < n; i++) {
		struct journal_record *r = &c->flying[ev[i].data];

		if (ev[i].res != (long long)r->nr * SECTOR)
			die("write %u+%u: %s", r->sector, r->nr,
			    ev[i].res < 0 ? strerror(-ev[i].res) : "short");
		cut_record(c, J_DONE, r->gen, 0, 0);
		fua |= r->type == J_FUA;
		r->nr = 0;
	}
	if (fua)
		cut_mark(c);
}

/* Others may be in flight, and are not promised. */
static void flush(struct cut *c)
{
	cut_record(c, J_FLUSH, 0, 0, 0);
	if (fsync(c->fd))
		die("fsync: %s", strerror(errno));
	cut_record(c, J_FLUSHED, 0, 0, 0);
	cut_mark(c);
}

static void zero(struct cut *c)
{
	struct journal_record r = draw(c);
	int err;

	if (in_flight(c, &r))
		return;
	r.gen = c->gen++;
	cut_record(c, J_ZERO, r.gen, r.sector, r.nr);
	err = zero_some(c->fd, (uint64_t)r.sector * SECTOR, (uint64_t)r.nr * SECTOR,
			rng_below(&c->rng, 2));
	if (err)
		die("zero %u+%u: %s", r.sector, r.nr, strerror(-err));
	cut_record(c, J_DONE, r.gen, 0, 0);
}

/* A sector that reads as zeros after a discard has to stay zeros. */
static void seen_zero(struct cut *c, const struct journal_record *r)
{
	static const unsigned char zeros[SECTOR];
	unsigned char *buf;
	uint32_t i;

	buf = alloc_aligned(r->nr * SECTOR);
	if (pread(c->fd, buf, r->nr * SECTOR, (uint64_t)r->sector * SECTOR) !=
	    r->nr * SECTOR)
		die("read %u+%u: %s", r->sector, r->nr, strerror(errno));
	for (i = 0; i < r->nr; i++) {
		if (memcmp(buf + i * SECTOR, zeros, SECTOR))
			continue;
		cut_record(c, J_ZERO, c->gen, r->sector + i, 1);
		cut_record(c, J_DONE, c->gen++, 0, 0);
	}
	free(buf);
}

static void discard_some(struct cut *c)
{
	struct journal_record r = draw(c);
	int err;

	if (in_flight(c, &r) || c->refused)
		return;
	r.gen = c->gen++;
	cut_record(c, J_DISCARD, r.gen, r.sector, r.nr);
	err = discard(c->fd, (uint64_t)r.sector * SECTOR, (uint64_t)r.nr * SECTOR);
	if (err == -EOPNOTSUPP)
		c->refused = true;
	else if (err)
		die("discard %u+%u: %s", r.sector, r.nr, strerror(-err));
	cut_record(c, J_DONE, r.gen, 0, 0);
	seen_zero(c, &r);
}

void cut_drain(struct cut *c)
{
	reap(c, nr_flying(c));
}

void cut_reattach(struct cut *c)
{
	cut_poll_change(c, true);
	cut_drain(c);
	detach(c);
	attach(c);
}

static void step(struct cut *c)
{
	uint32_t pick = rng_below(&c->rng, 100);

	cut_poll_change(c, false);
	if (*c->changes && rng_below(&c->rng, 12) == 0)
		cut_change(c);
	if (pick < 60)
		submit_some(c);
	else if (pick < 72)
		reap(c, rng_below(&c->rng, nr_flying(c) + 1));
	else if (pick < 83)
		flush(c);
	else if (pick < 91)
		zero(c);
	else if (pick < 99 || rng_below(&c->rng, 4))
		discard_some(c);
	else
		cut_reattach(c);
}

int cut_main(int argc, char **argv)
{
	struct cut c = { .gen = GEN_FIRST };
	unsigned int steps, i;
	char path[256];

	if (argc != 9)
		die("usage: cut NAME IMAGE ARGUMENTS JOURNAL SEED CLUSTER STEPS CHANGES");
	c.name = argv[1];
	c.image = argv[2];
	c.args = argv[3];
	c.journal = fopen(argv[4], "w");
	if (!c.journal)
		die("%s: %s", argv[4], strerror(errno));
	c.seed = strtoul(argv[5], NULL, 10);
	rng_seed(&c.rng, argv[5]);
	c.cluster = strtoul(argv[6], NULL, 10) / SECTOR;
	steps = strtoul(argv[7], NULL, 10);
	c.changes = strcmp(argv[8], "-") ? argv[8] : "";
	snprintf(path, sizeof(path), "%s.content", argv[4]);
	c.content = fopen(path, "w");
	if (!c.content)
		die("%s: %s", path, strerror(errno));
	for (i = 0; i < BATCH; i++)
		c.bufs[i] = alloc_aligned(MAX_SECTORS * SECTOR);
	aio_begin(&c.aio);
	cut_mark(&c);
	attach(&c);
	c.first_sectors = c.sectors;
	for (i = 0; i < steps; i++)
		step(&c);
	cut_poll_change(&c, true);
	cut_drain(&c);
	/* Half of the time the last flush is not the last thing. */
	if (c.seed % 2)
		flush(&c);
	detach(&c);
	cut_mark(&c);
	aio_end(&c.aio);
	if (fclose(c.journal) || fclose(c.content))
		die("the journal: %s", strerror(errno));
	printf("%s: %u operations, %u marks, %u changes\n", c.name, c.gen - GEN_FIRST,
	       c.marks, c.nr_changes);
	return 0;
}
