// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite mixed [-a] SEED MILLISECONDS BATCH FILE...: processes send batches of direct
 * reads and writes that mix the files, each batch by one io_submit() or, without -a, one
 * io_uring_enter(), so that it is in one plug. It has to end.
 *
 * qcowwrite scatter FILE MIB: makes a file of as many extents as there can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "write.h"

#define BLOCK		4096
#define MAX_FILES	8
#define MAX_BATCH	128
#define PROCESSES	2

/**
 * struct mixed_op - one read or write of a batch
 * @fd: of this file
 * @write: not a read
 * @again: io_uring, which asks not to sleep, may be told to try again: device-mapper does
 *	it in an interrupt
 * @off: here
 * @buf: BLOCK bytes
 */
struct mixed_op {
	int fd;
	bool write;
	bool again;
	uint64_t off;
	void *buf;
};

/**
 * struct ring - an io_uring
 * @fd: its descriptor
 * @tail: where the next entry for the kernel goes
 * @mask: of indexes into the queue for the kernel
 * @array: that queue
 * @sqes: its entries
 * @cq_head: the first answer that was not looked at
 * @cq_tail: one behind the last answer
 * @cq_mask: of indexes into the answers
 * @cqes: the answers
 */
struct ring {
	int fd;
	unsigned int *tail;
	unsigned int mask;
	unsigned int *array;
	struct io_uring_sqe *sqes;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int cq_mask;
	struct io_uring_cqe *cqes;
};

static void *ring_map(int fd, size_t size, off_t what)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, fd, what);

	if (map == MAP_FAILED)
		die("mmap of a ring: %s", strerror(errno));
	return map;
}

static void ring_begin(struct ring *r)
{
	struct io_uring_params p = { };
	char *sq, *cq;

	r->fd = syscall(SYS_io_uring_setup, MAX_BATCH, &p);
	if (r->fd < 0)
		die("io_uring_setup: %s", strerror(errno));
	sq = ring_map(r->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		      IORING_OFF_SQ_RING);
	cq = ring_map(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes),
		      IORING_OFF_CQ_RING);
	r->sqes = ring_map(r->fd, p.sq_entries * sizeof(*r->sqes),
			   IORING_OFF_SQES);
	r->tail = (unsigned int *)(sq + p.sq_off.tail);
	r->mask = *(unsigned int *)(sq + p.sq_off.ring_mask);
	r->array = (unsigned int *)(sq + p.sq_off.array);
	r->cq_head = (unsigned int *)(cq + p.cq_off.head);
	r->cq_tail = (unsigned int *)(cq + p.cq_off.tail);
	r->cq_mask = *(unsigned int *)(cq + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static void check_result(const struct mixed_op *op, long long res)
{
	if (res != BLOCK && !(res == -EAGAIN && op->again))
		die("a %s of the batch at %llu: %lld", op->write ? "write" : "read",
		    (unsigned long long)op->off, res);
}

static void ring_do(struct ring *r, const struct mixed_op *ops, int n)
{
	unsigned int tail = *r->tail, head;
	const struct io_uring_cqe *cqe;
	int i, got = 0;

	for (i = 0; i < n; i++, tail++) {
		unsigned int slot = tail & r->mask;

		r->sqes[slot] = (struct io_uring_sqe) {
			.opcode = ops[i].write ? IORING_OP_WRITE : IORING_OP_READ,
			.fd = ops[i].fd,
			.addr = (uintptr_t)ops[i].buf,
			.len = BLOCK,
			.off = ops[i].off,
			.user_data = i,
		};
		r->array[slot] = slot;
	}
	__atomic_store_n(r->tail, tail, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, n, n, IORING_ENTER_GETEVENTS, NULL,
		    0) != n)
		die("io_uring_enter: %s", strerror(errno));
	while (got < n) {
		head = *r->cq_head;
		while (head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) {
			cqe = &r->cqes[head++ & r->cq_mask];
			check_result(&ops[cqe->user_data], cqe->res);
			got++;
		}
		__atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
		if (got < n)
			syscall(SYS_io_uring_enter, r->fd, 0, n - got,
				IORING_ENTER_GETEVENTS, NULL, 0);
	}
}

static void aio_do(aio_context_t ctx, const struct mixed_op *ops, int n)
{
	struct iocb cb[MAX_BATCH] = { }, *list[MAX_BATCH];
	struct io_event ev[MAX_BATCH];
	int i, got, done = 0;

	for (i = 0; i < n; i++) {
		cb[i].aio_lio_opcode = ops[i].write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		cb[i].aio_fildes = ops[i].fd;
		cb[i].aio_buf = (uintptr_t)ops[i].buf;
		cb[i].aio_nbytes = BLOCK;
		cb[i].aio_offset = ops[i].off;
		cb[i].aio_data = i;
		list[i] = &cb[i];
	}
	if (syscall(SYS_io_submit, ctx, (long)n, list) != n)
		die("io_submit: %s", strerror(errno));
	for (; done < n; done += got) {
		do {
			got = syscall(SYS_io_getevents, ctx, 1L, (long)n, ev, NULL);
		} while (got < 0 && errno == EINTR);
		if (got < 1)
			die("io_getevents: %s", strerror(errno));
		for (i = 0; i < got; i++)
			check_result(&ops[ev[i].data], ev[i].res);
	}
}

/**
 * struct mixed_file - a file of the batches
 * @fd: its descriptor
 * @again: it is a mapped disk; see struct mixed_op
 * @blocks: its size, in units of BLOCK
 */
struct mixed_file {
	int fd;
	bool again;
	uint64_t blocks;
};

static uint64_t size_of(int fd)
{
	uint64_t size;
	struct stat st;

	if (!ioctl(fd, BLKGETSIZE64, &size))
		return size;
	if (fstat(fd, &st))
		die("fstat: %s", strerror(errno));
	return st.st_size;
}

/*
 * One batch: most of it is for the file @most, and one I/O for each of the others, in
 * front of them or behind them.
 */
static void fill_batch(struct mixed_op *ops, int n, const struct mixed_file *mixed,
		       int files, int most, bool in_front)
{
	int others = files - 1, i, file;

	for (i = 0; i < n; i++) {
		file = in_front ? i : n - 1 - i;
		if (file >= others)
			file = most;
		else if (file >= most)
			file++;
		ops[i].fd = mixed[file].fd;
		ops[i].again = mixed[file].again;
		ops[i].off = random() % mixed[file].blocks * BLOCK;
		ops[i].write = !(random() % 3);
	}
}

static void mixed_open(struct mixed_file *file, const char *name)
{
	file->fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (file->fd < 0)
		die("%s: %s", name, strerror(errno));
	file->again = !strncmp(name, "/dev/mapper/", strlen("/dev/mapper/"));
	file->blocks = size_of(file->fd) / BLOCK;
}

static void mix(bool aio, int ms, int batch, char **names, int files)
{
	struct mixed_op ops[MAX_BATCH];
	struct mixed_file mixed[MAX_FILES];
	uint64_t end = now_ms() + ms;
	aio_context_t ctx = 0;
	int i, round = 0;
	struct ring ring;

	for (i = 0; i < files; i++)
		mixed_open(&mixed[i], names[i]);
	for (i = 0; i < batch; i++) {
		ops[i].buf = alloc_aligned(BLOCK);
		memset(ops[i].buf, 0x5a, BLOCK);
	}
	if (syscall(SYS_io_setup, MAX_BATCH, &ctx))
		die("io_setup: %s", strerror(errno));
	ring_begin(&ring);
	do {
		fill_batch(ops, batch, mixed, files, round / 4 % files, round & 1);
		if (round & 2 && !aio)
			ring_do(&ring, ops, batch);
		else
			aio_do(ctx, ops, batch);
		round++;
	} while (now_ms() < end || round < 16);
	printf("%d batches of %d\n", round, batch);
}

int mixed_main(int argc, char **argv)
{
	bool aio = argc > 1 && !strcmp(argv[1], "-a");
	int batch, files, i, status, bad = 0;

	argc -= aio;
	argv += aio;
	files = argc - 4;
	if (files < 2 || files > MAX_FILES)
		die("usage: mixed [-a] SEED MILLISECONDS BATCH FILE...");
	batch = atoi(argv[3]);
	if (batch < files || batch > MAX_BATCH)
		die("%d to %d in a batch", files, MAX_BATCH);
	for (i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid) {
			srandom(atoi(argv[1]) * PROCESSES + i);
			mix(aio, atoi(argv[2]), batch, argv + 4, files);
			exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}

int scatter_main(int argc, char **argv)
{
	uint64_t off, size;
	void *buf = alloc_aligned(BLOCK);
	int fd;

	if (argc != 3)
		die("usage: scatter FILE MIB");
	size = (uint64_t)atoi(argv[2]) * MIB;
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, size))
		die("%s: %s", argv[1], strerror(errno));
	memset(buf, 0xa5, BLOCK);
	for (off = 0; off < size; off += 2 * BLOCK)
		if (pwrite(fd, buf, BLOCK, off) != BLOCK)
			die("write: %s", strerror(errno));
	if (fsync(fd))
		die("fsync: %s", strerror(errno));
	close(fd);
	free(buf);
	return 0;
}
