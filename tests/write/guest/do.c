// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite do DEVICE OPERATION...: does one after the other. Each is a word of
 * its own for the shell:
 *
 *	write OFF LEN BYTE	with that byte everywhere
 *	fua OFF LEN BYTE	durable once done
 *	zero OFF LEN		write zeroes that keep their place
 *	punch OFF LEN		write zeroes that need not
 *	discard OFF LEN
 *	read OFF LEN BYTE	has to find that byte everywhere
 *	either OFF LEN BYTE	has to find that byte or zeros, in each sector
 *	flush
 *	sleep MS
 *	clock [NAME]		says how many microseconds passed since the last one
 *	run COMMAND		has the shell run it; all that follows is the command
 *
 * OFF and LEN may end in k or m. With =ERROR at the end it has to fail like that,
 * with ?ERROR it may.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "write.h"

#define MAX_WORDS	6

static const struct {
	const char *name;
	int error;
} errors[] = {
	{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EROFS", EROFS }, { "EPERM", EPERM },
	{ "EOPNOTSUPP", EOPNOTSUPP }, { "EINVAL", EINVAL },
};

struct operation {
	char *word[MAX_WORDS];
	int nr;
	uint64_t off;
	uint64_t len;
	unsigned char byte;
};

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (*end == 'k')
		return n << 10;
	if (*end == 'm')
		return n << 20;
	if (*end)
		die("no number: %s", text);
	return n;
}

static int do_write(int fd, const struct operation *o, int flags)
{
	struct iovec iov = { alloc_aligned(o->len), o->len };
	ssize_t n;

	memset(iov.iov_base, o->byte, o->len);
	n = pwritev2(fd, &iov, 1, o->off, flags);
	n = n < 0 ? -errno : n;
	free(iov.iov_base);
	return n < 0 || (uint64_t)n == o->len ? (n < 0 ? n : 0) : -ENODATA;
}

static bool all(const unsigned char *p, size_t len, unsigned char byte)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static int do_read(int fd, const struct operation *o, bool either)
{
	unsigned char *buf = alloc_aligned(o->len);
	ssize_t n = pread(fd, buf, o->len, o->off);
	uint64_t i;

	n = n < 0 ? -errno : n;
	for (i = 0; n > 0 && i < (uint64_t)n; i += SECTOR)
		if (!all(buf + i, SECTOR, o->byte) &&
		    !(either && all(buf + i, SECTOR, 0)))
			die("at %llu there is %02x, not %02x",
			    (unsigned long long)(o->off + i), buf[i], o->byte);
	free(buf);
	return n < 0 || (uint64_t)n == o->len ? (n < 0 ? n : 0) : -ENODATA;
}

static int say_clock(const char *name)
{
	static uint64_t last;
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
	if (name)
		printf("%s %llu\n", name, (unsigned long long)(now - last));
	last = now;
	return 0;
}

static int run(int fd, const struct operation *o)
{
	const char *name = o->word[0];

	if (!strcmp(name, "write"))
		return do_write(fd, o, 0);
	if (!strcmp(name, "fua"))
		return do_write(fd, o, RWF_DSYNC);
	if (!strcmp(name, "zero") || !strcmp(name, "punch"))
		return zero_some(fd, o->off, o->len, *name == 'p');
	if (!strcmp(name, "discard"))
		return discard(fd, o->off, o->len);
	if (!strcmp(name, "read") || !strcmp(name, "either"))
		return do_read(fd, o, *name == 'e');
	if (!strcmp(name, "flush"))
		return fsync(fd) ? -errno : 0;
	if (!strcmp(name, "clock"))
		return say_clock(o->nr > 1 ? o->word[1] : NULL);
	if (!strcmp(name, "sleep"))
		return usleep(o->off * 1000);
	die("no such operation: %s", name);
}

static int error_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].error;
	die("no such error: %s", name);
}

static void perform_io(int fd, const char *text)
{
	char *copy = strdup(text), *rest = copy, *word, how = 0;
	struct operation o = { };
	int want = 0, err;

	while ((word = strsep(&rest, " ")) && o.nr < MAX_WORDS) {
		if (*word == '=' || *word == '?') {
			how = *word;
			want = error_of(word + 1);
		} else {
			o.word[o.nr++] = word;
		}
	}
	o.off = o.nr > 1 && strcmp(o.word[0], "clock") ? number(o.word[1]) : 0;
	o.len = o.nr > 2 ? number(o.word[2]) : 0;
	o.byte = o.nr > 3 ? number(o.word[3]) : 0;
	err = -run(fd, &o);
	if (err != want && !(how == '?' && !err))
		die("%s: %s", text, err ? strerror(err) : "it works");
	free(copy);
}

static void perform(int fd, const char *text)
{
	if (!strncmp(text, "run ", 4)) {
		if (system(text + 4))
			die("failed: %s", text + 4);
		return;
	}
	perform_io(fd, text);
}

int do_main(int argc, char **argv)
{
	int fd, i;

	if (argc < 3)
		die("usage: do DEVICE OPERATION...");
	fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	for (i = 2; i < argc; i++)
		perform(fd, argv[i]);
	close(fd);
	return 0;
}
