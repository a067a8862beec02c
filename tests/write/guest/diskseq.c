// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite diskseq INDEX DISKSEQ: a change that is asked of another diskseq than the
 * device has is refused, and the files that the driver hands out are the device's. Its
 * image has a backing file, no data file, no bitmap and no snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/qcow.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write.h"

/* Nobody attaches so many. */
#define NO_DEVICE	100000

static int control;

static void expect(const char *what, int want, unsigned long request, void *arg)
{
	int err = ioctl(control, request, arg) ? errno : 0;

	if (err != want)
		die("%s: error %d, not %d", what, err, want);
}

static void change_snapshots(int index, uint64_t diskseq, int want)
{
	struct qcow_ioc_snapshot s = {
		.size = sizeof(s), .op = QCOW_SNAPSHOT_CREATE, .index = index,
		.name = (uintptr_t)"new", .name_len = 3, .diskseq = diskseq,
	};

	expect("snapshot create", want, QCOW_IOC_SNAPSHOT, &s);
	s.op = QCOW_SNAPSHOT_APPLY;
	if (want)
		expect("snapshot apply", want, QCOW_IOC_SNAPSHOT, &s);
	s.op = QCOW_SNAPSHOT_DELETE;
	expect("snapshot delete", want, QCOW_IOC_SNAPSHOT, &s);
}

static void change_bitmaps(int index, uint64_t diskseq, int want)
{
	struct qcow_ioc_bitmap b = {
		.size = sizeof(b), .op = QCOW_BITMAP_OP_ADD, .index = index,
		.name = (uintptr_t)"new", .name_len = 3, .diskseq = diskseq,
	};

	expect("bitmap add", want, QCOW_IOC_BITMAP, &b);
	b.op = QCOW_BITMAP_OP_GET;
	expect("bitmap get", want, QCOW_IOC_BITMAP, &b);
	b.flags = 0;
	b.granularity = b.disk_size = b.dirty = 0;
	b.op = QCOW_BITMAP_OP_REMOVE;
	expect("bitmap remove", want, QCOW_IOC_BITMAP, &b);
}

static void change_size(int index, uint64_t diskseq, uint64_t bytes, int want)
{
	struct qcow_ioc_resize r = {
		.size = sizeof(r), .index = index, .bytes = bytes, .diskseq = diskseq,
	};

	expect("resize", want, QCOW_IOC_RESIZE, &r);
}

static void change_chain(int index, uint64_t diskseq, int want)
{
	struct qcow_ioc_commit c = {
		.size = sizeof(c), .op = QCOW_COMMIT_RUN, .index = index,
		.fd = -1, .data_fd = -1, .bytes = 1 << 20, .diskseq = diskseq,
	};
	struct qcow_ioc_stream s = {
		.size = sizeof(s), .index = index, .bytes = 512, .diskseq = diskseq,
	};

	/* Nobody has begun one. */
	expect("commit", want ? want : ENOTCONN, QCOW_IOC_COMMIT, &c);
	expect("stream", want, QCOW_IOC_STREAM, &s);
}

static void change(int index, uint64_t diskseq, uint64_t bytes, int want)
{
	change_snapshots(index, diskseq, want);
	change_bitmaps(index, diskseq, want);
	change_size(index, diskseq, bytes, want);
	change_chain(index, diskseq, want);
}

static struct qcow_ioc_file open_request(int index, unsigned int image,
					 uint64_t diskseq)
{
	return (struct qcow_ioc_file) {
		.size = sizeof(struct qcow_ioc_file), .op = QCOW_FILE_OPEN,
		.index = index, .image = image, .diskseq = diskseq,
	};
}

/* The driver has it open with locks that a new open file does not have. */
static void check_handed_out(const struct qcow_ioc_file *f, int index,
			     uint64_t diskseq, unsigned int image)
{
	struct qcow_ioc_file found = {
		.size = sizeof(found), .op = QCOW_FILE_FIND, .fd = f->fd,
	};
	struct flock l = { .l_type = F_WRLCK, .l_start = 201, .l_len = 1 };

	if ((fcntl(f->fd, F_GETFL) & O_ACCMODE) != O_RDONLY ||
	    !(fcntl(f->fd, F_GETFD) & FD_CLOEXEC))
		die("image %u: the descriptor is not for reading alone", image);
	if (fcntl(f->fd, F_OFD_GETLK, &l) || l.l_type == F_UNLCK)
		die("image %u: the descriptor has the driver's locks", image);
	if (f->diskseq != diskseq || f->format != QCOW_FORMAT_QCOW2 ||
	    f->flags != (image ? 0 : QCOW_FILE_WRITABLE))
		die("image %u: described wrongly", image);
	expect("find", 0, QCOW_IOC_FILE, &found);
	if (found.index != index || found.image != image || found.diskseq != diskseq ||
	    found.flags != f->flags)
		die("image %u: found as %u of %d", image, found.image, found.index);
	found = (struct qcow_ioc_file) {
		.size = sizeof(found), .op = QCOW_FILE_FIND, .fd = f->fd,
		.index = index + 1,
	};
	expect("find behind it", ENOENT, QCOW_IOC_FILE, &found);
}

static void open_files(int index, uint64_t diskseq)
{
	struct qcow_ioc_file f;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		f = open_request(index, i, diskseq);
		expect("open", 0, QCOW_IOC_FILE, &f);
		check_handed_out(&f, index, diskseq, i);
		close(f.fd);
	}
	f = open_request(index, 2, diskseq);
	expect("open beyond the chain", ENOENT, QCOW_IOC_FILE, &f);
	f = open_request(index, 0, diskseq);
	f.flags = QCOW_FILE_DATA;
	expect("open a data file", ENOENT, QCOW_IOC_FILE, &f);
	f = open_request(index, 0, diskseq + 1);
	expect("open of another diskseq", ESTALE, QCOW_IOC_FILE, &f);
	f = open_request(NO_DEVICE, 0, 0);
	expect("open of no device", ENODEV, QCOW_IOC_FILE, &f);
}

static void refuse_malformed(int index)
{
	struct qcow_ioc_file f = open_request(index, 0, 0);

	f.op = 3;
	expect("no such operation", EINVAL, QCOW_IOC_FILE, &f);
	f.op = 0;
	expect("no operation", EINVAL, QCOW_IOC_FILE, &f);
	f = open_request(index, 0, 0);
	f.reserved[2] = 1;
	expect("reserved", EINVAL, QCOW_IOC_FILE, &f);
	f = open_request(index, 0, 0);
	f.size = QCOW_FILE_SIZE_V1 - 1;
	expect("too short", EINVAL, QCOW_IOC_FILE, &f);
	f = open_request(index, 0, 0);
	f.flags = QCOW_FILE_WRITABLE;
	expect("a flag", EINVAL, QCOW_IOC_FILE, &f);
	f = open_request(-1, 0, 0);
	expect("a negative number", EINVAL, QCOW_IOC_FILE, &f);
	f = open_request(0, 0, 0);
	f.op = QCOW_FILE_FIND;
	f.fd = -1;
	expect("find of no descriptor", EBADF, QCOW_IOC_FILE, &f);
	f.fd = open("/dev/null", O_PATH);
	expect("find of another file", ENOENT, QCOW_IOC_FILE, &f);
	close(f.fd);
}

int diskseq_main(int argc, char **argv)
{
	struct qcow_ioc_status st = { .size = sizeof(st) };
	uint64_t diskseq;

	if (argc != 3)
		return 2;
	st.index = atoi(argv[1]);
	diskseq = strtoull(argv[2], NULL, 0);
	control = control_fd();
	expect("status", 0, QCOW_IOC_STATUS, &st);
	if (st.diskseq != diskseq)
		die("the status says diskseq %llu", (unsigned long long)st.diskseq);
	change(st.index, diskseq + 1, 512, ESTALE);
	open_files(st.index, diskseq);
	refuse_malformed(st.index);
	change(st.index, diskseq, st.bytes, 0);
	change(st.index, 0, st.bytes, 0);
	/* As programs ask that were built before. */
	st.size = QCOW_STATUS_SIZE_V1;
	expect("status, version 1", 0, QCOW_IOC_STATUS, &st);
	return 0;
}
