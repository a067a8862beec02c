// SPDX-License-Identifier: GPL-2.0
/*
 * Passphrases: out of a file, byte by byte, from the terminal without echo, or from the
 * password agents of systemd.
 * Their memory is not swapped out if that can be had, and wiped.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

/*
 * The controlling terminal; or standard input, if it is a terminal, as in an initramfs, where
 * processes have a console but no controlling terminal. Return: a descriptor, or -1.
 */
static int open_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty < 0 && isatty(STDIN_FILENO))
		tty = open("/proc/self/fd/0", O_RDWR | O_CLOEXEC | O_NOCTTY);
	return tty;
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
	int tty = open_terminal();
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

/* --- Password agents of systemd --- */

/* Start systemd-ask-password. Return: its standard output, or a negative errno. */
static int start_agent(pid_t *pid, const char *shown)
{
	char *id = xasprintf("--id=qcow:%s", shown);
	char *question = xasprintf("Passphrase for %s:", shown);
	char *argv[] = { "systemd-ask-password", "--icon=drive-harddisk", "--timeout=0",
			 id, "--", question, NULL };
	posix_spawn_file_actions_t actions;
	int pipes[2], err;

	err = pipe2(pipes, O_CLOEXEC) ? errno : 0;
	if (!err) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
		err = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
		close(pipes[1]);
		if (err)
			close(pipes[0]);
	}
	free(question);
	free(id);
	return err ? -err : pipes[0];
}

/**
 * secret_ask_agents() - have systemd's password agents ask for a passphrase
 * @s: the result, for secret_wipe()
 * @image: the image that it is for
 *
 * Return: 0, or -1 after printing the error.
 */
int secret_ask_agents(struct secret *s, const char *image)
{
	char *shown = text_escape(image);
	int status = -1, err = 0, fd;
	pid_t pid;

	fd = start_agent(&pid, shown);
	free(shown);
	if (fd < 0) {
		report(image, "its passphrase cannot be asked for: systemd-ask-password: %s; give it with --key-file",
		       strerror(-fd));
		return -1;
	}
	secret_alloc(s);
	err = secret_fill(s, fd);
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* The program adds a newline; nobody can type one into a passphrase. */
	if (s->len && s->bytes[s->len - 1] == '\n')
		s->len--;
	if (!err && !status && s->len <= SECRET_MAX)
		return 0;
	secret_wipe(s);
	report(image, "no passphrase was given");
	return -1;
}
