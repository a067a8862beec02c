// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that shell scripts use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcowtest.h"

/* Prints "ok" or the name of the error of one read. */
int read_main(int argc, char **argv)
{
	unsigned char *buf;
	size_t len;
	ssize_t n;
	int fd;

	if (argc < 4)
		return 2;
	fd = open(argv[1], O_RDONLY | (argc > 4 ? O_DIRECT : 0));
	if (fd < 0) {
		puts(strerrorname_np(errno));
		return 1;
	}
	len = strtoull(argv[3], NULL, 0);
	buf = alloc_aligned(len);
	n = pread(fd, buf, len, strtoull(argv[2], NULL, 0));
	puts(n == (ssize_t)len ? "ok" : n < 0 ? strerrorname_np(errno) : "short");
	return n != (ssize_t)len;
}

#define STEP	65536

/*
 * Reads a device in steps. Prints how many of them were right, and how many
 * failed with EIO; nothing else may happen.
 */
int steps_main(int argc, char **argv)
{
	unsigned char *buf = alloc_aligned(STEP), *ref;
	size_t size, off;
	int fd, good = 0, bad = 0;
	ssize_t n;

	if (argc < 3)
		return 2;
	ref = load_file(argv[2], &size);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	for (off = 0; off < size; off += STEP) {
		n = pread(fd, buf, STEP, off);
		if (n < 0 && errno == EIO)
			bad++;
		else if (n > 0 && !memcmp(buf, ref + off, n))
			good++;
		else
			die("%s: wrong at %#zx: %zd", argv[1], off, n);
	}
	printf("%d %d\n", good, bad);
	return 0;
}

/*
 * Keeps a device open until its standard input ends; "read": and reads it all
 * the time until that fails, and then prints the error, or EOF.
 */
int hold_main(int argc, char **argv)
{
	unsigned char *buf = alloc_aligned(65536);
	ssize_t n;
	int fd;
	char c;

	if (argc < 2)
		return 2;
	fd = open(argv[1], O_RDONLY | (argc > 2 ? O_DIRECT : 0));
	if (fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	puts("open");
	if (argc > 2) {
		while ((n = pread(fd, buf, 65536, 0)) == 65536)
			;
		puts(n < 0 ? strerrorname_np(errno) : "EOF");
	}
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

#define FIELD(name)	{ #name, offsetof(struct qcow_ioc_status, name) }

static const struct {
	const char *name;
	size_t in_status;
} fields[] = {
	FIELD(bytes), FIELD(cluster_size), FIELD(cache_size), FIELD(cache_used),
	FIELD(cache_hits), FIELD(cache_misses), FIELD(fast), FIELD(slow),
	FIELD(decompressed), FIELD(errors),
};

/* Prints a 64-bit field of a device's status, or its state. */
int status_main(int argc, char **argv)
{
	struct qcow_ioc_status st;
	uint64_t value;
	size_t i;

	if (argc < 3)
		return 2;
	if (get_status(atoi(argv[1]), &st))
		die("no status: %s", strerror(errno));
	if (!strcmp(argv[2], "state"))
		printf("%u\n", st.state);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(argv[2], fields[i].name))
			continue;
		memcpy(&value, (char *)&st + fields[i].in_status, sizeof(value));
		printf("%llu\n", (unsigned long long)value);
	}
	return 0;
}
