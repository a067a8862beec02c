// SPDX-License-Identifier: GPL-2.0
/*
 * qcowcut fill SEED GEN SECTORS FILE: writes sectors of a generation here and there.
 *
 * qcowcut content SEED FOLDER: whether the files that standard input names, each
 * with its number and size, are as guest/files.c wrote them.
 *
 * qcowcut replay OPTIONS: cuts power at any time of a disk's record, and checks the image
 * that the disk then holds:
 *
 *	-d FILE		the disk as it was at first
 *	-l FILE		the log of dm-log-writes
 *	-L MIB		where in there it begins
 *	-j FILE		the journal of the operations; without it the image only
 *			has to be sound
 *	-s SEED		of the sectors
 *	-o FILE		the content of the image at first
 *	-b FILE		the content of its backing file
 *	-p POINTS	how many to look at
 *	-c EVERY	of which this many, one in EVERY, are shown to QEMU
 *	-w FOLDER	for images that QEMU is shown, and for images that are wrong
 *	-k NUMBER	of those QEMU was shown, so many are kept there: keep-1 and so
 *			on, and their content as QEMU reads it: keep-1.raw
 *	-f COMMAND	has to be content with the disk that QEMU was shown: it is
 *			given the raw file and the number of the last mark
 *	-x WAY		first break the log like this
 *	-n POINT	only this one
 *	-1		the first that is wrong will do
 *	-q		as QEMU promises: a sector that was written again since the
 *			last flush may be anything until the next
 *
 * A cut loses any part of the writes after the last flush, in units of sectors. A write
 * with FUA stays. A discarded sector is zeros or has its old content.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "break.h"
#include "sample.h"

#define MAX_SHOWN	5
#define MAX_WEIGHT	8
#define PREFIX_PERCENT	40

/**
 * struct replay - a run
 * @log: the disk's record
 * @prefix: the disk with all of it up to here
 * @durable: the disk with all up to the last flush
 * @whole: the image on @prefix
 * @torn: the image on @durable, and on the disks that are made of it
 * @oracle: the content that they have to have
 * @seed: of everything drawn at random
 * @points: wanted
 * @every: how many for one that QEMU sees
 * @only: the only one to look at, or 0
 * @dir: for files
 * @keep: how many to keep
 * @command: has to accept the image that QEMU sees
 * @hasty: the first failure will do
 * @mark: the last that was passed
 * @nr: points seen
 * @failures: of them
 * @samples: seen by QEMU
 * @kept: of them
 */
struct replay {
	struct log log;
	struct disk prefix;
	struct disk durable;
	struct qcow2 whole;
	struct qcow2 torn;
	struct oracle oracle;
	uint32_t seed;
	unsigned long points;
	unsigned long every;
	unsigned long only;
	const char *dir;
	unsigned long keep;
	const char *command;
	bool hasty;
	uint32_t mark;
	unsigned long nr;
	unsigned long failures;
	unsigned long samples;
	unsigned long kept;
};

static bool judge(struct qcow2 *q, uint32_t tree, void *arg)
{
	const struct replay *r = arg;

	return !r->oracle.nr || oracle_judge(&r->oracle, q, tree);
}

/* --- Points --- */

static void report(struct replay *r, struct qcow2 *q, size_t entry, const char *how)
{
	char name[40];

	r->failures++;
	if (r->failures > MAX_SHOWN)
		return;
	printf("point %lu, entry %zu of %zu, %s: %s\n", r->nr, entry, r->log.nr, how, q->why);
	if (!r->dir)
		return;
	snprintf(name, sizeof(name), "failed-%lu", r->nr);
	q->why[0] = 0;
	if (!sample(q, r->dir, name))
		printf("QEMU agrees: %s\n", q->why);
}

/* Every so often */
static void keep_sample(struct replay *r)
{
	unsigned long interval = r->points / r->every / (r->keep + 1) + 1;
	char from[512], to[512];
	int i;

	if (r->kept == r->keep || r->samples % interval)
		return;
	r->kept++;
	for (i = 0; i < 2; i++) {
		snprintf(from, sizeof(from), "%s/sample%s", r->dir, i ? ".raw" : "");
		snprintf(to, sizeof(to), "%s/keep-%lu%s", r->dir, r->kept, i ? ".raw" : "");
		if (rename(from, to))
			die("%s: %s", to, strerror(errno));
	}
}

/* @how tells which writes were left out, without newline. */
static void look(struct replay *r, struct qcow2 *q, size_t entry, const char *how)
{
	r->nr++;
	if (r->only && r->nr != r->only)
		return;
	q->lenient = oracle_may_be_stale(&r->oracle);
	if (!qcow2_check(q)) {
		report(r, q, entry, how);
		return;
	}
	if (!r->dir || !r->every || r->nr % r->every)
		return;
	r->samples++;
	if (!sample(q, r->dir, "sample") ||
	    !sample_snapshots(q, &r->oracle, r->dir, "sample") ||
	    !sample_content(q, r->dir, "sample", r->command, r->mark))
		report(r, q, entry, how);
	else if (r->keep)
		keep_sample(r);
}

/* --- The disk --- */

/* Some disks forget the data of discarded sectors, some do not. */
static bool forgets(const struct replay *r, size_t i)
{
	return hash(r->seed, i, 4) % 3;
}

static void apply_sector(struct replay *r, struct disk *d, size_t i, uint64_t n)
{
	const struct entry *e = &r->log.e[i];

	if (e->data)
		disk_write(d, e->sector + n, e->data + n * BLOCK_SIZE);
	else if (forgets(r, i))
		disk_write(d, e->sector + n, NULL);
}

static void apply(struct replay *r, struct disk *d, size_t i)
{
	uint64_t n;

	for (n = 0; n < r->log.e[i].nr; n++)
		apply_sector(r, d, i, n);
}

/* --- Writes that a cut loses --- */

struct loss {
	unsigned int keep;
	size_t odd;
	char how[80];
};

/* The share of unflushed writes that survives, in percent; perhaps all but one */
static void draw_loss(struct rng *rng, size_t begin, size_t end, struct loss *l)
{
	static const unsigned char keep[] = { 50, 90, 10, 100, 0, 75 };

	l->keep = keep[rng_below(rng, ARRAY_SIZE(keep))];
	l->odd = begin + rng_below(rng, end - begin);
	snprintf(l->how, sizeof(l->how), "%u%% of entries from %zu kept, but for %zu",
		 l->keep, begin, l->odd);
}

static void lose(struct replay *r, struct rng *rng, size_t i, const struct loss *l)
{
	bool keep = rng_below(rng, 100) < l->keep;
	bool tear = rng_below(rng, 4) == 0;
	uint64_t n;

	if (i == l->odd)
		keep = !keep;
	for (n = 0; n < r->log.e[i].nr; n++)
		if (tear ? rng_below(rng, 2) : keep)
			apply_sector(r, &r->durable, i, n);
}

/* A cut after entry @entry, where @begin is the first after the last flush. */
static void cut_at(struct replay *r, size_t begin, size_t entry)
{
	struct rng rng = { hash(r->seed, r->nr, 5) };
	struct loss l;
	size_t i;

	if (r->only && r->nr + 1 != r->only) {
		r->nr++;
		return;
	}
	draw_loss(&rng, begin, entry + 1, &l);
	disk_begin(&r->durable);
	for (i = begin; i <= entry; i++) {
		/* The last one may not have been acknowledged. */
		if (r->log.e[i].flags & LOG_FUA && i != entry)
			apply(r, &r->durable, i);
		else
			lose(r, &rng, i, &l);
	}
	look(r, &r->torn, entry, l.how);
	disk_undo(&r->durable);
}

/* --- The log --- */

static bool is_write(const struct entry *e)
{
	return e->nr && !(e->flags & LOG_MARK);
}

/**
 * struct plan - where to look
 * @cuts: for each entry that may be lost, points that lose something; more of
 *	them where more can be lost
 * @debt: part of a point that is due
 * @writes: entries
 * @prefixes: of which after this many all before is there
 */
struct plan {
	double cuts;
	double debt;
	unsigned long writes;
	unsigned long prefixes;
};

static unsigned long weight(size_t lost)
{
	return lost < MAX_WEIGHT ? lost : MAX_WEIGHT;
}

static void make_plan(const struct replay *r, struct plan *p)
{
	unsigned long total = 0;
	size_t i, lost = 0;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < r->log.nr; i++) {
		if (r->log.e[i].flags & LOG_FLUSH)
			lost = 0;
		if (!is_write(&r->log.e[i]))
			continue;
		p->writes++;
		total += weight(++lost);
	}
	p->prefixes = r->points * PREFIX_PERCENT / 100;
	if (p->prefixes > p->writes)
		p->prefixes = p->writes;
	if (total)
		p->cuts = (double)(r->points - p->prefixes) / total;
}

static void run(struct replay *r)
{
	size_t i, begin = 0, lost = 0;
	struct plan p;

	make_plan(r, &p);
	look(r, &r->whole, 0, "nothing");
	for (i = 0; i < r->log.nr && !(r->hasty && r->failures); i++) {
		const struct entry *e = &r->log.e[i];

		if (e->flags & LOG_MARK) {
			r->mark = e->mark;
			oracle_pass(&r->oracle, e->mark ? e->mark : UINT32_MAX);
			continue;
		}
		if (e->flags & LOG_FLUSH) {
			for (; begin < i; begin++)
				apply(r, &r->durable, begin);
			lost = 0;
		}
		if (!is_write(e))
			continue;
		p.debt += p.cuts * weight(++lost);
		for (; p.debt >= 1; p.debt--)
			cut_at(r, begin, i);
		apply(r, &r->prefix, i);
		if (hash(r->seed, i, 6) % p.writes < p.prefixes)
			look(r, &r->whole, i, "all before");
	}
}

static void spoil(struct replay *r, const char *way)
{
	struct disk d = r->prefix;
	struct qcow2 q;
	size_t i;

	d.data = malloc(d.sectors * BLOCK_SIZE);
	d.tags = xcalloc(d.sectors, sizeof(*d.tags));
	d.versions = xcalloc(d.sectors, sizeof(*d.versions));
	memcpy(d.data, r->prefix.data, d.sectors * BLOCK_SIZE);
	for (i = 0; i < r->log.nr; i++)
		if (is_write(&r->log.e[i]))
			apply(r, &d, i);
	qcow2_init(&q, &d);
	q.judge = judge;
	q.judge_arg = &(struct replay){ .seed = 0 };
	qcow2_check(&q);
	break_log(&r->log, way, &d, &q);
}

/* --- Arguments --- */

static tag_t *load_tags(const char *path, uint32_t seed, uint64_t *nr)
{
	size_t size, i;
	unsigned char *p = map_file(path, &size);
	tag_t *tags = xcalloc(size / BLOCK_SIZE, sizeof(*tags));

	*nr = size / BLOCK_SIZE;
	for (i = 0; i < *nr; i++)
		tags[i] = tag_of(p + i * BLOCK_SIZE, seed);
	return tags;
}

struct arguments {
	const char *disk;
	const char *log;
	uint64_t log_begin;
	const char *journal;
	const char *base;
	const char *backing;
	const char *way;
};

static void prepare_image(struct replay *r, struct qcow2 *q, struct disk *d,
			  const struct arguments *a)
{
	disk_load(d, a->disk, r->seed);
	qcow2_init(q, d);
	if (a->backing)
		q->backing = load_tags(a->backing, r->seed, &q->nr_backing);
	q->judge = judge;
	q->judge_arg = r;
}

static int replay(struct replay *r, const struct arguments *a)
{
	tag_t *base;
	uint64_t nr;

	if (!a->disk || !a->log)
		die("give -d and -l");
	log_load(&r->log, a->log, a->log_begin);
	prepare_image(r, &r->whole, &r->prefix, a);
	prepare_image(r, &r->torn, &r->durable, a);
	nr = r->whole.sectors;
	base = xcalloc(nr, sizeof(*base));
	memset(base, 0xff, nr * sizeof(*base));
	if (a->base)
		base = load_tags(a->base, r->seed, &nr);
	if (nr != r->whole.sectors)
		die("%s is not as long as the image's disk", a->base);
	oracle_init(&r->oracle, a->journal, base, nr, r->oracle.lenient);
	if (a->way)
		spoil(r, a->way);
	run(r);
	printf("%lu points, %lu wrong, %lu shown to QEMU; %zu entries of the log\n", r->nr,
	       r->failures, r->samples, r->log.nr);
	return r->failures != 0;
}

static int replay_main(int argc, char **argv)
{
	struct replay r = { .points = 1000 };
	struct arguments a = { };
	int opt;

	while ((opt = getopt(argc, argv, "1d:l:L:j:s:o:b:p:c:w:k:f:x:n:q")) != -1) {
		switch (opt) {
		case 'd': a.disk = optarg; break;
		case 'l': a.log = optarg; break;
		case 'L': a.log_begin = strtoull(optarg, NULL, 10) << 20; break;
		case 'j': a.journal = optarg; break;
		case 's': r.seed = strtoul(optarg, NULL, 10); break;
		case 'o': a.base = optarg; break;
		case 'b': a.backing = optarg; break;
		case 'p': r.points = strtoul(optarg, NULL, 10); break;
		case 'c': r.every = strtoul(optarg, NULL, 10); break;
		case 'w': r.dir = optarg; break;
		case 'k': r.keep = strtoul(optarg, NULL, 10); break;
		case 'f': r.command = optarg; break;
		case '1': r.hasty = true; break;
		case 'x': a.way = optarg; break;
		case 'n': r.only = strtoul(optarg, NULL, 10); break;
		case 'q': r.oracle.lenient = true; break;
		default: return 2;
		}
	}
	return replay(&r, &a);
}

/* --- Filling a file --- */

static int fill_main(int argc, char **argv)
{
	unsigned char buf[BLOCK_SIZE];
	uint32_t seed, gen;
	uint64_t s, sectors;
	int fd;

	if (argc != 5)
		die("fill SEED GEN SECTORS FILE");
	seed = strtoul(argv[1], NULL, 10);
	gen = strtoul(argv[2], NULL, 10);
	sectors = strtoull(argv[3], NULL, 10);
	fd = open(argv[4], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		die("%s: %s", argv[4], strerror(errno));
	for (s = 0; s < sectors; s++) {
		/* Pieces of 8 KiB within pieces of 128 KiB, and odd ends */
		if (hash(seed + gen, s / 256, 7) % 2 ||
		    hash(seed + gen, s / 16, 8) % 4 == 0 ||
		    (s % 16 == 15 && hash(seed + gen, s, 9) % 2))
			continue;
		block_make(buf, seed, s, gen);
		if (pwrite(fd, buf, BLOCK_SIZE, s * BLOCK_SIZE) != BLOCK_SIZE)
			die("%s: %s", argv[4], strerror(errno));
	}
	if (lseek(fd, 0, SEEK_END) < (off_t)(sectors * BLOCK_SIZE) &&
	    ftruncate(fd, sectors * BLOCK_SIZE))
		die("%s: %s", argv[4], strerror(errno));
	close(fd);
	return 0;
}

/* --- Files --- */

static void check_file(uint32_t seed, const char *dir, uint32_t nr, size_t bytes)
{
	unsigned char want[BLOCK_SIZE], *got;
	char path[512];
	size_t size, file_offset, n;

	snprintf(path, sizeof(path), "%s/%u", dir, nr);
	got = map_file(path, &size);
	if (size != bytes)
		die("%s has %zu bytes, not %zu", path, size, bytes);
	for (file_offset = 0; file_offset < bytes; file_offset += n) {
		n = bytes - file_offset < BLOCK_SIZE ? bytes - file_offset : BLOCK_SIZE;
		block_make(want, seed, file_offset / BLOCK_SIZE, nr);
		if (memcmp(got + file_offset, want, n))
			die("%s is wrong in sector %zu", path, file_offset / BLOCK_SIZE);
	}
	munmap(got, size);
}

static int content_main(int argc, char **argv)
{
	unsigned int nr, files = 0;
	size_t bytes;

	if (argc != 3)
		die("content SEED FOLDER < FILES");
	while (scanf("%u %zu", &nr, &bytes) == 2) {
		check_file(strtoul(argv[1], NULL, 10), argv[2], nr, bytes);
		files++;
	}
	printf("%u files are as they were\n", files);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "fill"))
		return fill_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "content"))
		return content_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "replay"))
		return replay_main(argc - 1, argv + 1);
	fputs("qcowcut fill|content|replay ...\n", stderr);
	return 2;
}
