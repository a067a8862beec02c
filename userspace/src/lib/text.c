// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that others wrote, made fit to print; sizes read and written.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#include "lib/memory.h"
#include "lib/text.h"

/* Characters that turn the direction of text and so can fake the output. */
static bool is_bidi_control(u32 c)
{
	return c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* Characters that JSON lets pass, but that should not get to a terminal. */
static bool is_control(u32 c)
{
	return (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || is_bidi_control(c);
}

/* Length of the printable character at @s, 0 if there is none. */
static size_t printable(const char *s)
{
	mbstate_t state = { };
	wchar_t c;
	size_t n = mbrtowc(&c, s, strnlen(s, MB_LEN_MAX), &state);

	if (n == (size_t)-1 || n == (size_t)-2 || !n)
		return 0;
	return iswprint(c) && !is_bidi_control(c) ? n : 0;
}

/**
 * text_escape() - make bytes printable on a terminal
 * @bytes: a file's name or anything else that an image's author wrote
 *
 * Characters that the locale cannot print become ``\xNN``.
 *
 * Return: a string to free.
 */
char *text_escape(const char *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = xcalloc(strlen(bytes) + 1, 4);
	char *out = text;
	size_t n;

	while (*bytes) {
		n = printable(bytes);
		if (n) {
			out = mempcpy(out, bytes, n);
			bytes += n;
		} else {
			*out++ = '\\';
			*out++ = 'x';
			*out++ = digits[(unsigned char)*bytes >> 4];
			*out++ = digits[*bytes++ & 15];
		}
	}
	return text;
}

/* Whether a shell takes a path for one word that stands for itself. */
static bool is_plain_word(const char *path)
{
	static const char others[] = "/._-+,:@%";

	for (; *path; path++)
		if (!isalnum((unsigned char)*path) && !strchr(others, *path))
			return false;
	return true;
}

/* One string of "$'...'", which may hold the escapes of text_escape(). */
static char *shell_escaped(const char *path)
{
	char *doubled = xcalloc(strlen(path) + 1, 2), *out = doubled;
	char *shown, *word;

	for (; *path; path++) {
		if (*path == '\\' || *path == '\'')
			*out++ = '\\';
		*out++ = *path;
	}
	shown = text_escape(doubled);
	word = xasprintf("$'%s'", shown);
	free(shown);
	free(doubled);
	return word;
}

/**
 * text_shell() - a path as a word of a command for bash, printable on a terminal
 * @path: any bytes
 *
 * A name that begins with "-" or has a colon in it gets "./" in front, so that programs
 * take it for a file.
 *
 * Return: a string to free.
 */
char *text_shell(const char *path)
{
	bool strange = path[0] == '-' || path[strcspn(path, ":/")] == ':';
	char *full = xasprintf("%s%s", strange ? "./" : "", path);
	char *shown = text_escape(full);
	char *word;

	if (is_plain_word(full) && *path)
		word = xstrdup(full);
	else if (!strcmp(shown, full) && !strchr(full, '\''))
		word = xasprintf("'%s'", full);
	else
		word = shell_escaped(full);
	free(shown);
	free(full);
	return word;
}

/**
 * text_width() - how much of a line a text takes
 * @text: a result of text_escape()
 *
 * Return: columns.
 */
int text_width(const char *text)
{
	mbstate_t state = { };
	int width = 0;
	wchar_t c;
	size_t n;

	for (; *text; text += n) {
		n = 1;
		if ((unsigned char)*text < 0x80) {
			width++;
			continue;
		}
		n = mbrtowc(&c, text, MB_LEN_MAX, &state);
		if (n == (size_t)-1 || n == (size_t)-2 || !n)
			return width;
		width += wcwidth(c) > 0 ? wcwidth(c) : 0;
	}
	return width;
}

/* Length of the valid UTF-8 sequence at @s, 0 if it is not one. */
static size_t utf8_decode(const unsigned char *s, u32 *decoded)
{
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 :
		   s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	u32 c;
	size_t i;

	*decoded = s[0];
	if (n < 2)
		return n;
	c = s[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*decoded = c;
	return n;
}

/**
 * text_until_control() - find the first character that should not get to a terminal
 * @s: valid UTF-8
 * @c: the character; lines and indents of JSON are none
 * @bytes: its length, 0: there is none
 *
 * Return: bytes in front of it.
 */
size_t text_until_control(const char *s, u32 *c, size_t *bytes)
{
	const char *at;

	for (at = s; *at; at += *bytes) {
		*bytes = utf8_decode((const unsigned char *)at, c);
		if (!*bytes)
			*bytes = 1;
		else if (is_control(*c))
			return at - s;
	}
	*bytes = 0;
	return at - s;
}

/**
 * text_utf8() - make bytes valid UTF-8, for JSON
 * @bytes: a file's name or anything else that an image's author wrote
 *
 * Bytes that are not valid become U+FFFD.
 *
 * Return: a string to free.
 */
char *text_utf8(const char *bytes)
{
	char *text = xcalloc(strlen(bytes) + 1, 3);
	char *out = text;
	size_t n;
	u32 c;

	while (*bytes) {
		n = utf8_decode((const unsigned char *)bytes, &c);
		if (n) {
			out = mempcpy(out, bytes, n);
			bytes += n;
		} else {
			out = mempcpy(out, "\xef\xbf\xbd", 3);
			bytes++;
		}
	}
	return text;
}

/**
 * text_shown() - make bytes fit for a table or for JSON
 * @bytes: a file's name or anything else that an image's author wrote
 * @json: for JSON
 *
 * Return: a string to free.
 */
char *text_shown(const char *bytes, bool json)
{
	return json ? text_utf8(bytes) : text_escape(bytes);
}

static char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/**
 * text_lower() - a word of ours in small letters
 * @word: the word
 *
 * In every locale alike, as for text_same_word().
 *
 * Return: the result, to be freed.
 */
char *text_lower(const char *word)
{
	char *lower = xstrdup(word);
	char *p;

	for (p = lower; *p; p++)
		*p = ascii_lower(*p);
	return lower;
}

/**
 * text_same_word() - compare words of ours, capitals or not
 * @a: a word
 * @b: a word
 *
 * In every locale alike: the small letter of I is another one in Turkish.
 *
 * Return: whether they are the same.
 */
bool text_same_word(const char *a, const char *b)
{
	while (*a && ascii_lower(*a) == ascii_lower(*b)) {
		a++;
		b++;
	}
	return ascii_lower(*a) == ascii_lower(*b);
}

static const char units[] = "BKMGTPE";

/* A suffix: K, KiB or KB and so on, or none. Return: how often @base counts, or -EINVAL. */
static int parse_unit(const char *s, unsigned int *base)
{
	int exp;

	*base = 1024;
	if (!*s)
		return 0;
	for (exp = 1; units[exp]; exp++)
		if (ascii_lower(units[exp]) == ascii_lower(*s))
			break;
	if (!units[exp])
		return -EINVAL;
	if (text_same_word(s + 1, "B"))
		*base = 1000;
	else if (s[1] && !text_same_word(s + 1, "iB"))
		return -EINVAL;
	return exp;
}

/* Digits behind a point: @fraction of @parts. Return: the text behind them, or NULL. */
static const char *parse_fraction(const char *s, u64 *fraction, u64 *parts)
{
	const char *start = s;

	while (isdigit((unsigned char)*s) && s - start < 15) {
		*fraction = *fraction * 10 + (*s++ - '0');
		*parts *= 10;
	}
	/* Of bytes there are no fractions. */
	return s == start || !*s ? NULL : s;
}

/**
 * text_parse_size() - read a number of bytes
 * @s: decimal digits, maybe with a point, or 0x and hexadecimal digits, then maybe a
 *	letter: K, KiB, M, MiB and so on count in steps of 1024, KB, MB and so on in
 *	steps of 1000
 * @size: the result
 *
 * Return: 0 or -EINVAL, also if it is not whole bytes.
 */
int text_parse_size(const char *s, u64 *size)
{
	bool hex = s[0] == '0' && ascii_lower(s[1]) == 'x';
	u64 fraction = 0, parts = 1;
	unsigned int base;
	const char *rest;
	char *end;
	int exp;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*size = strtoull(s, &end, hex ? 16 : 10);
	if (errno)
		return -EINVAL;
	rest = !hex && *end == '.' ? parse_fraction(end + 1, &fraction, &parts) : end;
	exp = rest ? parse_unit(rest, &base) : -EINVAL;
	if (exp < 0)
		return -EINVAL;
	while (exp--) {
		fraction *= base;
		if (__builtin_mul_overflow(*size, base, size) ||
		    __builtin_add_overflow(*size, fraction / parts, size))
			return -EINVAL;
		fraction %= parts;
	}
	return fraction ? -EINVAL : 0;
}

/**
 * text_size() - a number of bytes as short as lsblk prints it: 20G, 1.5M
 * @buf: the text
 * @len: bytes at @buf
 * @bytes: the size
 */
void text_size(char *buf, size_t len, u64 bytes)
{
	unsigned int exp = 0;
	u64 whole, tenths;

	while (exp + 2 < sizeof(units) && bytes >> (10 * (exp + 1)))
		exp++;
	whole = bytes >> (10 * exp);
	tenths = exp ? ((bytes >> (10 * (exp - 1)) & 1023) * 10 + 512) / 1024 : 0;
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (tenths)
		snprintf(buf, len, "%llu.%llu%c", (unsigned long long)whole,
			 (unsigned long long)tenths, units[exp]);
	else
		snprintf(buf, len, "%llu%c", (unsigned long long)whole, units[exp]);
}

/**
 * text_size_long() - a number of bytes as qemu-img prints it: 20 GiB
 * @buf: the text
 * @len: bytes at @buf
 * @bytes: the size
 */
void text_size_long(char *buf, size_t len, u64 bytes)
{
	double n = bytes;
	unsigned int exp = 0;

	for (; n >= 1000 && exp + 2 < sizeof(units); exp++)
		n /= 1024;
	if (exp)
		snprintf(buf, len, "%.3g %ciB", n, units[exp]);
	else
		snprintf(buf, len, "%.3g B", n);
}
