// SPDX-License-Identifier: GPL-2.0
/*
 * Passphrases: from a file, or typed without being shown.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "passphrase.h"
#include "report.h"
#include "text.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

/* All there is, verbatim; at most one byte too many. */
static int read_all(struct passphrase *p, int fd)
{
	ssize_t n;

	p->len = 0;
	while (p->len < sizeof(p->bytes)) {
		n = read(fd, p->bytes + p->len, sizeof(p->bytes) - p->len);
		if (n < 0 && errno != EINTR)
			return -1;
		if (!n)
			return 0;
		if (n > 0)
			p->len += n;
	}
	return 0;
}

/**
 * passphrase_read() - take a passphrase from a file
 * @p: the result
 * @name: the file; "-": the standard input
 *
 * All bytes count, as in QEMU's secret files: a newline at the end, too.
 *
 * Return: 0, or -1 after saying what is wrong.
 */
int passphrase_read(struct passphrase *p, const char *name)
{
	bool input = !strcmp(name, "-");
	int fd = input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -1 : read_all(p, fd);

	if (input)
		name = "--key-file -";
	if (err)
		report(name, "cannot be read: %s", strerror(errno));
	else if (p->len > PASSPHRASE_MAX)
		report(name, "is no passphrase: it has more than %u bytes",
		       PASSPHRASE_MAX);
	else if (!p->len)
		report(name, "is empty; it has to hold the passphrase");
	if (!input && fd >= 0)
		close(fd);
	return err || p->len > PASSPHRASE_MAX || !p->len ? -1 : 0;
}

/* One line. -1: a signal came, or the terminal is gone. */
static int read_line(struct passphrase *p, int tty)
{
	ssize_t n;

	for (p->len = 0; p->len < PASSPHRASE_MAX; p->len += n) {
		n = read(tty, p->bytes + p->len, 1);
		if (n < 0)
			return -1;
		if (!n || p->bytes[p->len] == '\n')
			return 0;
	}
	return -1;
}

/* Read a line that is not shown; the terminal is as before, whatever happens. */
static int read_hidden(struct passphrase *p, int tty)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP };
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction old[5];
	struct termios shown, hidden;
	size_t i;
	int err;

	if (tcgetattr(tty, &shown))
		return -1;
	hidden = shown;
	hidden.c_lflag &= ~ECHO;
	caught = 0;
	for (i = 0; i < 5; i++)
		sigaction(numbers[i], &action, &old[i]);
	err = tcsetattr(tty, TCSAFLUSH, &hidden);
	if (!err)
		err = read_line(p, tty);
	tcsetattr(tty, TCSAFLUSH, &shown);
	for (i = 0; i < 5; i++)
		sigaction(numbers[i], &old[i], NULL);
	dprintf(tty, "\n");
	if (caught) {
		explicit_bzero(p, sizeof(*p));
		raise(caught);
	}
	return err;
}

/**
 * passphrase_ask() - ask for a passphrase on the terminal
 * @p: the result
 * @image: the image that it is for
 *
 * Return: 0, or -1 after saying what is wrong.
 */
int passphrase_ask(struct passphrase *p, const char *image)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	char *shown;
	int err;

	if (tty < 0) {
		report(image, "is encrypted, and there is no terminal to ask for its passphrase; use --key-file");
		return -1;
	}
	shown = text_escape(image);
	dprintf(tty, "Passphrase of %s: ", shown);
	free(shown);
	err = read_hidden(p, tty);
	close(tty);
	if (err)
		report(image, "was given no passphrase");
	return err;
}
