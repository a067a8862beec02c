// SPDX-License-Identifier: GPL-2.0
/*
 * Errors: one line on stderr that names the file, the error and the next step.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/text.h"

/* The name in front of each line. */
static const char *program = "qcowctl";

/* The words that this program says in another way than qcowctl, or NULL. */
static const struct report_words *own_words;

/* Called before a line is printed, or NULL. */
static void (*before_line)(void);

/* No line is printed. */
static bool muted;

/**
 * report_open_files() - open the standard files that are closed
 *
 * Return: 0, or -1 if one cannot be opened.
 */
int report_open_files(void)
{
	int fd;

	/* An image that became descriptor 2 would be given the messages. */
	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

/**
 * report_as() - set the program that messages are of
 * @name: its name
 * @words: replaced in messages, the first that fit; the last entry is empty. Programs
 *	spell the same option in several ways
 */
void report_as(const char *name, const struct report_words *words)
{
	program = name;
	own_words = words;
}

/**
 * report_program() - the program that messages are of
 *
 * Return: its name.
 */
const char *report_program(void)
{
	return program;
}

/**
 * report_before() - have a function called before each line that is printed
 * @hook: the function, which clears lines that are not complete
 */
void report_before(void (*hook)(void))
{
	before_line = hook;
}

/**
 * report_mute() - print no lines for a while
 * @mute: true: from now on; false: print them again
 */
void report_mute(bool mute)
{
	muted = mute;
}

static const struct report_words *words_at(const char *text)
{
	const struct report_words *w;

	for (w = own_words; w && w->qcowctl; w++)
		if (!strncmp(text, w->qcowctl, strlen(w->qcowctl)))
			return w;
	return NULL;
}

/* Print a text with the words of the program. */
static void print_text(const char *text)
{
	const struct report_words *w;

	while (*text) {
		w = words_at(text);
		if (w)
			fputs(w->other, stderr);
		else
			fputc(*text, stderr);
		text += w ? strlen(w->qcowctl) : 1;
	}
}

/**
 * report() - print one line about a file or a device
 * @name: the name; any bytes, escaped here
 * @fmt: printf format of the error and the next step. Strings that come
 *	from an image go through text_escape() first.
 */
void report(const char *name, const char *fmt, ...)
{
	char *shown, *text;
	va_list args;

	if (muted)
		return;
	shown = text_escape(name[0] ? name : "\"\"");
	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	fflush(stdout);
	if (before_line)
		before_line();
	flockfile(stderr);
	fprintf(stderr, "%s: ", program);
	/* The name may be that of an option. */
	if (strncmp(shown, "--", 2))
		fputs(shown, stderr);
	else
		print_text(shown);
	fputs(": ", stderr);
	print_text(text);
	fputc('\n', stderr);
	funlockfile(stderr);
	free(text);
	free(shown);
}

/* The next step, by the cause of an error, or by the errno if the cause is not known. */
static const struct {
	u8 code;
	int err;
	const char *text;
} advice[] = {
	{ QCOW_MSG_FOREIGN, 0, "use -f raw if it is a raw image" },
	{ QCOW_MSG_DAMAGED, 0, "restore it from a copy" },
	{ QCOW_MSG_DAMAGED_TABLE, 0, "restore it from a copy, or attach the rest with -r --salvage" },
	{ QCOW_MSG_TRUNCATED, 0, "restore it from a copy" },
	{ QCOW_MSG_TRUNCATED_TABLE, 0, "restore it from a copy, or attach the rest with -r --salvage" },
	{ QCOW_MSG_UNSUPPORTED, 0, "convert it with qemu-img convert -O qcow2" },
	{ QCOW_MSG_NO_SNAPSHOT, 0, "see qcowctl snapshot list" },
	{ QCOW_MSG_NO_BACKING, 0, "see qcowctl info" },
	{ QCOW_MSG_READ_ONLY, 0, "detach it, and attach it without -r" },
	{ QCOW_MSG_ERRNO, ENOSPC, "make room on the filesystem of the image, then do it again" },
	{ QCOW_MSG_ERRNO, EDQUOT, "make room on the filesystem of the image, then do it again" },
	{ QCOW_MSG_ERRNO, EIO, "see the kernel log" },
	{ QCOW_MSG_ERRNO, ENODEV, "see qcowctl list" },
	{ QCOW_MSG_ERRNO, ENXIO, "see qcowctl list" },
	{ QCOW_MSG_ERRNO, EPERM, "use sudo" },
	{ QCOW_MSG_ERRNO, EACCES, "use sudo" },
	{ QCOW_MSG_ERRNO, ENOMEM, "free some memory, then do it again" },
};

/* Return: the advice, or NULL: there is none. */
static const char *find_advice(u8 code, int err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advice); i++)
		if (advice[i].code == code &&
		    (!advice[i].err || advice[i].err == -err))
			return advice[i].text;
	return NULL;
}

/* A driver without codes may have given advice, behind a semicolon. */
static u8 message_code(const struct qcow_msg *msg)
{
	if (msg->code != QCOW_MSG_NONE)
		return msg->code;
	return strchr(msg->text, ';') ? QCOW_MSG_COMPLETE : QCOW_MSG_ERRNO;
}

/**
 * report_from_driver() - complete a message that the driver wrote
 * @msg: its text was the buffer of an ioctl, and was empty before
 */
void report_from_driver(struct qcow_msg *msg)
{
	size_t len;

	msg->text[sizeof(msg->text) - 1] = 0;
	len = strlen(msg->text) + 1;
	msg->code = len < sizeof(msg->text) ? msg->text[len] : QCOW_MSG_NONE;
}

/**
 * report_msg() - print a message of the header parser or the driver about a file
 * @name: the file
 * @err: negative errno
 * @msg: the text; if empty, the errno's text is printed
 */
void report_msg(const char *name, int err, const struct qcow_msg *msg)
{
	const char *next;
	char *text;

	if (!msg->text[0]) {
		next = find_advice(QCOW_MSG_ERRNO, err);
		/* The driver knows no more, but may have logged it. */
		report(name, "%s; %s", strerror(-err),
		       next ? next : "see the kernel log");
		return;
	}
	next = find_advice(message_code(msg), err);
	text = text_escape(msg->text);
	report(name, "%s%s%s", text, next ? "; " : "", next ? next : "");
	free(text);
}
