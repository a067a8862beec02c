// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite claim DEVICE: opens it for itself alone, and lets go of it.
 *
 * qcowwrite salvage DEVICE REFERENCE LEAST: each sector of a device either is that of
 * the reference file, or cannot be read with EIO; at least LEAST sectors are right.
 * Prints how many are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "write.h"

#define STEP	(256 << 10)

struct salvage {
	int dev;
	int ref;
	unsigned char *buf;
	unsigned char *want;
	unsigned long right;
};

int claim_main(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		die("usage: claim DEVICE");
	fd = open(argv[1], O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	close(fd);
	return 0;
}

/* A range that cannot be read as a whole is read in halves, down to sectors. */
static void look(struct salvage *s, off_t off, size_t len)
{
	ssize_t n = pread(s->dev, s->buf, len, off);
	size_t half = len / 2 / SECTOR * SECTOR, i;

	if (n < 0 && errno == EIO) {
		if (half) {
			look(s, off, half);
			look(s, off + half, len - half);
		}
		return;
	}
	if (n != (ssize_t)len)
		die("read at %lld: %zd: %s", (long long)off, n, strerror(errno));
	if (pread(s->ref, s->want, len, off) != (ssize_t)len)
		die("the reference is too short");
	for (i = 0; i < len; i += SECTOR)
		if (memcmp(s->buf + i, s->want + i, SECTOR))
			die("at %lld there is %02x, not %02x", (long long)(off + i),
			    s->buf[i], s->want[i]);
	s->right += len / SECTOR;
}

int salvage_main(int argc, char **argv)
{
	struct salvage s = { };
	off_t end, off;

	if (argc != 4)
		die("usage: salvage DEVICE REFERENCE LEAST");
	s.buf = alloc_aligned(STEP);
	s.want = alloc_aligned(STEP);
	s.dev = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	s.ref = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (s.dev < 0 || s.ref < 0)
		die("%s, %s: %s", argv[1], argv[2], strerror(errno));
	end = lseek(s.dev, 0, SEEK_END);
	for (off = 0; off < end; off += STEP)
		look(&s, off, end - off < STEP ? end - off : STEP);
	printf("%lu\n", s.right);
	if (s.right < strtoul(argv[3], NULL, 0))
		die("only %lu sectors are right", s.right);
	return 0;
}
