// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest compare: attaches the images of a manifest one by one and compares
 * the device's content with a reference file.
 *
 * A line of the manifest: name, image, reference, arguments of qcowctl attach,
 * checks; separated by tabs, "-" where there is nothing. Checks, separated by
 * spaces:
 *
 *	offset=N limit=N	the device shows this part of the reference
 *	bad=N+LEN,...		these bytes cannot be read, and the log says so
 *	quiet			they cannot be read, but it is no damage
 *	ioctl			attach without qcowctl
 *
 * Prints "ok NAME" or "not ok NAME: why" for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qcowtest.h"

#define MAX_JOBS	8192
#define MAX_BAD		4096
#define CHUNK		MIB
#define RANDOM_READS	40
#define BUFFERED_BYTES	(2 * MIB)
#define WORKERS		4

struct job {
	char *name;
	char *image;
	char *ref;
	char *args;
	char *checks;
};

struct range {
	uint64_t start;
	uint64_t len;
};

/**
 * struct view - a device and its expected content
 * @fd: the device, or -1
 * @data: the bytes
 * @size: how many
 * @bad: which cannot be read, in order
 * @nr_bad: how many ranges
 * @buf: to read into
 * @why: the first fault, empty if there is none
 */
struct view {
	int fd;
	const unsigned char *data;
	uint64_t size;
	struct range bad[MAX_BAD];
	size_t nr_bad;
	unsigned char *buf;
	char why[600];
};

static const char *prefix = "";
static const char *root = ".";
static const char *more_args = "";

__attribute__((format(printf, 2, 3)))
static bool wrong(struct view *v, const char *fmt, ...)
{
	va_list args;

	if (v->why[0])
		return false;
	va_start(args, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, args);
	va_end(args);
	return false;
}

/* The first byte in the range that cannot be read, or its end. */
static uint64_t first_bad(const struct view *v, uint64_t off, uint64_t len)
{
	size_t i;

	for (i = 0; i < v->nr_bad; i++) {
		const struct range *b = &v->bad[i];

		if (b->start < off + len && b->start + b->len > off)
			return b->start > off ? b->start : off;
	}
	return off + len;
}

static bool same(struct view *v, const char *how, uint64_t off, size_t len)
{
	size_t i;

	if (!memcmp(v->buf, v->data + off, len))
		return true;
	for (i = 0; v->buf[i] == v->data[off + i]; i++)
		;
	return wrong(v, "%s read of %zu at %#llx: byte %#llx is %02x, not %02x",
		     how, len, (unsigned long long)off,
		     (unsigned long long)off + i, v->buf[i], v->data[off + i]);
}

/* Whether a read of a range returned the expected data or error. */
static bool judge(struct view *v, const char *how, uint64_t off, size_t len,
		  ssize_t n)
{
	uint64_t good = first_bad(v, off, len) - off;

	if (good == len) {
		if (n == (ssize_t)len)
			return same(v, how, off, len);
		return wrong(v, "%s read of %zu at %#llx: %zd, %s", how, len,
			     (unsigned long long)off, n, n < 0 ? strerror(errno) : "short");
	}
	if (n < 0)
		return errno == EIO ||
		       wrong(v, "%s read of %zu at %#llx: %s, not EIO", how, len,
			     (unsigned long long)off, strerror(errno));
	if ((uint64_t)n > good)
		return wrong(v, "%s read of %zu at %#llx gave %zd bytes, but those from %#llx on are damaged",
			     how, len, (unsigned long long)off, n,
			     (unsigned long long)(off + good));
	return same(v, how, off, n);
}

static bool read_range(struct view *v, const char *how, uint64_t off, size_t len)
{
	memset(v->buf, 0xa5, len);
	return judge(v, how, off, len, pread(v->fd, v->buf, len, off));
}

static bool read_all(struct view *v)
{
	uint64_t off;

	for (off = 0; off < v->size; off += CHUNK) {
		size_t len = v->size - off < CHUNK ? v->size - off : CHUNK;

		if (!read_range(v, "direct", off, len))
			return false;
	}
	return pread(v->fd, v->buf, 4096, v->size) == 0 ||
	       wrong(v, "a read at the end gives something");
}

/* Several pieces of memory, none of them aligned to more than a sector. */
static bool read_scattered(struct view *v, struct rng *rng, uint64_t off,
			   size_t len)
{
	struct iovec iov[8];
	size_t used = 0, n;
	int nr = 0;

	memset(v->buf, 0xa5, len);
	while (used < len) {
		n = (1 + rng_below(rng, 40)) * SECTOR;
		if (n > len - used || nr == 7)
			n = len - used;
		iov[nr].iov_base = v->buf + used;
		iov[nr].iov_len = n;
		used += n;
		nr++;
	}
	return judge(v, "scattered", off, len, preadv(v->fd, iov, nr, off));
}

static bool read_random(struct view *v, struct rng *rng)
{
	uint64_t sectors = v->size / SECTOR;
	unsigned char *buf = v->buf;
	bool ok = true;
	int i;

	for (i = 0; ok && i < RANDOM_READS; i++) {
		uint64_t len = 1 + rng_below(rng, rng_below(rng, 3) ? 16 : 512);
		uint64_t at;

		if (len > sectors)
			len = sectors;
		at = rng_below(rng, sectors - len + 1);
		v->buf = buf + rng_below(rng, 8) * SECTOR;
		if (rng_below(rng, 2))
			ok = read_range(v, "random", at * SECTOR, len * SECTOR);
		else
			ok = read_scattered(v, rng, at * SECTOR, len * SECTOR);
	}
	v->buf = buf;
	return ok;
}

static bool read_buffered(struct view *v, struct rng *rng)
{
	uint64_t off = 0, end = v->size;

	if (v->size > BUFFERED_BYTES) {
		off = rng_below(rng, v->size - BUFFERED_BYTES) & ~4095ull;
		end = off + BUFFERED_BYTES;
	}
	for (; off < end; off += 4096) {
		if (!read_range(v, "buffered", off,
				end - off < 4096 ? end - off : 4096))
			return false;
	}
	/* Bytes that no sector begins or ends with, up to the last one. */
	off = v->size > 777 ? v->size - 777 : 0;
	return read_range(v, "buffered", off, v->size - off);
}

/* Every piece of the size of a damaged one, to find the edges. */
static bool read_pieces(struct view *v)
{
	uint64_t step = v->bad[0].len, off;

	if (step > CHUNK)
		step = CHUNK;
	for (off = 0; off < v->size; off += step)
		if (!read_range(v, "piece", off, v->size - off < step ?
				v->size - off : step))
			return false;
	return true;
}

static bool refuses_writing(struct view *v, int index)
{
	int fd = open_device(index, O_RDWR | O_DIRECT);
	ssize_t n;

	if (fd < 0)
		return true;
	n = pwrite(fd, v->buf, SECTOR, 0);
	close(fd);
	return n < 0 || wrong(v, "a write succeeded");
}

static bool read_device(struct view *v, int index, struct rng *rng)
{
	uint64_t bytes;

	v->fd = open_device(index, O_RDONLY | O_DIRECT);
	if (v->fd < 0)
		return wrong(v, "cannot open the device: %s", strerror(errno));
	if (ioctl(v->fd, BLKGETSIZE64, &bytes) || bytes != v->size)
		return wrong(v, "the device has %llu bytes, not %llu",
			     (unsigned long long)bytes, (unsigned long long)v->size);
	if (!v->size)
		return true;
	if (!read_all(v) || !read_random(v, rng))
		return false;
	if (v->nr_bad)
		return read_pieces(v);
	close(v->fd);
	v->fd = open_device(index, O_RDONLY);
	return read_buffered(v, rng) && refuses_writing(v, index);
}

/* --- The kernel log --- */

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* How often the driver reported damage of this image since log_open(). */
static int log_count(int fd, int index, const char *image)
{
	char line[2048], label[300];
	int count = 0;
	ssize_t n;

	snprintf(label, sizeof(label), "qcow%d: %s: damaged at ", index,
		 strrchr(image, '/') + 1);
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		line[n] = 0;
		count += !!strstr(line, label);
	}
	close(fd);
	return count;
}

/* --- One case --- */

static void parse_bad(struct view *v, char *list)
{
	char *one;

	while ((one = strsep(&list, ","))) {
		if (v->nr_bad == MAX_BAD)
			die("too many bad ranges");
		v->bad[v->nr_bad].start = strtoull(one, &one, 0);
		v->bad[v->nr_bad++].len = strtoull(one + 1, NULL, 0);
	}
}

struct checks {
	uint64_t offset;
	uint64_t limit;
	bool ioctl;
	bool quiet;
};

static void parse_checks(struct checks *c, struct view *v, const char *text)
{
	char *copy = strdup(text), *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		if (!strncmp(word, "offset=", 7))
			c->offset = strtoull(word + 7, NULL, 0);
		else if (!strncmp(word, "limit=", 6))
			c->limit = strtoull(word + 6, NULL, 0);
		else if (!strncmp(word, "bad=", 4))
			parse_bad(v, word + 4);
		else if (!strcmp(word, "ioctl"))
			c->ioctl = true;
		else if (!strcmp(word, "quiet"))
			c->quiet = true;
		else if (strcmp(word, "-"))
			die("unknown check %s", word);
	}
	free(copy);
}

static int attach_job(const struct job *j, const struct checks *c,
		      struct view *v)
{
	char path[4096], args[1024];
	struct output o;
	int fd, index;

	snprintf(path, sizeof(path), "%s/%s", j->image[0] == '/' ? "" : root,
		 j->image);
	if (c->ioctl) {
		fd = open(path, O_RDONLY);
		index = attach_fd(fd, QCOW_FORMAT_QCOW2, 0);
		close(fd);
		if (index < 0)
			wrong(v, "ioctl: %s", strerror(-index));
		return index;
	}
	snprintf(args, sizeof(args), "%s %s", j->args, more_args);
	index = attach_by_tool(path, args, &o);
	if (index < 0)
		wrong(v, "attach: exit code %d, %.300s%.100s", o.code, o.err, o.out);
	else if (o.err[0])
		wrong(v, "attach succeeded, but said %.300s", o.err);
	return index;
}

static void check_status(struct view *v, const struct checks *c, int index,
			 int reports)
{
	bool damaged = v->nr_bad && !c->quiet;
	struct qcow_ioc_status st;

	if (get_status(index, &st)) {
		wrong(v, "no status: %s", strerror(errno));
		return;
	}
	if (!v->nr_bad && st.errors)
		wrong(v, "%llu failed requests", (unsigned long long)st.errors);
	if (v->nr_bad && !st.errors)
		wrong(v, "no failed requests are counted");
	if (!(st.state & QCOW_STATE_CORRUPT) == damaged)
		wrong(v, "the corrupt state is %sset", damaged ? "not " : "");
	if (reports != damaged)
		wrong(v, "damage was logged %d times, not %d", reports, damaged);
	if (st.bytes != v->size || st.openers > 2 || st.abi != QCOW_ABI_VERSION)
		wrong(v, "odd status: %llu bytes, %u openers, ABI %u",
		      (unsigned long long)st.bytes, st.openers, st.abi);
}

static void run_job(const struct job *j, struct view *v, struct checks *c)
{
	unsigned char *ref;
	char path[4096];
	struct rng rng;
	int index, log, err;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s", j->ref[0] == '/' ? "" : root, j->ref);
	ref = load_file(path, &size);
	v->data = ref + (c->offset < size ? c->offset : size);
	v->size = size - (c->offset < size ? c->offset : size);
	if (c->limit && v->size > c->limit)
		v->size = c->limit;
	rng_seed(&rng, j->name);
	log = log_open();
	index = attach_job(j, c, v);
	if (index >= 0) {
		read_device(v, index, &rng);
		check_status(v, c, index, log_count(log, index, j->image));
		if (v->fd >= 0)
			close(v->fd);
		err = detach_index(index, 0);
		if (err)
			wrong(v, "cannot detach /dev/qcow%d: %s", index, strerror(-err));
	} else {
		close(log);
	}
	free(ref);
}

static void report(const struct job *j, struct view *v, uint64_t ms)
{
	char *p;

	for (p = v->why; *p; p++)
		if (*p == '\n')
			*p = ' ';
	if (v->why[0])
		printf("not ok %s%s: %s [image %s, arguments %s %s]\n", prefix,
		       j->name, v->why, j->image, j->args, more_args);
	else
		printf("ok %s%s\n", prefix, j->name);
	if (ms > 10000)
		fprintf(stderr, "%s%s took %llu ms\n", prefix, j->name,
			(unsigned long long)ms);
}

static void worker(struct job *jobs, size_t nr, size_t *next)
{
	struct view *v = calloc(1, sizeof(*v));
	unsigned char *buf = alloc_aligned(CHUNK + 8 * SECTOR);
	size_t i;

	while ((i = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < nr) {
		struct checks checks = { };
		uint64_t start = now_ms();

		memset(v, 0, sizeof(*v));
		v->fd = -1;
		v->buf = buf;
		parse_checks(&checks, v, jobs[i].checks);
		run_job(&jobs[i], v, &checks);
		report(&jobs[i], v, now_ms() - start);
	}
	exit(0);
}

static size_t load_manifest(const char *path, struct job *jobs)
{
	FILE *f = fopen(path, "r");
	char *line = NULL, *rest;
	size_t size = 0, nr = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (getline(&line, &size, f) > 0 && nr < MAX_JOBS) {
		struct job *j = &jobs[nr++];

		line[strcspn(line, "\n")] = 0;
		rest = strdup(line);
		j->name = strsep(&rest, "\t");
		j->image = strsep(&rest, "\t");
		j->ref = strsep(&rest, "\t");
		j->args = strsep(&rest, "\t");
		j->checks = strsep(&rest, "\t");
		if (!j->checks)
			die("%s: bad line: %s", path, line);
	}
	free(line);
	fclose(f);
	return nr;
}

int compare_main(int argc, char **argv)
{
	static struct job jobs[MAX_JOBS];
	size_t nr, *next;
	int opt, i, status, failed = 0;

	while ((opt = getopt(argc, argv, "p:r:a:")) != -1) {
		if (opt == 'p')
			prefix = optarg;
		else if (opt == 'r')
			root = optarg;
		else if (opt == 'a')
			more_args = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	nr = load_manifest(argv[optind], jobs);
	next = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*next = 0;
	for (i = 0; i < WORKERS; i++)
		if (!fork())
			worker(jobs, nr, next);
	while (wait(&status) > 0)
		failed |= status;
	return !!failed;
}
