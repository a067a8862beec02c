// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite errors DEVICE: tries requests that no disk can do, and prints how they end, so
 * that the errors can be compared with those of another disk of the same size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "write.h"

#define BUF	(64u << 10)

static unsigned char *buf;

static void tell(const char *what, long long n)
{
	if (n < 0)
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: %lld\n", what, n);
}

static void try_ranges(int fd, const char *how, uint64_t size)
{
	static const struct {
		const char *what;
		long long from_end;
		uint64_t len;
	} tries[] = {
		{ "at the end", 0, 4096 },
		{ "across the end", -4096, 8192 },
		{ "the last sector", -512, 512 },
		{ "far behind", 1ll << 40, 512 },
		{ "half a sector", -512, 256 },
		{ "not on a sector", -1000, 512 },
		{ "a sector and a half", -1024, 768 },
	};
	char what[80];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		uint64_t off = size + tries[i].from_end;
		uint64_t range[2] = { off, tries[i].len };

		snprintf(what, sizeof(what), "%s write %s", how, tries[i].what);
		tell(what, pwrite(fd, buf, tries[i].len, off));
		snprintf(what, sizeof(what), "%s read %s", how, tries[i].what);
		tell(what, pread(fd, buf, tries[i].len, off));
		snprintf(what, sizeof(what), "%s zeroout %s", how, tries[i].what);
		tell(what, ioctl(fd, BLKZEROOUT, range));
	}
}

static void try_mode(const char *dev, const char *how, int flags)
{
	uint64_t size = 0;
	char what[80];
	int fd = open(dev, flags | O_CLOEXEC);

	if (fd < 0) {
		snprintf(what, sizeof(what), "%s open", how);
		tell(what, fd);
		return;
	}
	if (ioctl(fd, BLKGETSIZE64, &size))
		die("%s: %s", dev, strerror(errno));
	try_ranges(fd, how, size);
	snprintf(what, sizeof(what), "%s fsync", how);
	tell(what, fsync(fd));
	snprintf(what, sizeof(what), "%s memory that is not aligned", how);
	tell(what, pwrite(fd, buf + 3, 512, 0));
	close(fd);
}

int errors_main(int argc, char **argv)
{
	if (argc != 2)
		die("usage: errors DEVICE");
	buf = alloc_aligned(BUF + 8);
	memset(buf, 0x5a, BUF + 8);
	try_mode(argv[1], "direct", O_RDWR | O_DIRECT);
	try_mode(argv[1], "buffered", O_RDWR);
	try_mode(argv[1], "read-only", O_RDONLY | O_DIRECT);
	return 0;
}
