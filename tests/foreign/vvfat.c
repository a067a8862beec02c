// SPDX-License-Identifier: GPL-2.0
/*
 * vvfat FOLDER OUT [OPTION=VALUE...]: writes the disk that a folder is shown as into a sparse
 * file, by its table, and its partition into OUT.fs, and prints numbers about it. The options
 * are those of struct vvfat_options. The exit status is 1 if the folder is refused.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <locale.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow/ondisk/map_table.h"
#include "vvfat/vvfat.h"

static void die(const char *text)
{
	fprintf(stderr, "vvfat test: %s\n", text);
	exit(2);
}

static void set_option(struct vvfat_options *o, const char *word)
{
	const char *value = strchr(word, '=');

	if (!value)
		die("no option");
	value++;
	if (!strncmp(word, "label=", 6))
		o->label = value;
	else if (!strncmp(word, "serial=", 7))
		o->serial = strtoul(value, NULL, 16);
	else if (!strncmp(word, "fat_bits=", 9))
		o->fat_bits = strtoul(value, NULL, 10);
	else if (!strncmp(word, "size=", 5))
		o->size = strtoull(value, NULL, 10);
	else if (!strncmp(word, "files_max=", 10))
		o->files_max = strtoul(value, NULL, 10);
	else if (!strncmp(word, "copy_max=", 9))
		o->copy_max = strtoull(value, NULL, 10);
	else
		die("no such option");
}

/* As the driver checks it when the table is used. */
static void check_entry(const struct vvfat *v, const struct qcow_map_entry *e, u64 end)
{
	const struct qcow_map_header h = {
		.disk_size = v->size, .nr_files = v->nr_files, .sector_size = SZ_512,
	};
	const char *fault = qcow_map_table_fault(&h, e, end);
	struct stat st;

	if (fault)
		die(fault);
	if (e->kind == QCOW_MAP_DATA &&
	    (fstat(v->files[e->file].fd, &st) || e->host + (end - e->start) > (u64)st.st_size))
		die("a piece past the end of its file");
}

static void write_part(int out, const void *buf, size_t len, s64 file_offset)
{
	if (file_offset >= 0 && pwrite(out, buf, len, file_offset) != (ssize_t)len)
		die("cannot write");
}

/* Holes of the folder's files stay holes. */
static void copy(const struct vvfat *v, const struct qcow_map_entry *e, u64 end, const int *out)
{
	int fd = v->files[e->file].fd;
	u64 stop = e->host + (end - e->start);
	char buf[SZ_64K];
	off_t host_offset = e->host;
	ssize_t n;

	while ((host_offset = lseek(fd, host_offset, SEEK_DATA)) >= 0 && (u64)host_offset < stop) {
		n = pread(fd, buf, min(stop - host_offset, sizeof(buf)), host_offset);
		if (n <= 0)
			die("cannot read");
		write_part(out[0], buf, n, host_offset - e->host + e->start);
		write_part(out[1], buf, n, host_offset - e->host + e->start - SZ_1M);
		host_offset += n;
	}
}

static int create(const char *path, const char *ending, u64 size)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, ending);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || ftruncate(fd, size))
		die(name);
	return fd;
}

static void write_disk(const struct vvfat *v, const char *path)
{
	int out[] = { create(path, "", v->size), create(path, ".fs", v->size - SZ_1M) };
	u64 i, end;

	for (i = 0; i < v->nr_entries; i++) {
		end = i + 1 < v->nr_entries ? v->entries[i + 1].start : v->size;
		if (!i && v->entries[i].start)
			die("the table does not begin with the disk");
		check_entry(v, &v->entries[i], end);
		if (v->entries[i].kind == QCOW_MAP_DATA)
			copy(v, &v->entries[i], end, out);
	}
	close(out[0]);
	close(out[1]);
}

int main(int argc, char **argv)
{
	struct vvfat_options o = { };
	struct vvfat v;
	int i, err;

	setlocale(LC_ALL, "");
	if (argc < 3)
		die("usage: vvfat FOLDER OUT [OPTION=VALUE...]");
	for (i = 3; i < argc; i++)
		set_option(&o, argv[i]);
	err = vvfat_make(&v, argv[1], &o);
	if (!err) {
		printf("size %llu\nbits %u\ncluster %u\nserial %08x\nlabel %s\nfiles %u\nentries %llu\n",
		       (unsigned long long)v.size, v.fat_bits, v.cluster_size, v.serial, v.label,
		       v.nr_files, (unsigned long long)v.nr_entries);
		write_disk(&v, argv[2]);
	}
	vvfat_free(&v);
	return err ? 1 : 0;
}
