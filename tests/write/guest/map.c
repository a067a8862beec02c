// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite map: attaches an image by a table of linux/qcow_map.h, which is made of a text.
 * qcowwrite file: looks for the files of devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/qcow_map.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "write.h"

/* A table in the making: a file without a name */
struct table {
	int fd;
	struct qcow_map_header h;
};

static void table_put(const struct table *t, const void *data, size_t len, off_t where)
{
	if (pwrite(t->fd, data, len, where) != (ssize_t)len)
		die("table: %s", strerror(errno));
}

static uint8_t kind_of(const char *name)
{
	static const char *const names[] = { "hole", "zero", "data", "compressed" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return i;
	die("no such kind: %s", name);
}

/* Line "START KIND [FILE HOST [CODEC STORED PLAIN SKIP]]", numbers as of strtoull() */
static void add_piece(struct table *t, char *line)
{
	uint64_t n[6] = { 0 };
	struct qcow_map_entry e = { 0 };
	char *word = strtok(line, " \n");
	unsigned int i;

	e.start = strtoull(word, NULL, 0);
	word = strtok(NULL, " \n");
	e.kind = kind_of(word ? word : "");
	for (i = 0; i < ARRAY_SIZE(n) && (word = strtok(NULL, " \n")); i++)
		n[i] = strtoull(word, NULL, 0);
	e.file = n[0];
	e.host = n[1];
	e.codec = n[2];
	e.stored = n[3];
	e.plain = n[4];
	e.skip = n[5];
	if (e.kind == QCOW_MAP_HOLE)
		t->h.flags |= QCOW_MAP_HAS_HOLES;
	if (e.plain > t->h.chunk_max)
		t->h.chunk_max = e.plain;
	table_put(t, &e, sizeof(e), QCOW_MAP_HEADER_BYTES + t->h.nr_entries++ * sizeof(e));
}

/* Pieces of @step bytes up to the end of the disk, with data of the file's first @wrap bytes */
static void fill_pieces(struct table *t, uint64_t step, uint64_t wrap)
{
	struct qcow_map_entry e[1024] = { 0 };
	uint64_t start = 0;
	unsigned int i;

	while (start < t->h.disk_size) {
		for (i = 0; i < ARRAY_SIZE(e) && start < t->h.disk_size; i++, start += step) {
			e[i].start = start;
			e[i].host = start % wrap;
			e[i].kind = QCOW_MAP_DATA;
		}
		table_put(t, e, i * sizeof(*e),
			  QCOW_MAP_HEADER_BYTES + t->h.nr_entries * sizeof(*e));
		t->h.nr_entries += i;
	}
}

/* Lines "size BYTES", "sector BYTES", and pieces; or "fill STEP WRAP" in place of pieces */
static void table_make(struct table *t, const char *path, uint32_t nr)
{
	unsigned long long step, wrap;
	struct qcow_map_header h;
	char line[200];
	FILE *f = fopen(path, "r");

	if (!f)
		die("%s: %s", path, strerror(errno));
	t->fd = memfd_create("table", MFD_CLOEXEC);
	memcpy(t->h.magic, QCOW_MAP_MAGIC, sizeof(t->h.magic));
	t->h.version = QCOW_MAP_VERSION;
	t->h.sector_size = SECTOR;
	strcpy(t->h.format, "test");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "fill %llu %llu", &step, &wrap) == 2)
			fill_pieces(t, step, wrap);
		else if (sscanf(line, "size %llu", &t->h.disk_size) != 1 &&
			 sscanf(line, "sector %u", &t->h.sector_size) != 1)
			add_piece(t, line);
	fclose(f);
	t->h.nr_files = nr;
	h = t->h;
	table_put(t, &h, sizeof(h), 0);
	if (ftruncate(t->fd, QCOW_MAP_HEADER_BYTES + h.nr_entries * sizeof(struct qcow_map_entry)))
		die("table: %s", strerror(errno));
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_NOATIME | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* @timed: also print that it begins, and the nanoseconds that the ioctl takes */
static int attach(struct qcow_ioc_attach *arg, bool timed)
{
	uint64_t begun = now_ns();
	char msg[400] = "";

	arg->size = sizeof(*arg);
	arg->index = -1;
	arg->image_size = sizeof(struct qcow_ioc_image);
	arg->msg = (uintptr_t)msg;
	arg->msg_size = sizeof(msg);
	if (timed)
		printf("begun\n");
	fflush(stdout);
	if (ioctl(control_fd(), QCOW_IOC_ATTACH, arg)) {
		fprintf(stderr, "qcowwrite: image %d %s (%s)\n", arg->msg_image, msg,
			strerror(errno));
		return 1;
	}
	if (timed)
		printf("%llu ", (unsigned long long)(now_ns() - begun));
	printf("/dev/qcow%d\n", arg->index);
	return 0;
}

/* Option letters: r, t: read-only, temporary; B, D: buffered, direct; each as a word */
static uint32_t flag_of(const char *word)
{
	switch (word[1]) {
	case 'r':
		return QCOW_ATTACH_RO;
	case 't':
		return QCOW_ATTACH_TEMPORARY;
	case 'B':
		return QCOW_ATTACH_BUFFERED;
	case 'D':
		return QCOW_ATTACH_DIRECT;
	}
	die("no such option: %s", word);
}

/* An image of the chain: qcow2 above the map, raw below it */
static void add_image(struct qcow_ioc_attach *arg, struct qcow_ioc_image *images,
		      uint32_t format, int fd)
{
	images[arg->nr_images++] = (struct qcow_ioc_image) {
		.fd = fd, .data_fd = -1, .format = format,
	};
}

/* @ready: argv[0] is a table already, which is not read here */
static void add_map(struct qcow_ioc_attach *arg, struct qcow_ioc_image *images, char **argv,
		    int nr, bool ready)
{
	struct qcow_ioc_image *map = &images[arg->nr_images];
	struct rlimit limit = { nr + 100, nr + 100 };
	struct table t = { 0 };
	int *fds = calloc(nr, sizeof(*fds)), i;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("%d files: %s", nr, strerror(errno));
	if (ready)
		t.fd = open_file(argv[0], O_RDONLY);
	else
		table_make(&t, argv[0], nr);
	for (i = 0; i < nr; i++)
		fds[i] = open_file(argv[1 + i], O_RDONLY);
	add_image(arg, images, QCOW_FORMAT_MAP, fds[0]);
	map->table_fd = t.fd;
	map->nr_files = nr - 1;
	map->files = nr > 1 ? (uintptr_t)&fds[1] : 0;
}

/* "table TEXT FILE": makes a table of one file, of which nothing stays in the page cache */
int table_main(int argc, char **argv)
{
	struct table t = { 0 };
	char buf[65536];
	ssize_t n;
	int fd;

	if (argc != 3)
		die("table needs a text and a file");
	table_make(&t, argv[1], 1);
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	lseek(t.fd, 0, SEEK_SET);
	while ((n = read(t.fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, n) != n)
			die("%s: %s", argv[2], strerror(errno));
	if (fd < 0 || fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("%s: %s", argv[2], strerror(errno));
	return 0;
}

int map_main(int argc, char **argv)
{
	struct qcow_ioc_image images[3];
	struct qcow_ioc_attach arg = { .images = (uintptr_t)images };
	const char *overlay = NULL, *below = NULL;
	bool timed = false, ready = false;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-s") && i + 1 < argc)
			arg.sector_size = atoi(argv[++i]);
		else if (!strcmp(argv[i], "-T"))
			timed = true;
		else if (!strcmp(argv[i], "-R"))
			ready = true;
		else if (!strcmp(argv[i], "-o") && i + 1 < argc)
			arg.offset = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "-a") && i + 1 < argc)
			overlay = argv[++i];
		else if (!strcmp(argv[i], "-b") && i + 1 < argc)
			below = argv[++i];
		else
			arg.flags |= flag_of(argv[i]);
	}
	if (argc - i < 2)
		die("map needs a table and a file");
	if (overlay)
		add_image(&arg, images, QCOW_FORMAT_QCOW2,
			  open_file(overlay, arg.flags & QCOW_ATTACH_RO ? O_RDONLY : O_RDWR));
	add_map(&arg, images, argv + i, argc - i - 1, ready);
	if (below)
		add_image(&arg, images, QCOW_FORMAT_RAW, open_file(below, O_RDONLY));
	return attach(&arg, timed);
}

static int file_ioctl(struct qcow_ioc_file *arg)
{
	arg->size = sizeof(*arg);
	if (!ioctl(control_fd(), QCOW_IOC_FILE, arg))
		return 0;
	printf("%s\n", strerror(errno));
	return 1;
}

/* FILE: prints device, image and number; DEVICE IMAGE NUMBER: prints the name of the file */
int file_main(int argc, char **argv)
{
	struct qcow_ioc_file arg = { .op = QCOW_FILE_OPEN };
	char link[40], name[4096];
	ssize_t len;

	if (argc == 2) {
		arg.op = QCOW_FILE_FIND;
		arg.fd = open(argv[1], O_PATH | O_CLOEXEC);
		if (!file_ioctl(&arg))
			printf("qcow%d %u %u\n", arg.index, arg.image, arg.number);
		return 0;
	}
	if (argc != 4 || sscanf(argv[1], "/dev/qcow%d", &arg.index) != 1)
		die("file needs a file, or a device and numbers of an image and of a file");
	arg.image = atoi(argv[2]);
	arg.number = atoi(argv[3]);
	if (file_ioctl(&arg))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", arg.fd);
	len = readlink(link, name, sizeof(name));
	printf("%.*s\n", (int)len, name);
	return 0;
}
