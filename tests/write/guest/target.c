// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching and detaching, and operations on a device for all commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "write.h"

#define NBD_DEVICE	"/dev/nbd0"
#define NBD_PID		"/run/qemu-nbd.pid"
#define MAX_ARGS	32
#define WAIT_MS		20000

static void tell(char *why, size_t size, const char *what, const char *detail)
{
	snprintf(why, size, "%s: %.*s", what, (int)strcspn(detail, "\n"), detail);
}

static int qcow_attach(struct target *t, const char *image, const char *args,
		       char *why, size_t size)
{
	char *argv[MAX_ARGS] = { "qcowctl", "attach" };
	char *copy = strdup(args), *rest = copy, *word;
	struct output o;
	int nr = 2;

	while ((word = strsep(&rest, " ")) && nr < MAX_ARGS - 2)
		if (*word && strcmp(word, "-"))
			argv[nr++] = word;
	argv[nr] = (char *)image;
	run_program(argv, &o);
	free(copy);
	if (!o.code && sscanf(o.out, "/dev/qcow%d\n", &t->index) == 1) {
		snprintf(t->dev, sizeof(t->dev), "/dev/qcow%d", t->index);
		return 0;
	}
	tell(why, size, "attach", o.err);
	return -1;
}

static int qcow_detach(struct target *t, char *why, size_t size)
{
	uint64_t end = now_ms() + WAIT_MS;
	int err;

	/* Somebody may look at the device, as udev does. */
	while ((err = detach_index(t->index, 0)) == -EBUSY && now_ms() < end)
		usleep(1000);
	if (err)
		tell(why, size, "detach", strerror(-err));
	return err;
}

/* Whether the process has ended; it may not have been waited for. */
static bool gone(int pid)
{
	char path[40], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return true;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'Z';
	fclose(f);
	return state == 'Z';
}

static bool nbd_ready(struct target *t)
{
	uint64_t bytes = 0;
	int fd = open(t->dev, O_RDONLY | O_CLOEXEC);
	FILE *f = fopen(NBD_PID, "r");
	bool ready = fd >= 0 && f && !ioctl(fd, BLKGETSIZE64, &bytes) && bytes &&
		     fscanf(f, "%d", &t->pid) == 1;

	if (fd >= 0)
		close(fd);
	if (f)
		fclose(f);
	return ready;
}

static int nbd_attach(struct target *t, const char *image, char *why, size_t size)
{
	static const char cache[] = "--cache=none";
	char *argv[] = { "qemu-nbd", "-f", "qcow2", (char *)cache, "--discard=unmap",
			 "--detect-zeroes=off", "--pid-file=" NBD_PID, "-c",
			 NBD_DEVICE, (char *)image, NULL };
	uint64_t end = now_ms() + WAIT_MS;
	struct output o;

	unlink(NBD_PID);
	run_program(argv, &o);
	if (o.code) {
		tell(why, size, "qemu-nbd", o.err);
		return -1;
	}
	strcpy(t->dev, NBD_DEVICE);
	while (!nbd_ready(t)) {
		if (now_ms() > end) {
			tell(why, size, "qemu-nbd", "no device");
			return -1;
		}
		usleep(10000);
	}
	return 0;
}

static int nbd_detach(struct target *t, char *why, size_t size)
{
	char *argv[] = { "qemu-nbd", "-d", NBD_DEVICE, NULL };
	uint64_t end = now_ms() + WAIT_MS;
	struct output o;

	run_program(argv, &o);
	while (!o.code && !gone(t->pid) && now_ms() < end)
		usleep(5000);
	if (!o.code && gone(t->pid))
		return 0;
	tell(why, size, "qemu-nbd -d", o.err);
	return -1;
}

int target_attach(struct target *t, const char *image, const char *args,
		  char *why, size_t size)
{
	const char *name = getenv("QCOW_TARGET");

	memset(t, 0, sizeof(*t));
	t->nbd = name && !strcmp(name, "nbd");
	return t->nbd ? nbd_attach(t, image, why, size) :
			qcow_attach(t, image, args, why, size);
}

int target_detach(struct target *t, char *why, size_t size)
{
	return t->nbd ? nbd_detach(t, why, size) : qcow_detach(t, why, size);
}

void aio_begin(struct aio *a)
{
	memset(a, 0, sizeof(*a));
	if (syscall(SYS_io_setup, AIO_MAX, &a->ctx))
		die("io_setup: %s", strerror(errno));
}

int aio_write(struct aio *a, int nr, int fd, void *buf, size_t len, uint64_t off,
	      int rwf)
{
	struct iocb *cb = &a->cb[nr];

	memset(cb, 0, sizeof(*cb));
	cb->aio_data = nr;
	cb->aio_lio_opcode = IOCB_CMD_PWRITE;
	cb->aio_fildes = fd;
	cb->aio_buf = (uintptr_t)buf;
	cb->aio_nbytes = len;
	cb->aio_offset = off;
	cb->aio_rw_flags = rwf;
	return syscall(SYS_io_submit, a->ctx, 1L, &cb) == 1 ? 0 : -errno;
}

int aio_reap(struct aio *a, int min, int max, struct io_event *ev)
{
	int n;

	do {
		n = syscall(SYS_io_getevents, a->ctx, (long)min, (long)max, ev, NULL);
	} while (n < 0 && errno == EINTR);
	if (n < min)
		die("io_getevents: %s", strerror(errno));
	return n;
}

void aio_end(struct aio *a)
{
	syscall(SYS_io_destroy, a->ctx);
}

int zero_some(int fd, uint64_t off, uint64_t len, bool punch)
{
	uint64_t range[2] = { off, len };

	if (punch) {
		if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len))
			return 0;
		if (errno != EOPNOTSUPP)
			return -errno;
	}
	return ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
}

int discard(int fd, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };

	return ioctl(fd, BLKDISCARD, range) ? -errno : 0;
}

void send_mark(const char *name, uint32_t number)
{
	static int control = -1;
	struct {
		struct dm_ioctl io;
		struct dm_target_msg msg;
		char text[32];
	} arg = {
		.io = {
			.version = { DM_VERSION_MAJOR, 0, 0 },
			.data_size = sizeof(arg),
			.data_start = offsetof(typeof(arg), msg),
		},
	};

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	snprintf(arg.io.name, sizeof(arg.io.name), "%s", name);
	snprintf(arg.text, sizeof(arg.text), "mark %u", number);
	if (ioctl(control, DM_TARGET_MSG, &arg))
		die("mark: %s", strerror(errno));
}
