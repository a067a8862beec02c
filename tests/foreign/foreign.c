// SPDX-License-Identifier: GPL-2.0
/*
 * foreign FORMAT FILE [MEMBER]: prints the table that the parser of a format makes of an
 * image, or of a member of an archive, with its facts, without the driver and in this
 * process. FORMAT may be "probe". Each line is a word and values, with tabs between them;
 * foreign.py reads them. The exit status is 1 if the parser refuses the image; the last line
 * is then "error" and its message.
 *
 * foreign -: reads lines of FORMAT, FILE, and perhaps MEMBER, with tabs between them. Each
 * image gets a process, and after its lines comes one with "end" and the exit status, or 128 and the signal's number. A
 * process that takes more than LIMIT_SECONDS of processor time ends by SIGXCPU.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foreign/foreign.h"

#define LIMIT_SECONDS	10

/* The files of an image, by number. */
struct files {
	const char *folder;
	int fd[QCOW_MAP_FILES_MAX];
	u32 nr;
};

static int add(struct files *files, int fd, const char *name, u64 *size)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	*size = st.st_size;
	printf("file\t%u\t%s\n", files->nr, name);
	files->fd[files->nr++] = fd;
	return 0;
}

/*
 * The file changes meanwhile: $RACE is "HOST_OFFSET:SKIP:NUMBER", and all reads that begin at
 * HOST_OFFSET but the first one find NUMBER, of 32 bits, behind SKIP bytes.
 */
static void change(u8 *bytes, size_t len, u64 host_offset)
{
	const char *race = getenv("RACE");
	unsigned long long where;
	static u32 reads;
	u32 skip, number;

	if (!race || sscanf(race, "%llu:%u:%u", &where, &skip, &number) != 3 ||
	    host_offset != where || skip + sizeof(number) > len || !reads++)
		return;
	number = htole32(number);
	memcpy(bytes + skip, &number, sizeof(number));
}

static int host_read(void *arg, u32 file, void *buf, size_t len, u64 host_offset, size_t *got)
{
	struct files *files = arg;
	ssize_t n;

	for (*got = 0; *got < len; *got += n) {
		n = pread(files->fd[file], buf + *got, len - *got, host_offset + *got);
		if (n < 0)
			return -errno;
		if (!n)
			break;
	}
	change(buf, *got, host_offset);
	return 0;
}

static int host_open(void *arg, enum foreign_use use, const char *name, u64 *size)
{
	struct files *files = arg;
	char *path;
	int err;

	(void)use;
	if (asprintf(&path, "%s%s%s", name[0] == '/' ? "" : files->folder,
		     name[0] == '/' ? "" : "/", name) < 0)
		return -ENOMEM;
	err = add(files, open(path, O_RDONLY), path, size);
	if (err)
		printf("error\t%s: %s\n", path, strerror(-err));
	free(path);
	return err;
}

/* A file of the current folder, so that its bytes can be looked at afterwards. */
static int host_scratch(void *arg)
{
	struct files *files = arg;
	char name[32];
	u64 size;

	snprintf(name, sizeof(name), "scratch.%u", files->nr);
	return add(files, open(name, O_RDWR | O_CREAT | O_TRUNC, 0600), name, &size);
}

static int host_write(void *arg, u32 file, const void *buf, size_t len, u64 host_offset)
{
	struct files *files = arg;
	ssize_t n = pwrite(files->fd[file], buf, len, host_offset);

	return n < 0 ? -errno : (size_t)n < len ? -ENOSPC : 0;
}

static void host_backing(void *arg, const char *name, bool member)
{
	(void)arg;
	printf("backing\t%s%s\n", member ? "member " : "", name);
}

static void host_tell(void *arg, const char *key, const char *text, s64 number)
{
	(void)arg;
	if (text)
		printf("tell\t%s\t%s\n", key, text);
	else
		printf("tell\t%s\t%lld\n", key, (long long)number);
}

static void host_fault(void *arg, const char *text)
{
	(void)arg;
	printf("fault\t%s\n", text);
}

static void host_leak(void *arg, const char *text)
{
	(void)arg;
	printf("leak\t%s\n", text);
}

static void host_progress(void *arg, u64 bytes_done, u64 bytes_all)
{
	(void)arg;
	(void)bytes_done;
	(void)bytes_all;
}

static const struct foreign_host host = {
	.read = host_read,
	.open = host_open,
	.scratch = host_scratch,
	.write = host_write,
	.backing = host_backing,
	.tell = host_tell,
	.fault = host_fault,
	.leak = host_leak,
	.progress = host_progress,
};

static int put(void *arg, const struct qcow_map_entry *e)
{
	(void)arg;
	printf("entry\t%llu\t%u\t%llu\t%u\t%u\t%u\t%u\t%u\n", (unsigned long long)e->start,
	       e->kind, (unsigned long long)e->host, e->stored, e->plain, e->skip, e->file,
	       e->codec);
	return 0;
}

static int parse(const struct foreign_format *format, struct files *files, u64 size,
		 const char *name, const char *member)
{
	const struct foreign_how how = { .size = size, .name = name, .member = member };
	struct foreign f;
	int err = foreign_open(&f, format, &host, files, &how);

	if (!err) {
		printf("size\t%llu\nsector\t%u\ncluster\t%u\ndirty\t%d\nid\t%s\nparent_id\t%s\n",
		       (unsigned long long)f.disk.size, f.disk.sector_size, f.disk.cluster_size,
		       f.disk.dirty, f.disk.id, f.disk.parent_id);
		printf("parent\t%d\t%s\t%llu\t%lld\t%#x\t%d\n", f.disk.has_parent,
		       f.disk.parent_format, (unsigned long long)f.disk.parent_size,
		       (long long)f.disk.parent_mtime, f.disk.parent_fat_time,
		       f.disk.parent_optional);
		err = foreign_walk(&f, put, NULL);
	}
	if (!err && format->check)
		err = format->check(&f);
	if (err)
		printf("error\t%s\n", f.msg.text[0] ? f.msg.text : strerror(-err));
	foreign_close(&f);
	return err ? 1 : 0;
}

static const struct foreign_format *probe(struct files *files, u64 size)
{
	static struct foreign_sample s = { };
	size_t got;

	s.size = size;
	if (host_read(files, 0, s.start, sizeof(s.start), 0, &got))
		return NULL;
	if (size >= sizeof(s.footer) &&
	    host_read(files, 0, s.footer, sizeof(s.footer), size - sizeof(s.footer), &got))
		return NULL;
	return foreign_probe(&s);
}

static int image(const char *name, const char *path, const char *member)
{
	static struct files files;
	const struct foreign_format *format;
	u64 size;

	files.folder = dirname(strdup(path));
	if (add(&files, open(path, O_RDONLY), path, &size)) {
		perror(path);
		return 2;
	}
	format = strcmp(name, "probe") ? foreign_format(name) : probe(&files, size);
	if (!format) {
		puts("error\tno such format");
		return 1;
	}
	printf("format\t%s\n", format->name);
	return parse(format, &files, size, strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
		     member);
}

static void image_in_child(const char *name, const char *path, const char *member)
{
	const struct rlimit limit = { LIMIT_SECONDS, LIMIT_SECONDS + 1 };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CPU, &limit);
		status = image(name, path, member);
		fflush(stdout);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		exit(2);
	printf("end\t%d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
						   WEXITSTATUS(status));
	fflush(stdout);
}

static int images(void)
{
	char line[2 * PATH_MAX], *name, *path;

	while (fgets(line, sizeof(line), stdin)) {
		name = strtok(line, "\t\n");
		path = strtok(NULL, "\t\n");
		if (!path)
			return 2;
		image_in_child(name, path, strtok(NULL, "\t\n"));
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "-"))
		return images();
	if (argc != 3 && argc != 4) {
		fputs("usage: foreign FORMAT FILE [MEMBER]\n       foreign -\n", stderr);
		return 2;
	}
	return image(argv[1], argv[2], argv[3]);
}
