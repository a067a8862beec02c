/* SPDX-License-Identifier: GPL-2.0 */
/*
 * qcowwrite: writes to devices in a test guest.
 */
#ifndef WRITE_H
#define WRITE_H

#include <linux/aio_abi.h>

#include "qcowtest.h"

/**
 * struct target - a block device over an image, made by the driver or, to try the
 *	test itself, by qemu-nbd
 * @dev: the device
 * @index: of the driver's device
 * @pid: qemu-nbd's
 * @nbd: it is qemu-nbd
 */
struct target {
	char dev[32];
	int index;
	int pid;
	bool nbd;
};

/*
 * QCOW_TARGET chooses the driver (qcow) or qemu-nbd (nbd). @args are those of qcowctl
 * attach, "-" for none; @why, of @size bytes, gets the reason of a failure.
 */
int target_attach(struct target *t, const char *image, const char *args,
		  char *why, size_t size);
int target_detach(struct target *t, char *why, size_t size);

/* --- Asynchronous writes --- */

#define AIO_MAX		32

/**
 * struct aio - writes in flight
 * @ctx: the kernel's
 * @cb: one for each
 */
struct aio {
	aio_context_t ctx;
	struct iocb cb[AIO_MAX];
};

void aio_begin(struct aio *a);
/* aio_reap() returns the number of the write in @ev->data. */
int aio_write(struct aio *a, int nr, int fd, void *buf, size_t len, uint64_t off,
	      int rwf);
/* Return: how many events there are, at least @min. */
int aio_reap(struct aio *a, int min, int max, struct io_event *ev);
void aio_end(struct aio *a);

/* --- Ranges of a device --- */

/* @punch: they need not keep their place; also where that is not possible */
int zero_some(int fd, uint64_t off, uint64_t len, bool punch);
int discard(int fd, uint64_t off, uint64_t len);

/* --- The record of dm-log-writes --- */

/* As dmsetup message NAME 0 mark NUMBER */
void send_mark(const char *name, uint32_t number);

/* --- Commands --- */

int diff_main(int argc, char **argv);
int cut_main(int argc, char **argv);
int files_main(int argc, char **argv);
int claim_main(int argc, char **argv);
int do_main(int argc, char **argv);
int salvage_main(int argc, char **argv);
int race_main(int argc, char **argv);
int twice_main(int argc, char **argv);
int fsyncs_main(int argc, char **argv);
int thrash_main(int argc, char **argv);
int hog_main(int argc, char **argv);
int errors_main(int argc, char **argv);
int full_main(int argc, char **argv);
int diskseq_main(int argc, char **argv);
int left_main(int argc, char **argv);
int mixed_main(int argc, char **argv);
int scatter_main(int argc, char **argv);
int waits_main(int argc, char **argv);
int table_main(int argc, char **argv);
int map_main(int argc, char **argv);
int file_main(int argc, char **argv);

#endif /* WRITE_H */
