// SPDX-License-Identifier: GPL-2.0
/*
 * Errors: one line on stderr that names the file, what is wrong and what to do
 * next; and memory that is there or ends the program.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>

#include "progress.h"
#include "report.h"
#include "text.h"

/**
 * report() - print one line about a file or a device
 * @name: of what; any bytes, escaped here
 * @fmt: printf format of what is wrong and what to do next. Strings that come
 *	from an image go through text_escape() first.
 */
void report(const char *name, const char *fmt, ...)
{
	char *shown = text_escape(name);
	va_list args;

	fflush(stdout);
	progress_end();
	flockfile(stderr);
	fprintf(stderr, "qcowctl: %s: ", shown);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
	free(shown);
}

/* What to do about an error, by its errno. */
static const char *errno_advice(int err)
{
	switch (-err) {
	case ENOSPC:
	case EDQUOT:
		return "; make room on the filesystem of the image, then do it again";
	case EIO:
		return "; see the kernel log";
	case ENODEV:
	case ENXIO:
		return "; see qcowctl list";
	case EPERM:
	case EACCES:
		return "; use sudo";
	case ENOMEM:
		return "; free some memory, then do it again";
	case EOPNOTSUPP:
		return "; convert it with qemu-img convert -O qcow2";
	}
	return "";
}

/* What to do about an image, if the header parser or the driver did not say it. */
static const char *report_advice(int err, const char *text)
{
	static const char salvage[] = "; restore it from a copy, or attach what is left with -r --salvage";
	static const struct {
		const char *start;
		const char *advice;
	} known[] = {
		{ "damaged header: refcount", salvage },
		{ "damaged header: the image has no refcount table", salvage },
		{ "damaged header: snapshot", salvage },
		{ "damaged header: L1 table is too large", salvage },
		{ "damaged header: L1 table of", salvage },
		{ "damaged header: too many snapshots", salvage },
		{ "damaged", "; restore it from a copy" },
		{ "file is truncated: its L1 table", salvage },
		{ "file is truncated: its refcount table", salvage },
		{ "file is truncated: its snapshot table", salvage },
		{ "file is truncated", "; restore it from a copy" },
		{ "has no snapshot with", "; see qcowctl snapshot list" },
		{ "has no backing file", "; see qcowctl info" },
		{ "is attached read-only", "; detach it, and attach it without -r" },
	};
	size_t i;

	if (strchr(text, ';'))
		return "";
	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strncmp(text, known[i].start, strlen(known[i].start)))
			return known[i].advice;
	return errno_advice(err);
}

/* A bare errno always gets some: the driver knows no more, but may have logged it. */
static void report_errno(const char *name, int err)
{
	const char *advice = err == -EOPNOTSUPP ? "" : errno_advice(err);

	report(name, "%s%s", strerror(-err), advice[0] ? advice : "; see the kernel log");
}

/**
 * report_msg() - print what the header parser or the driver says of a file
 * @name: the file
 * @err: negative errno
 * @msg: the text; if empty, the errno's text is printed
 */
void report_msg(const char *name, int err, const struct qcow_msg *msg)
{
	char *text;

	if (!msg->text[0]) {
		report_errno(name, err);
		return;
	}
	text = text_escape(msg->text);
	report(name, "%s%s", text, report_advice(err, text));
	free(text);
}

/*
 * Is it a letter that getopt_long() did not like, rather than a word? One that it does
 * not know may stand in the middle of others, and the last word be an earlier one.
 */
static bool is_letter(const char *word, const struct option *options)
{
	if (!optopt || optopt > 255)
		return false;
	for (; options->name; options++)
		if (options->val == optopt)
			return strncmp(word, "--", 2);
	return true;
}

/**
 * report_usage() - print that getopt_long() met something it does not know
 * @command: the command whose arguments they are
 * @argv: its arguments
 * @options: its options, those of one letter as well
 *
 * Return: 1, the exit code.
 */
int report_usage(const char *command, char **argv, const struct option *options)
{
	const char *word = argv[optind - 1];
	char letter[] = { '-', optopt, 0 };
	char *shown;

	shown = text_escape(is_letter(word, options) ? letter : word);
	report(command, "unknown or incomplete option %s; see qcowctl %s --help",
	       shown, command);
	free(shown);
	return 1;
}

static void *check_memory(void *p)
{
	if (p)
		return p;
	fputs("qcowctl: out of memory\n", stderr);
	exit(1);
}

/**
 * xcalloc() - zeroed memory
 * @nr: entries
 * @size: bytes of an entry
 *
 * Return: the memory; the program ends if there is none.
 */
void *xcalloc(size_t nr, size_t size)
{
	return check_memory(calloc(nr, size));
}

/**
 * xrealloc() - resize memory
 * @p: the memory or NULL
 * @size: bytes, not 0
 *
 * Return: the memory; the program ends if there is none.
 */
void *xrealloc(void *p, size_t size)
{
	return check_memory(realloc(p, size));
}

/**
 * xstrdup() - copy of a string
 * @s: the string
 *
 * Return: the copy; the program ends if there is no memory.
 */
char *xstrdup(const char *s)
{
	return check_memory(strdup(s));
}

/**
 * xstrndup() - copy of some bytes as a string
 * @s: the bytes
 * @len: at most so many
 *
 * Return: the copy; the program ends if there is no memory.
 */
char *xstrndup(const char *s, size_t len)
{
	return check_memory(strndup(s, len));
}

/**
 * xasprintf() - print into a new string
 * @fmt: printf format
 *
 * Return: the string; the program ends if there is no memory.
 */
char *xasprintf(const char *fmt, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, fmt);
	n = vasprintf(&s, fmt, args);
	va_end(args);
	return check_memory(n < 0 ? NULL : s);
}
