// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite files NAME IMAGE ARGUMENTS LIST SEED STEPS: files in an ext4 in an
 * image on a disk whose writes are recorded by dm-log-writes.
 *
 * Leaves a list of its operations, in words: "file N BYTES", a file was written, with the
 * content of sectors of generation N; "kept N", it is durable; "gone N", it may not be
 * there any longer; "mark N", a mark was sent to the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* <sys/mount.h> has one of its own. */
#undef BLOCK_SIZE
#include "block.h"
#include "write.h"

#define DIR		"/tmp/files-mnt"
#define MAX_FILES	4096
#define MAX_SECTORS	400

/**
 * struct files - a run
 * @name: of the mapped disk
 * @image: the disk, which holds the image
 * @args: of qcowctl attach
 * @list: the operations
 * @seed: of the content
 * @marks: sent so far
 * @rng: the one source of chance
 * @t: the device
 * @nr: files made
 * @there: which of them are there
 */
struct files {
	const char *name;
	const char *image;
	const char *args;
	FILE *list;
	uint32_t seed;
	uint32_t marks;
	struct rng rng;
	struct target t;
	uint32_t nr;
	bool there[MAX_FILES];
};

__attribute__((format(printf, 2, 3)))
static void note(struct files *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(f->list, fmt, args);
	va_end(args);
	putc('\n', f->list);
}

static void run(char *const *argv)
{
	struct output o;

	run_program(argv, &o);
	if (o.code)
		die("%s: %s", argv[0], o.err);
}

static void mark(struct files *f)
{
	note(f, "mark %u", ++f->marks);
	send_mark(f->name, f->marks);
}

static void attach(struct files *f)
{
	char why[200];

	if (target_attach(&f->t, f->image, f->args, why, sizeof(why)))
		die("%s", why);
}

static void mount_it(struct files *f)
{
	if (mount(f->t.dev, DIR, "ext4", 0, "discard"))
		die("mount: %s", strerror(errno));
}

static void detach(struct files *f)
{
	char why[200];

	if (umount(DIR))
		die("umount: %s", strerror(errno));
	if (target_detach(&f->t, why, sizeof(why)))
		die("%s", why);
}

static void make_fs(struct files *f)
{
	char *argv[] = { "mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0", "-J",
			 "size=4", f->t.dev, NULL };

	run(argv);
	mkdir(DIR, 0755);
	mount_it(f);
	sync();
}

static void path_of(char *path, size_t size, uint32_t nr)
{
	snprintf(path, size, DIR "/%u", nr);
}

static void sync_dir(void)
{
	int fd = open(DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		die("fsync: %s", strerror(errno));
	close(fd);
}

static void make_file(struct files *f, bool keep)
{
	static unsigned char buf[MAX_SECTORS * SECTOR];
	uint32_t nr = f->nr++, sectors = 1 + rng_below(&f->rng, MAX_SECTORS), i;
	size_t bytes = sectors * SECTOR - rng_below(&f->rng, SECTOR);
	char path[64];
	int fd;

	for (i = 0; i < sectors; i++)
		block_make(buf + i * SECTOR, f->seed, i, nr);
	note(f, "file %u %zu", nr, bytes);
	path_of(path, sizeof(path), nr);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, buf, bytes) != (ssize_t)bytes || (keep && fsync(fd)))
		die("%s: %s", path, strerror(errno));
	close(fd);
	f->there[nr] = true;
	if (!keep)
		return;
	sync_dir();
	note(f, "kept %u", nr);
	mark(f);
}

static void remove_file(struct files *f)
{
	uint32_t nr = f->nr ? rng_below(&f->rng, f->nr) : 0;
	char path[64];

	if (!f->there[nr])
		return;
	note(f, "gone %u", nr);
	path_of(path, sizeof(path), nr);
	if (unlink(path))
		die("%s: %s", path, strerror(errno));
	f->there[nr] = false;
}

/* So that there is always room */
static void remove_some(struct files *f)
{
	uint32_t i, there = 0;

	for (i = 0; i < f->nr; i++)
		there += f->there[i];
	for (i = 0; there > 100 && i < f->nr; i++)
		remove_file(f);
}

static void step(struct files *f)
{
	uint32_t pick = rng_below(&f->rng, 20);

	if (pick < 12)
		make_file(f, pick < 5);
	else if (pick < 19)
		remove_file(f);
	else if (rng_below(&f->rng, 8))
		remove_some(f);
	else {
		detach(f);
		attach(f);
		mount_it(f);
	}
}

int files_main(int argc, char **argv)
{
	struct files f = { };
	unsigned int steps, i;

	if (argc != 7)
		die("usage: files NAME IMAGE ARGUMENTS LIST SEED STEPS");
	f.name = argv[1];
	f.image = argv[2];
	f.args = argv[3];
	f.list = fopen(argv[4], "w");
	if (!f.list)
		die("%s: %s", argv[4], strerror(errno));
	f.seed = strtoul(argv[5], NULL, 10);
	rng_seed(&f.rng, argv[5]);
	steps = strtoul(argv[6], NULL, 10);
	attach(&f);
	make_fs(&f);
	/* Before this mark there need not be a filesystem. */
	mark(&f);
	for (i = 0; i < steps && f.nr < MAX_FILES; i++)
		step(&f);
	detach(&f);
	mark(&f);
	if (fclose(f.list))
		die("%s: %s", argv[4], strerror(errno));
	printf("%s: %u files, %u marks\n", f.name, f.nr, f.marks);
	return 0;
}
