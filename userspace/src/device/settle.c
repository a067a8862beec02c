// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for udev, if one listens and hears of our devices: it sets permissions and
 * links of their nodes.
 * ready.c calls this.
 */
#define _GNU_SOURCE
#include <libudev.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "device/settle.h"
#include "lib/clock.h"

/* How long udev may have nothing to do before it counts as not having been told. */
#define IDLE_USEC	(2 * 1000000ULL)

/*
 * Whether a udev listens. The socket's file outlives the daemon. That of systemd starts the
 * daemon if need be.
 */
static bool udev_listens(void)
{
	static const struct sockaddr_un addr = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/udev/control",
	};
	bool listens;
	int fd;

	if (access(addr.sun_path, F_OK))
		return false;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	/* EAGAIN: it listens, and has much to do. */
	listens = !connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) ||
		  errno == EAGAIN;
	close(fd);
	return listens;
}

/**
 * settle_begin() - begin to wait for udev
 * @s: the wait, to settle_end()
 * @began: clock_now() before the devices were made
 */
void settle_begin(struct settle *s, u64 began)
{
	*s = (struct settle) { .began = began };
	if (udev_listens())
		s->udev = udev_new();
}

/**
 * settle_done() - whether udev has finished with a block device
 * @s: from settle_begin()
 * @dev: the device number
 *
 * Links that udev made for an earlier device of that number may still be there.
 *
 * Return: whether it has, or is not waited for.
 */
bool settle_done(struct settle *s, dev_t dev)
{
	struct udev_device *d;
	bool done;

	if (!s->udev)
		return true;
	d = udev_device_new_from_devnum(s->udev, 'b', dev);
	done = d && udev_device_get_is_initialized(d) > 0 &&
	       udev_device_get_usec_since_initialized(d) <= clock_now() - s->began;
	udev_device_unref(d);
	return done;
}

/**
 * settle_hopeless() - whether it is of no use to wait any longer
 * @s: from settle_begin(), asked about a device that udev has not finished with
 *
 * Events may not reach a udev whose files are seen here: it is idle, and stays so.
 *
 * Return: whether that has been so for a while.
 */
bool settle_hopeless(struct settle *s)
{
	u64 now = clock_now();

	if (!access("/run/udev/queue", F_OK))
		s->idle = 0;
	else if (!s->idle)
		s->idle = now;
	return s->idle && now - s->idle > IDLE_USEC;
}

/**
 * settle_end() - end a wait for udev
 * @s: from settle_begin()
 */
void settle_end(struct settle *s)
{
	udev_unref(s->udev);
	s->udev = NULL;
}
