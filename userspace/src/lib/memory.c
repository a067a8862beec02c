// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is there, or the program ends.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "lib/memory.h"

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
 * xvasprintf() - as xasprintf(), with a list of arguments
 * @fmt: printf format
 * @args: its arguments
 *
 * Return: the string; the program ends if there is no memory.
 */
char *xvasprintf(const char *fmt, va_list args)
{
	char *s;
	int n = vasprintf(&s, fmt, args);

	return check_memory(n < 0 ? NULL : s);
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

	va_start(args, fmt);
	s = xvasprintf(fmt, args);
	va_end(args);
	return s;
}
