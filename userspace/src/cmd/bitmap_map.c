// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl map --bitmap: which bytes of a disk a bitmap says are dirty.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/bitmap.h"
#include "device/which.h"
#include "lib/report.h"

static bool is_dirty(const struct bitmap *b, u64 i)
{
	return b->bits[i / 8] >> i % 8 & 1;
}

/* The end of the run of equal bits that begins at @i. */
static u64 run_end(const struct bitmap *b, u64 i, u64 nr)
{
	bool dirty = is_dirty(b, i);
	u8 all = dirty ? 0xff : 0;

	while (i < nr && is_dirty(b, i) == dirty) {
		i++;
		/* Whole bytes at once. */
		while (!(i % 8) && i + 8 <= nr && b->bits[i / 8] == all)
			i += 8;
	}
	return i;
}

static void print_run(u64 start, u64 length, bool dirty, bool json, bool first)
{
	if (json)
		printf("%s{ \"start\": %llu, \"length\": %llu, \"dirty\": %s}",
		       first ? "[" : ",\n", (unsigned long long)start,
		       (unsigned long long)length, dirty ? "true" : "false");
	else if (dirty)
		printf("%15llu %15llu\n", (unsigned long long)start,
		       (unsigned long long)length);
}

static void print_bitmap(const struct bitmap *b, bool json)
{
	u64 nr = b->disk_size / b->granularity + !!(b->disk_size % b->granularity);
	u64 i, end, start, stop;

	if (!json)
		printf("%15s %15s\n", "START", "LENGTH");
	for (i = 0; i < nr && !ferror(stdout); i = end) {
		end = run_end(b, i, nr);
		start = i * b->granularity;
		stop = end == nr ? b->disk_size : end * b->granularity;
		print_run(start, stop - start, is_dirty(b, i), json, !i);
	}
	if (json)
		puts(nr ? "]" : "[]");
}

static int print_named(const char *arg, const struct bitmaps *all,
		       const char *name, bool json)
{
	const struct bitmap *b;
	u32 i;

	for (i = 0; i < all->nr; i++) {
		b = &all->list[i];
		if (strcmp(b->name, name))
			continue;
		if (b->inconsistent) {
			report(arg, "that bitmap is inconsistent, since it was not stored; make a full copy, remove it and add it anew");
			return 1;
		}
		print_bitmap(b, json);
		return 0;
	}
	report(arg, "has no bitmap of that name; see qcowctl bitmap list");
	return 1;
}

/* Flush data of the device that is still in the page cache. */
static int sync_device(const char *arg)
{
	bool partition;
	int index = which_index_of_name(arg, &partition), fd, err;
	struct device d;
	char *path;

	if (index < 0) {
		err = which_of_image(&d, arg);
		if (err <= 0)
			return err;
		index = d.index;
	}
	path = xasprintf("/dev/qcow%d", index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? errno != ENOENT : fsync(fd);
	if (err)
		report(path, "cannot sync: %s; see the kernel log",
		       strerror(errno));
	if (fd >= 0)
		close(fd);
	free(path);
	return err;
}

/**
 * bitmap_map() - print a bitmap
 * @arg: image or device
 * @format: of an image, 0: probe
 * @name: of the bitmap
 * @json: as JSON, clean ranges too
 *
 * Return: the exit code.
 */
int bitmap_map(const char *arg, u32 format, const char *name, bool json)
{
	struct bitmaps all = { };
	int err = sync_device(arg) || bitmaps_of(&all, arg, format, name);

	if (!err)
		err = print_named(arg, &all, name, json);
	bitmaps_free(&all);
	return !!err;
}
