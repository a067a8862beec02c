// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite diff: writes at random to the images of a manifest and keeps account
 * of the content that they must have.
 *
 * A line of the manifest: name, image, model, arguments of qcowctl attach,
 * cluster size, seed; separated by tabs. The model is a file with the content;
 * it is changed as the device is. A sector that was discarded since its last write may
 * be zeros or have its old content; MODEL.either has a byte for each sector that says
 * whether it is such a one. MODEL.ops gets the operations.
 *
 * Prints "ok NAME" or "not ok NAME: why" for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "write.h"

#define CHUNK		MIB
#define MAX_WRITE	(4 * MIB)
#define HOT_CLUSTERS	8
#define BATCH		8

/**
 * struct run - an image being written
 * @name: of the test
 * @image: the file
 * @args: of qcowctl attach
 * @t: the device
 * @fd: it, open
 * @rng: the one source of chance
 * @model: its content
 * @either: for each sector, that it may be zeros instead
 * @size: bytes
 * @cluster: bytes of a cluster
 * @hot: where half of all operations go
 * @buf: to write from and read to, MAX_WRITE each of BATCH
 * @ops: the operations
 * @nr: steps done
 * @aio: for writes at the same time
 * @why: the first fault, empty if there is none
 */
struct run {
	const char *name;
	char *image;
	const char *args;
	struct target t;
	int fd;
	struct rng rng;
	unsigned char *model;
	unsigned char *either;
	uint64_t size;
	uint64_t cluster;
	uint64_t hot;
	unsigned char *buf;
	FILE *ops;
	unsigned int nr;
	struct aio aio;
	char why[400];
};

struct span {
	uint64_t off;
	uint64_t len;
};

static unsigned int steps = 60;
static const unsigned char zeros[CHUNK] __attribute__((aligned(4096)));

__attribute__((format(printf, 2, 3)))
static bool wrong(struct run *r, const char *fmt, ...)
{
	va_list args;
	int n;

	if (r->why[0])
		return false;
	n = snprintf(r->why, sizeof(r->why), "step %u: ", r->nr);
	va_start(args, fmt);
	vsnprintf(r->why + n, sizeof(r->why) - n, fmt, args);
	va_end(args);
	return false;
}

__attribute__((format(printf, 2, 3)))
static void note(struct run *r, const char *fmt, ...)
{
	va_list args;

	fprintf(r->ops, "%u ", r->nr);
	va_start(args, fmt);
	vfprintf(r->ops, fmt, args);
	va_end(args);
	putc('\n', r->ops);
}

/* --- Ranges and contents --- */

/* Small ones more often than large ones. */
static uint64_t draw_length(struct run *r, uint64_t most)
{
	uint64_t bits = 0;

	while ((2ull << bits) <= most / SECTOR)
		bits++;
	bits = rng_below(&r->rng, bits + 1);
	return ((1ull << bits) + rng_below(&r->rng, 1ull << bits)) * SECTOR;
}

static struct span draw_span(struct run *r)
{
	uint64_t most = 3 * r->cluster;
	struct span s;

	if (most < 65536)
		most = 65536;
	if (most > MAX_WRITE)
		most = MAX_WRITE;
	s.len = draw_length(r, most);
	if (rng_below(&r->rng, 3) == 0)
		s.len = (s.len + r->cluster - 1) / r->cluster * r->cluster;
	if (s.len > r->size)
		s.len = r->size;
	s.off = rng_below(&r->rng, (r->size - s.len) / SECTOR + 1) * SECTOR;
	if (rng_below(&r->rng, 2)) {
		uint64_t room = HOT_CLUSTERS * r->cluster;

		s.off = r->hot + rng_below(&r->rng, room / SECTOR) * SECTOR;
	}
	if (rng_below(&r->rng, 3) == 0)
		s.off = s.off / r->cluster * r->cluster;
	if (s.off + s.len > r->size)
		s.off = r->size - s.len;
	return s;
}

/* Bytes that tell which operation wrote them. */
static void fill(struct run *r, unsigned char *buf, struct span s)
{
	uint64_t kind = rng_below(&r->rng, 10);
	uint64_t i, word = rng_next(&r->rng);

	if (kind == 0) {
		memset(buf, 0, s.len);
		return;
	}
	if (kind == 1) {
		memset(buf, word | 1, s.len);
		return;
	}
	for (i = 0; i < s.len / 8; i++) {
		if (i % (SECTOR / 8) == 0)
			word = rng_next(&r->rng) | 1;
		((uint64_t *)buf)[i] = word + i;
	}
}

/* --- The model --- */

static void model_write(struct run *r, const unsigned char *buf, struct span s)
{
	memcpy(r->model + s.off, buf, s.len);
	memset(r->either + s.off / SECTOR, 0, s.len / SECTOR);
}

static void model_zero(struct run *r, struct span s)
{
	memset(r->model + s.off, 0, s.len);
	memset(r->either + s.off / SECTOR, 0, s.len / SECTOR);
}

static void model_discard(struct run *r, struct span s)
{
	memset(r->either + s.off / SECTOR, 1, s.len / SECTOR);
}

/* A sector that was read: whether it is zeros is known from now on. */
static bool model_sector(struct run *r, const unsigned char *got, uint64_t off)
{
	unsigned char *want = r->model + off;
	uint64_t i = off / SECTOR;

	if (!memcmp(got, want, SECTOR)) {
		r->either[i] = 0;
		return true;
	}
	if (r->either[i] && !memcmp(got, zeros, SECTOR)) {
		memset(want, 0, SECTOR);
		r->either[i] = 0;
		return true;
	}
	for (i = 0; got[i] == want[i]; i++)
		;
	return wrong(r, "at %llu there is %02x, not %02x",
		     (unsigned long long)(off + i), got[i], want[i]);
}

static bool compare(struct run *r, struct span s)
{
	uint64_t at, n, i;
	ssize_t got;

	for (at = s.off; at < s.off + s.len; at += n) {
		n = s.off + s.len - at;
		if (n > CHUNK)
			n = CHUNK;
		got = pread(r->fd, r->buf, n, at);
		if (got != (ssize_t)n)
			return wrong(r, "read at %llu: %s", (unsigned long long)at,
				     got < 0 ? strerror(errno) : "short");
		if (!memchr(r->either + at / SECTOR, 1, n / SECTOR) &&
		    !memcmp(r->buf, r->model + at, n))
			continue;
		for (i = 0; i < n; i += SECTOR)
			if (!model_sector(r, r->buf + i, at + i))
				return false;
	}
	return true;
}

/* --- Operations --- */

static bool attach(struct run *r)
{
	char why[200];

	if (target_attach(&r->t, r->image, r->args, why, sizeof(why)))
		return wrong(r, "%s", why);
	r->fd = open(r->t.dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (r->fd < 0)
		return wrong(r, "%s: %s", r->t.dev, strerror(errno));
	return true;
}

static bool detach(struct run *r)
{
	char why[200];

	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (r->t.dev[0] && target_detach(&r->t, why, sizeof(why)))
		return wrong(r, "%s", why);
	r->t.dev[0] = 0;
	return true;
}

static bool do_write(struct run *r, int flags)
{
	struct span s = draw_span(r);
	struct iovec iov = { r->buf, s.len };
	ssize_t n;

	note(r, "%s %llu %llu", flags ? "fua" : "write", (unsigned long long)s.off,
	     (unsigned long long)s.len);
	fill(r, r->buf, s);
	n = pwritev2(r->fd, &iov, 1, s.off, flags);
	if (n != (ssize_t)s.len)
		return wrong(r, "write %llu+%llu: %s", (unsigned long long)s.off,
			     (unsigned long long)s.len,
			     n < 0 ? strerror(errno) : "short");
	model_write(r, r->buf, s);
	return true;
}

static bool op_write(struct run *r)
{
	return do_write(r, 0);
}

static bool op_fua(struct run *r)
{
	return do_write(r, RWF_DSYNC);
}

static bool overlaps(const struct span *s, int nr, struct span with)
{
	int i;

	for (i = 0; i < nr; i++)
		if (s[i].off < with.off + with.len && with.off < s[i].off + s[i].len)
			return true;
	return false;
}

/* Small neighbours, so that some are in one cluster. */
static int draw_batch(struct run *r, struct span *s)
{
	struct span near = draw_span(r);
	int nr = 0, tries;

	for (tries = 0; tries < 3 * BATCH && nr < BATCH; tries++) {
		struct span one = near;

		one.len = draw_length(r, r->cluster < 8192 ? 8192 : r->cluster);
		one.off += rng_below(&r->rng, 4 * r->cluster / SECTOR) * SECTOR;
		if (one.off + one.len <= r->size && !overlaps(s, nr, one))
			s[nr++] = one;
	}
	return nr;
}

static bool op_batch(struct run *r)
{
	struct io_event ev[BATCH];
	struct span s[BATCH];
	int nr = draw_batch(r, s), i, err;

	for (i = 0; i < nr; i++) {
		unsigned char *buf = r->buf + i * MAX_WRITE;

		note(r, "batch %llu %llu", (unsigned long long)s[i].off,
		     (unsigned long long)s[i].len);
		fill(r, buf, s[i]);
		err = aio_write(&r->aio, i, r->fd, buf, s[i].len, s[i].off, 0);
		if (err)
			die("io_submit: %s", strerror(-err));
		model_write(r, buf, s[i]);
	}
	aio_reap(&r->aio, nr, nr, ev);
	for (i = 0; i < nr; i++) {
		struct span *done = &s[ev[i].data];

		if (ev[i].res != (long long)done->len)
			return wrong(r, "write %llu+%llu: %s",
				     (unsigned long long)done->off,
				     (unsigned long long)done->len,
				     ev[i].res < 0 ? strerror(-ev[i].res) : "short");
	}
	return true;
}

static bool op_zero(struct run *r)
{
	struct span s = draw_span(r);
	bool punch = rng_below(&r->rng, 2);
	int err;

	note(r, "%s %llu %llu", punch ? "punch" : "zero", (unsigned long long)s.off,
	     (unsigned long long)s.len);
	err = zero_some(r->fd, s.off, s.len, punch);
	if (err)
		return wrong(r, "zero %llu+%llu: %s", (unsigned long long)s.off,
			     (unsigned long long)s.len, strerror(-err));
	model_zero(r, s);
	return true;
}

static bool op_discard(struct run *r)
{
	struct span s = draw_span(r);
	int err;

	note(r, "discard %llu %llu", (unsigned long long)s.off,
	     (unsigned long long)s.len);
	err = discard(r->fd, s.off, s.len);
	if (err == -EOPNOTSUPP)
		return true;
	if (err)
		return wrong(r, "discard %llu+%llu: %s", (unsigned long long)s.off,
			     (unsigned long long)s.len, strerror(-err));
	model_discard(r, s);
	return true;
}

static bool op_flush(struct run *r)
{
	note(r, "flush");
	if (fsync(r->fd))
		return wrong(r, "fsync: %s", strerror(errno));
	return true;
}

static bool op_read(struct run *r)
{
	struct span s = draw_span(r);

	note(r, "read %llu %llu", (unsigned long long)s.off, (unsigned long long)s.len);
	return compare(r, s);
}

static bool op_reattach(struct run *r)
{
	note(r, "reattach");
	return detach(r) && attach(r);
}

static const struct {
	bool (*run)(struct run *r);
	unsigned int weight;
} ops[] = {
	{ op_write, 36 }, { op_fua, 4 }, { op_batch, 12 }, { op_zero, 14 },
	{ op_discard, 14 }, { op_flush, 7 }, { op_read, 10 }, { op_reattach, 3 },
};

static bool step(struct run *r)
{
	unsigned int total = 0, pick;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	pick = rng_below(&r->rng, total);
	for (i = 0; pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	return ops[i].run(r);
}

static bool whole(struct run *r)
{
	struct span all = { 0, r->size };
	off_t size = lseek(r->fd, 0, SEEK_END);

	if (size != (off_t)r->size)
		return wrong(r, "the device has %lld bytes, not %llu", (long long)size,
			     (unsigned long long)r->size);
	return compare(r, all);
}

static void write_image(struct run *r)
{
	if (!attach(r) || !whole(r))
		return;
	for (r->nr = 1; r->nr <= steps; r->nr++)
		if (!step(r))
			return;
	if (!whole(r))
		return;
	/* Once more with nothing cached; after that no sector may be either. */
	if (rng_below(&r->rng, 2) && detach(r) && attach(r))
		whole(r);
}

/* --- Files --- */

static unsigned char *map_file(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	p = mmap(NULL, st.st_size ? st.st_size : 1, PROT_READ | PROT_WRITE, MAP_SHARED,
		 fd, 0);
	if (p == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	*size = st.st_size;
	return p;
}

static unsigned char *map_new_file(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, size))
		die("%s: %s", path, strerror(errno));
	close(fd);
	return map_file(path, &size);
}

/* A complaint of the kernel shall have the image's name above it. */
static void tell_kernel(const char *name)
{
	FILE *f = fopen("/dev/kmsg", "w");

	if (!f)
		return;
	fprintf(f, "qcowwrite: %s\n", name);
	fclose(f);
}

static void run_line(char **field, const char *root, unsigned char *buf)
{
	struct run r = { .name = field[0], .args = field[3], .fd = -1, .buf = buf };
	char path[512], why[200];

	tell_kernel(r.name);
	rng_seed(&r.rng, field[5]);
	r.cluster = strtoull(field[4], NULL, 10);
	snprintf(path, sizeof(path), "%s/%s", root, field[2]);
	r.model = map_file(path, &r.size);
	r.size = r.size / SECTOR * SECTOR;
	snprintf(path, sizeof(path), "%s/%s.either", root, field[2]);
	r.either = map_new_file(path, r.size / SECTOR);
	snprintf(path, sizeof(path), "%s/%s.ops", root, field[2]);
	r.ops = fopen(path, "w");
	if (!r.ops)
		die("%s: %s", path, strerror(errno));
	/* QEMU looks for a data file in the current folder. */
	snprintf(path, sizeof(path), "%s/%s", root, field[1]);
	r.image = basename(path);
	if (chdir(dirname(strdupa(path))))
		die("%s: %s", path, strerror(errno));
	r.hot = rng_below(&r.rng, r.size / SECTOR) * SECTOR;
	aio_begin(&r.aio);
	write_image(&r);
	if (!detach(&r) && !r.t.nbd) {
		if (target_detach(&r.t, why, sizeof(why)))
			detach_index(r.t.index, QCOW_DETACH_FORCE);
	}
	aio_end(&r.aio);
	fclose(r.ops);
	munmap(r.model, r.size ? r.size : 1);
	munmap(r.either, r.size / SECTOR);
	if (r.why[0])
		printf("not ok %s: %s\n", r.name, r.why);
	else
		printf("ok %s\n", r.name);
}

int diff_main(int argc, char **argv)
{
	const char *limit = getenv("QCOW_STEPS");
	unsigned char *buf = alloc_aligned(BATCH * MAX_WRITE);
	char *line = NULL, *field[6], *rest;
	size_t room = 0;
	FILE *f;
	int i;

	f = argc == 3 ? fopen(argv[2], "r") : NULL;
	if (!f)
		die("usage: diff ROOT MANIFEST");
	if (limit && *limit)
		steps = atoi(limit);
	while (getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		rest = line;
		for (i = 0; i < 6 && rest; i++)
			field[i] = strsep(&rest, "\t");
		if (i != 6)
			die("%s: not six fields", field[0]);
		run_line(field, argv[1], buf);
	}
	fclose(f);
	return 0;
}
