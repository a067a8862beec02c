// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite twice IMAGE ROUNDS: two threads attach an image for writing at the same
 * moment, again and again, without qcowctl and its locks. One of them gets a device,
 * the other one is told that the file is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "write.h"

struct attacher {
	const char *image;
	pthread_barrier_t *barrier;
	int index;
	char text[256];
};

static int attach_writable(int fd, char *text, size_t size)
{
	struct qcow_ioc_image image = {
		.fd = fd,
		.data_fd = -1,
		.format = QCOW_FORMAT_QCOW2,
	};
	struct qcow_ioc_attach arg = {
		.size = sizeof(arg),
		.index = -1,
		.nr_images = 1,
		.images = (uintptr_t)&image,
		.image_size = sizeof(image),
		.msg = (uintptr_t)text,
		.msg_size = size,
	};

	return ioctl(control_fd(), QCOW_IOC_ATTACH, &arg) ? -errno : arg.index;
}

static void *run(void *arg)
{
	struct attacher *a = arg;
	int fd = open(a->image, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", a->image, strerror(errno));
	a->text[0] = 0;
	pthread_barrier_wait(a->barrier);
	a->index = attach_writable(fd, a->text, sizeof(a->text));
	close(fd);
	return NULL;
}

static void detach(int index)
{
	uint64_t end = now_ms() + 20000;
	int err;

	/* Its partitions are looked for. */
	while ((err = detach_index(index, 0)) == -EBUSY && now_ms() < end)
		usleep(1000);
	if (err)
		die("detach: %s", strerror(-err));
}

static void one_round(struct attacher *a)
{
	pthread_barrier_t barrier;
	pthread_t thread[2];
	int i, loser;

	pthread_barrier_init(&barrier, NULL, 2);
	for (i = 0; i < 2; i++) {
		a[i].barrier = &barrier;
		if (pthread_create(&thread[i], NULL, run, &a[i]))
			die("no thread");
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&barrier);
	for (i = 0; i < 2; i++)
		if (a[i].index >= 0)
			detach(a[i].index);
	loser = a[0].index >= 0;
	if (a[!loser].index < 0 || a[loser].index != -EBUSY)
		die("one attach gives %d, the other one %d", a[0].index, a[1].index);
	if (!strstr(a[loser].text, "is in use by /dev/qcow"))
		die("it says '%s'", a[loser].text);
}

int twice_main(int argc, char **argv)
{
	struct attacher a[2] = { };
	int rounds, i;

	if (argc != 3)
		die("usage: twice IMAGE ROUNDS");
	rounds = atoi(argv[2]);
	for (i = 0; i < 2; i++)
		a[i].image = argv[1];
	for (i = 0; i < rounds; i++)
		one_round(a);
	return 0;
}
