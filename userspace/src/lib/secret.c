// SPDX-License-Identifier: GPL-2.0
/*
 * Passphrases: out of a file, byte by byte, or from the terminal without echo.
 * Their memory is not swapped out if that can be had, and wiped.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/secret.h"
#include "lib/text.h"

/* Longest passphrase, in bytes; a line of a terminal is shorter anyway. */
#define SECRET_MAX	SZ_1M

/* --- Memory --- */

static void secret_alloc(struct secret *s)
{
	s->len = 0;
	s->bytes = mmap(NULL, SECRET_MAX + 1, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->bytes == MAP_FAILED) {
		fputs("qcowctl: out of memory\n", stderr);
		exit(1);
	}
	/* Better with these, but good enough without. */
	madvise(s->bytes, SECRET_MAX + 1, MADV_DONTDUMP);
	mlock2(s->bytes, SECRET_MAX + 1, MLOCK_ONFAULT);
}

/**
 * secret_wipe() - forget a passphrase
 * @s: it, or zeroed
 */
void secret_wipe(struct secret *s)
{
	if (!s->bytes)
		return;
	explicit_bzero(s->bytes, s->len);
	munmap(s->bytes, SECRET_MAX + 1);
	s->bytes = NULL;
	s->len = 0;
}

/* --- Files --- */

/* All of it. Return: 0 or a negative errno. */
static int secret_fill(struct secret *s, int fd)
{
	ssize_t n;

	do {
		n = read(fd, s->bytes + s->len, SECRET_MAX + 1 - s->len);
		if (n > 0)
			s->len += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/**
 * secret_read_file() - read a passphrase from a file, every byte of it
 * @s: the result, for secret_wipe()
 * @name: the file; "-": standard input
 *
 * Return: 0, or -1 after printing the error.
 */
int secret_read_file(struct secret *s, const char *name)
{
	bool standard = !strcmp(name, "-");
	int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		report(name, "cannot open the key file: %s; check --key-file", strerror(errno));
		return -1;
	}
	secret_alloc(s);
	err = secret_fill(s, fd);
	if (!standard)
		close(fd);
	if (err)
		report(name, "cannot read the key file: %s; check --key-file", strerror(-err));
	else if (s->len > SECRET_MAX)
		report(name, "is too long for a key file (%u bytes at most)",
		       SECRET_MAX);
	else
		return 0;
	secret_wipe(s);
	return -1;
}

/* --- Terminal --- */

static const int ending_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
static volatile sig_atomic_t caught;

static void catch(int sig)
{
	caught = sig;
}

/*
 * One line. Signals are blocked but while it waits, with the mask @waiting, so that
 * none comes unseen before; one ends it. Return: 0, or -1: there is none.
 */
static int read_line(struct secret *s, int tty, const sigset_t *waiting)
{
	struct pollfd input = { .fd = tty, .events = POLLIN };
	ssize_t n;

	while (s->len < SECRET_MAX) {
		if (ppoll(&input, 1, NULL, waiting) < 0)
			return -1;
		n = read(tty, s->bytes + s->len, 1);
		if (n <= 0)
			return -1;
		if (s->bytes[s->len] == '\n')
			return 0;
		s->len++;
	}
	return -1;
}

/* @waiting: the mask with which they come, blocked or not before */
static void block_signals(sigset_t *before, sigset_t *waiting)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		sigaddset(&set, ending_signals[i]);
	sigprocmask(SIG_BLOCK, &set, before);
	*waiting = *before;
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		sigdelset(waiting, ending_signals[i]);
}

/* As read_line(), while signals only end the line and nothing is echoed. */
static int read_hidden(struct secret *s, int tty)
{
	sigset_t mask, waiting;
	struct sigaction old[ARRAY_SIZE(ending_signals)];
	struct sigaction sa = { .sa_handler = catch };
	struct termios before, hidden;
	size_t i;
	int err;

	caught = 0;
	if (tcgetattr(tty, &before))
		return -1;
	block_signals(&mask, &waiting);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		sigaction(ending_signals[i], &sa, &old[i]);
	hidden = before;
	hidden.c_lflag &= ~(ECHO | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	tcsetattr(tty, TCSAFLUSH, &hidden);
	err = read_line(s, tty, &waiting);
	tcsetattr(tty, TCSAFLUSH, &before);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		sigaction(ending_signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	dprintf(tty, "\n");
	if (caught) {
		secret_wipe(s);
		raise(caught);
	}
	return caught ? -1 : err;
}

/**
 * secret_prompt() - ask for a passphrase on the terminal
 * @s: the result, for secret_wipe()
 * @image: the image that it is for
 *
 * Return: 0, or -1 after printing the error.
 */
int secret_prompt(struct secret *s, const char *image)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	char *shown;
	int err;

	if (tty < 0) {
		report(image, "is encrypted, and there is no terminal to ask for its passphrase; give it with --key-file");
		return -1;
	}
	shown = text_escape(image);
	do {
		dprintf(tty, "Passphrase for %s: ", shown);
		secret_alloc(s);
		err = read_hidden(s, tty);
		/* Stopped, and then continued: nothing of it was kept. */
	} while (err && caught == SIGTSTP);
	free(shown);
	close(tty);
	if (!err)
		return 0;
	secret_wipe(s);
	report(image, "no passphrase was given");
	return -1;
}
