// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of all commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "qcowtest.h"

#define MAX_ARGS	32

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("qcowtest: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void rng_seed(struct rng *r, const char *text)
{
	r->state = 0xcbf29ce484222325;
	while (*text)
		r->state = (r->state ^ (unsigned char)*text++) * 0x100000001b3;
}

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

void *alloc_aligned(size_t size)
{
	void *p;

	if (posix_memalign(&p, 4096, size ? size : 1))
		die("out of memory");
	return p;
}

unsigned char *load_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY);
	unsigned char *data;
	struct stat st;
	size_t done = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	data = alloc_aligned(st.st_size);
	while (done < (size_t)st.st_size) {
		n = pread(fd, data + done, st.st_size - done, done);
		if (n <= 0)
			die("%s: cannot read: %s", path, strerror(errno));
		done += n;
	}
	close(fd);
	*size = done;
	return data;
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Return: whether there may come more. */
static bool drain(int fd, char *buf, size_t size, size_t *used)
{
	char rest[512];
	ssize_t n;

	if (*used < size - 1)
		n = read(fd, buf + *used, size - 1 - *used);
	else
		n = read(fd, rest, sizeof(rest));
	if (n <= 0)
		return false;
	if (*used < size - 1)
		*used += n;
	buf[*used] = 0;
	return true;
}

void run_program(char *const *argv, struct output *o)
{
	posix_spawn_file_actions_t actions;
	size_t used[2] = { 0, 0 };
	int out[2], err[2], status;
	bool open[2] = { true, true };
	struct pollfd fds[2];
	pid_t pid;

	memset(o, 0, sizeof(*o));
	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ))
		die("cannot start %s", argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	close(err[1]);
	while (open[0] || open[1]) {
		fds[0] = (struct pollfd){ open[0] ? out[0] : -1, POLLIN, 0 };
		fds[1] = (struct pollfd){ open[1] ? err[0] : -1, POLLIN, 0 };
		poll(fds, 2, -1);
		if (fds[0].revents)
			open[0] = drain(out[0], o->out, sizeof(o->out), &used[0]);
		if (fds[1].revents)
			open[1] = drain(err[0], o->err, sizeof(o->err), &used[1]);
	}
	close(out[0]);
	close(err[0]);
	waitpid(pid, &status, 0);
	o->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int control_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/" QCOW_CONTROL_NAME, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("no control node: %s", strerror(errno));
	return fd;
}

int detach_index(int index, uint32_t flags)
{
	struct qcow_ioc_detach arg = {
		.size = sizeof(arg),
		.index = index,
		.flags = flags,
	};

	return ioctl(control_fd(), QCOW_IOC_DETACH, &arg) ? -errno : 0;
}

int get_status(int index, struct qcow_ioc_status *st)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	st->index = index;
	return ioctl(control_fd(), QCOW_IOC_STATUS, st) ? -errno : 0;
}

int attach_fd(int fd, uint32_t format, uint32_t flags)
{
	struct qcow_ioc_image image = {
		.fd = fd,
		.data_fd = -1,
		.format = format,
	};
	struct qcow_ioc_attach arg = {
		.size = sizeof(arg),
		.flags = flags | QCOW_ATTACH_RO,
		.index = -1,
		.nr_images = 1,
		.images = (uintptr_t)&image,
		.image_size = sizeof(image),
	};

	if (ioctl(control_fd(), QCOW_IOC_ATTACH, &arg))
		return -errno;
	return arg.index;
}

int attach_by_tool(const char *path, const char *args, struct output *o)
{
	char *argv[MAX_ARGS] = { "qcowctl", "attach", "-r" };
	char *copy = strdup(args), *rest = copy, *word;
	int nr = 3, index;

	while ((word = strsep(&rest, " ")) && nr < MAX_ARGS - 2)
		if (*word && strcmp(word, "-"))
			argv[nr++] = word;
	argv[nr] = (char *)path;
	run_program(argv, o);
	free(copy);
	if (o->code || sscanf(o->out, "/dev/qcow%d\n", &index) != 1)
		return -1;
	return index;
}

int open_device(int index, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/qcow%d", index);
	return open(path, flags | O_CLOEXEC);
}

/* --- Commands --- */

int run_command(const struct command *commands, size_t nr, int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc > 1 && i < nr; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	for (i = 0; i < nr; i++)
		fprintf(stderr, "%s %s %s\n", argv[0], commands[i].name,
			commands[i].usage);
	return 2;
}
