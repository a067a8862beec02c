// SPDX-License-Identifier: GPL-2.0
/*
 * Names on FAT: long ones in UTF-16, of which no two may differ by case alone, and a short
 * one of 8 and 3 characters beside each.
 */
#define _GNU_SOURCE
#include <locale.h>
#include <search.h>
#include <stdlib.h>
#include <wctype.h>

#include "foreign/utf16.h"
#include "lib/report.h"
#include "lib/text.h"
#include "vvfat/names.h"

#define NUMBER_HINTS	256

/* The largest number that short names with the same 6 characters count by themselves */
#define OWN_NUMBERS_MAX	9

/* The number with the most digits, which leaves the least room for a name */
#define LARGEST_NUMBER	9999999

/**
 * struct names - the names that a directory has so far
 * @longs: names in capitals, a tree of struct long_key
 * @shorts: short names, a tree of them
 * @long_numbers: the last numbers of long names, a tree of struct long_number
 * @numbers: of short names with a number: the last ones, by a checksum of the rest
 * @more_numbers: the same above OWN_NUMBERS_MAX, by fewer characters
 * @locale: knows capitals; 0: only those of ASCII are known
 */
struct names {
	void *longs;
	void *shorts;
	void *long_numbers;
	u32 numbers[NUMBER_HINTS];
	u32 more_numbers[NUMBER_HINTS];
	locale_t locale;
};

struct long_key {
	u32 len;
	u16 chars[LONG_NAME_MAX];
};

/**
 * struct long_number - the numbers of long names that are the same without them
 * @key: the name with LARGEST_NUMBER; the first member, for compare_longs()
 * @last: the last number that was tried
 */
struct long_number {
	struct long_key key;
	u32 last;
};

static int compare_longs(const void *a, const void *b)
{
	const struct long_key *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->chars, y->chars, x->len * sizeof(u16));
}

static int compare_shorts(const void *a, const void *b)
{
	return memcmp(a, b, SHORT_NAME_SIZE);
}

/* Find a key in a tree, or add it. Return: that of the tree; @added: it was not there yet. */
static void *find_key(void **tree, const void *key, size_t size,
		      int (*compare)(const void *a, const void *b), bool *added)
{
	void **found = tfind(key, tree, compare), *copy;

	*added = !found;
	if (found)
		return *found;
	copy = xcalloc(1, size);
	memcpy(copy, key, size);
	if (!tsearch(copy, tree, compare))
		abort();
	return copy;
}

/* Add a key to a tree. Return: whether it was not there yet. */
static bool add_key(void **tree, const void *key, size_t size,
		    int (*compare)(const void *a, const void *b))
{
	bool added;

	find_key(tree, key, size, compare, &added);
	return added;
}

/* --- Long names --- */

/* Take a character of UTF-8. Return: it, or 0xffffffff and one byte if there is none. */
static u32 take_char(const u8 **s)
{
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const u8 *p = *s;
	u32 len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 :
		  p[0] < 0xf5 ? 4 : 0;
	u32 i, c = len == 1 ? p[0] : len ? p[0] & (0xff >> (len + 1)) : 0;

	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			len = 0;
		else
			c = c << 6 | (p[i] & 0x3f);
	}
	*s += len ? len : 1;
	if (!len || c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0xffffffff;
	return c;
}

static bool char_valid(u32 c)
{
	return c >= ' ' && c < 0x110000 && (c & 0xfffe) != 0xfffe && c != 0x7f &&
	       !(c < 0x80 && strchr("\"*/:<>?\\|", c));
}

static u32 put_char(u16 *units, u32 c)
{
	if (c < 0x10000) {
		units[0] = c;
		return 1;
	}
	units[0] = 0xd800 | (c - 0x10000) >> 10;
	units[1] = 0xdc00 | (c & 0x3ff);
	return 2;
}

/* A name in UTF-16; characters that FAT has not become "_". Return: whether any has. */
static bool to_utf16(struct node *n)
{
	const u8 *s = (const u8 *)n->name;
	bool changed = false, valid;
	u32 c;

	n->long_name = xcalloc(LONG_NAME_MAX + 1, sizeof(u16));
	n->long_len = 0;
	while (*s && n->long_len < LONG_NAME_MAX) {
		c = take_char(&s);
		valid = char_valid(c);
		changed |= !valid;
		n->long_len += put_char(n->long_name + n->long_len, valid ? c : '_');
	}
	n->long_len = min(n->long_len, (u32)LONG_NAME_MAX);
	c = n->long_name[n->long_len - 1];
	if (c == '.' || c == ' ') {
		n->long_name[n->long_len - 1] = '_';
		changed = true;
	}
	return changed;
}

static u16 capital(const struct names *names, u16 c)
{
	wint_t w = c;

	if (c < 0x80 || !names->locale)
		return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
	if (c < 0xd800 || c >= 0xe000)
		w = towupper_l(c, names->locale);
	return w < 0x10000 ? w : c;
}

static void make_key(const struct names *names, const struct node *n, struct long_key *key)
{
	u32 i;

	key->len = n->long_len;
	for (i = 0; i < n->long_len; i++)
		key->chars[i] = capital(names, n->long_name[i]);
}

static bool add_long(struct names *names, const struct node *n)
{
	struct long_key key = { };

	make_key(names, n, &key);
	return add_key(&names->longs, &key, sizeof(key), compare_longs);
}

/* Where the ending of a name begins: its last point, or its end. */
static u32 ending_of(const u16 *name, u32 len)
{
	u32 i = len;

	while (i > 1)
		if (name[--i] == '.')
			return i;
	return len;
}

/* Put a number in front of a name's ending, as in "name~2.txt". */
static void put_number(struct node *n, const u16 *name, u32 len, u32 number)
{
	u32 ending = ending_of(name, len), i, digits, rest;
	char text[16];

	digits = snprintf(text, sizeof(text), "~%u", number);
	rest = min(len - ending, LONG_NAME_MAX - digits - 1);
	ending = min(ending, LONG_NAME_MAX - digits - rest);
	if ((name[ending - 1] & 0xfc00) == 0xd800)
		ending--;
	memcpy(n->long_name, name, ending * sizeof(u16));
	for (i = 0; i < digits; i++)
		n->long_name[ending + i] = text[i];
	memcpy(n->long_name + ending + digits, name + len - rest, rest * sizeof(u16));
	n->long_len = ending + digits + rest;
}

static void note_name(struct tree *t, const struct node *n, const char *why)
{
	char name[4 * LONG_NAME_MAX + 1] = "", *shown;

	if (utf16_to_utf8(name, sizeof(name), (const u8 *)n->long_name,
			  n->long_len * sizeof(u16), __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) < 0)
		strcpy(name, "?");
	shown = text_escape(name);
	tree_note(t, n, "is shown as \"%s\", as %s", shown, why);
	free(shown);
}

/* The last number of the names that are the same as this one but for a number. */
static u32 *last_number(struct names *names, struct node *n, const u16 *name, u32 len)
{
	struct long_number number = { .last = 1 }, *found;
	bool added;

	put_number(n, name, len, LARGEST_NUMBER);
	make_key(names, n, &number.key);
	found = find_key(&names->long_numbers, &number, sizeof(number), compare_longs, &added);
	return &found->last;
}

static void choose_long(struct tree *t, struct names *names, struct node *n)
{
	bool changed = to_utf16(n), twice = !add_long(names, n);
	u32 len = n->long_len, *number;
	u16 name[LONG_NAME_MAX];

	memcpy(name, n->long_name, len * sizeof(u16));
	if (twice) {
		number = last_number(names, n, name, len);
		do
			put_number(n, name, len, ++*number);
		while (!add_long(names, n));
	}
	n->long_name = xrealloc(n->long_name, n->long_len * sizeof(u16));
	if (twice)
		note_name(t, n, "FAT does not tell it from another name");
	else if (changed)
		note_name(t, n, "FAT has no such name");
}

/* --- Short names --- */

/* A character of a short name, or 0. */
static u8 short_char(u16 c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 'A';
	if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return c;
	return c < 0x80 && c && strchr("!#$%&'()-@^_`{}~", c) ? c : 0;
}

/* Take up to @max characters for a part of a short name. Return: whether all are in it. */
static bool take_short(u8 *to, u32 max, const u16 *name, u32 len)
{
	bool all = true;
	u32 i, n = 0;

	for (i = 0; i < len; i++) {
		u8 c = short_char(name[i]);

		all &= c && n < max;
		if (name[i] == ' ' || name[i] == '.' || n == max)
			continue;
		to[n++] = c ? c : '_';
	}
	return all;
}

/* The short name without a number. Return: whether it is the name, but for capitals. */
static bool short_of(const struct node *n, u8 *name)
{
	const u16 *s = n->long_name;
	u32 len = n->long_len, ending;
	bool all = true;

	memset(name, ' ', SHORT_NAME_SIZE);
	while (len && (*s == '.' || *s == ' ')) {
		s++;
		len--;
		all = false;
	}
	ending = ending_of(s, len);
	all &= take_short(name, 8, s, ending);
	if (ending < len)
		all &= take_short(name + 8, 3, s + ending + 1, len - ending - 1);
	if (name[0] == ' ')
		name[0] = '_';
	return all && len;
}

/* A checksum of the first characters and of the ending */
static u32 hint_of(const u8 *name, u32 first)
{
	u32 i, sum = 0;

	for (i = 0; i < SHORT_NAME_SIZE; i++)
		if (i < first || i >= 8)
			sum = sum * 31 + name[i];
	return sum % NUMBER_HINTS;
}

/*
 * The last number of such short names. A large number leaves little of a name: those that are
 * the same then are counted together, for each of them to find a free one soon.
 */
static u32 *last_short_number(struct names *names, const u8 *base)
{
	u32 *number = &names->numbers[hint_of(base, 6)];

	if (*number < OWN_NUMBERS_MAX)
		return number;
	number = &names->more_numbers[hint_of(base, 2)];
	*number = max(*number, (u32)OWN_NUMBERS_MAX);
	return number;
}

/* A short name with a number that makes it the only one. */
static void choose_number(struct names *names, struct node *n, const u8 *base)
{
	u32 len, digits;
	char text[16];

	for (len = 0; len < 8 && base[len] != ' ';)
		len++;
	do {
		digits = snprintf(text, sizeof(text), "~%u", ++*last_short_number(names, base));
		memcpy(n->short_name, base, SHORT_NAME_SIZE);
		memcpy(n->short_name + min(len, 8 - digits), text, digits);
	} while (!add_key(&names->shorts, n->short_name, SHORT_NAME_SIZE, compare_shorts));
}

static bool is_capitals(const struct node *n)
{
	u32 i;

	for (i = 0; i < n->long_len; i++)
		if (n->long_name[i] >= 'a' && n->long_name[i] <= 'z')
			return false;
	return true;
}

/* Names that are short go first, for others give way to them. */
static void choose_shorts(struct names *names, struct node *folder, bool exact)
{
	u8 name[SHORT_NAME_SIZE];
	struct node *n;
	u32 i;

	for (i = 0; i < folder->nr_children; i++) {
		n = folder->children[i];
		if (n->short_name[0] || short_of(n, name) != exact)
			continue;
		if (!exact || !add_key(&names->shorts, name, SHORT_NAME_SIZE, compare_shorts)) {
			choose_number(names, n, name);
			continue;
		}
		memcpy(n->short_name, name, SHORT_NAME_SIZE);
		if (is_capitals(n)) {
			free(n->long_name);
			n->long_name = NULL;
		}
	}
}

/**
 * names_choose() - choose the names of all files of a folder
 * @t: the tree
 * @folder: the folder
 */
void names_choose(struct tree *t, struct node *folder)
{
	struct names names = { .locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL) };
	u32 i;

	for (i = 0; i < folder->nr_children; i++)
		choose_long(t, &names, folder->children[i]);
	choose_shorts(&names, folder, true);
	choose_shorts(&names, folder, false);
	tdestroy(names.longs, free);
	tdestroy(names.shorts, free);
	tdestroy(names.long_numbers, free);
	if (names.locale)
		freelocale(names.locale);
}
