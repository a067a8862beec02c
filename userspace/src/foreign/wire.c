// SPDX-License-Identifier: GPL-2.0
/*
 * Messages over a socket, with a descriptor or without one. Both sides check what comes.
 */
#define _GNU_SOURCE
#include <sys/socket.h>

#include "foreign/wire.h"

/* Bytes of a message before its text. */
#define FIXED_BYTES	offsetof(struct wire, text)

/* Room for the descriptor of a message. */
union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/**
 * wire_set_text() - put a text into a message
 * @w: the message
 * @text: it; the end of a long one is cut off
 */
void wire_set_text(struct wire *w, const char *text)
{
	w->len = strnlen(text, sizeof(w->text) - 1);
	memcpy(w->text, text, w->len);
}

static void put_descriptor(struct msghdr *m, union control *control, int fd)
{
	struct cmsghdr *c;

	m->msg_control = control->bytes;
	m->msg_controllen = sizeof(control->bytes);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

/**
 * wire_send() - send a message
 * @sock: the socket
 * @w: the message
 * @fd: a descriptor that goes with it, or -1
 *
 * Return: 0 or a negative errno.
 */
int wire_send(int sock, const struct wire *w, int fd)
{
	struct iovec iov = { .iov_base = (void *)w, .iov_len = FIXED_BYTES + w->len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { };
	ssize_t n;

	if (fd >= 0)
		put_descriptor(&m, &control, fd);
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int take_descriptor(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Whether a message of so many bytes is one. Terminates its texts. */
static bool is_valid(struct wire *w, size_t bytes)
{
	if (bytes < FIXED_BYTES || w->len != bytes - FIXED_BYTES || w->len >= sizeof(w->text))
		return false;
	w->key[sizeof(w->key) - 1] = '\0';
	w->text[w->len] = '\0';
	return true;
}

/**
 * wire_receive() - wait for a message
 * @sock: the socket
 * @w: the result
 * @fd: set to a descriptor that came with it, or to -1; NULL: none is taken
 *
 * Return: 0; -EPIPE: the other side is gone; -EPROTO: it sent something else.
 */
int wire_receive(int sock, struct wire *w, int *fd)
{
	struct iovec iov = { .iov_base = w, .iov_len = sizeof(*w) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { };
	ssize_t n;

	if (fd) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
	}
	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (fd)
		*fd = n > 0 ? take_descriptor(&m) : -1;
	if (n <= 0)
		return -EPIPE;
	return is_valid(w, n) ? 0 : -EPROTO;
}
