// SPDX-License-Identifier: GPL-2.0
/*
 * tar archives: ustar, with the long names and sizes of GNU and of POSIX (pax). A header of a
 * block is before the data of each member.
 */
#include <strings.h>

#include "foreign/tar.h"

#define TAR_NAME_BYTES		100
#define TAR_SIZE		124
#define TAR_NUMBER_BYTES	12
#define TAR_CHECKSUM		148
#define TAR_CHECKSUM_BYTES	8
#define TAR_TYPE		156
#define TAR_MAGIC		257
#define TAR_PREFIX		345
#define TAR_PREFIX_BYTES	155

/* Bytes of the data of a header about the next member */
#define TAR_EXTENDED_MAX	SZ_64K

/* Types of members */
#define TAR_FILE		'0'
#define TAR_FILE_OLD		'\0'
#define TAR_FILE_CONTIGUOUS	'7'
#define TAR_HARD_LINK		'1'
#define TAR_SYMLINK		'2'
#define TAR_GNU_NAME		'L'
#define TAR_GNU_LINK		'K'
#define TAR_GNU_SPARSE		'S'
#define TAR_PAX			'x'
#define TAR_PAX_GLOBAL		'g'

/* Octal, with spaces or NULs around it */
static bool parse_octal(const u8 *field, size_t len, u64 *number)
{
	size_t i = 0, digits = 0;

	*number = 0;
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++, digits++)
		*number = *number << 3 | (field[i] - '0');
	return digits && (i == len || field[i] == ' ' || !field[i]);
}

/* Octal, or GNU's bytes behind one with the highest bit, most significant first */
static bool parse_number(const u8 *field, u64 *number)
{
	size_t i;

	if (field[0] != 0x80)
		return parse_octal(field, TAR_NUMBER_BYTES, number);
	for (i = 1; i < 4; i++)
		if (field[i])
			return false;
	for (*number = 0; i < TAR_NUMBER_BYTES; i++)
		*number = *number << 8 | field[i];
	return *number <= S64_MAX;
}

/* The sum of all bytes of the header, those of the checksum taken as spaces */
static bool checksum_is_right(const u8 *h)
{
	u64 expected;
	u32 i, sum = 0;

	for (i = 0; i < TAR_BLOCK; i++)
		sum += i >= TAR_CHECKSUM && i < TAR_CHECKSUM + TAR_CHECKSUM_BYTES ? ' ' : h[i];
	return FOREIGN_FUZZED ||
	       (parse_octal(h + TAR_CHECKSUM, TAR_CHECKSUM_BYTES, &expected) && expected == sum);
}

static bool is_ustar(const u8 *h)
{
	return !memcmp(h + TAR_MAGIC, "ustar", 5);
}

static bool is_zero(const u8 *h)
{
	u32 i = 0;

	while (i < TAR_BLOCK && !h[i])
		i++;
	return i == TAR_BLOCK;
}

static size_t field_len(const u8 *field, size_t len)
{
	return strnlen((const char *)field, len);
}

/* A header about the next member, which is no member. */
static bool is_extended(u8 type)
{
	return type == TAR_PAX || type == TAR_PAX_GLOBAL || type == TAR_GNU_NAME ||
	       type == TAR_GNU_LINK;
}

/**
 * tar_first_name_ends() - find out whether a file begins as an archive does
 * @start: its first bytes
 * @len: how many
 * @ending: of the first member's name; capitals do not matter
 *
 * Return: true if there is the header of such a member.
 */
bool tar_first_name_ends(const u8 *start, size_t len, const char *ending)
{
	size_t ending_len = strlen(ending), name_len;
	const u8 *h = start;
	u64 size;

	while (start + len - h >= TAR_BLOCK && is_ustar(h) && checksum_is_right(h)) {
		name_len = field_len(h, TAR_NAME_BYTES);
		if (!is_extended(h[TAR_TYPE]))
			return name_len >= ending_len &&
			       !strncasecmp((const char *)h + name_len - ending_len, ending,
					    ending_len);
		if (!parse_number(h + TAR_SIZE, &size) || size > len)
			return false;
		size = TAR_BLOCK + ROUND_UP(size, (u64)TAR_BLOCK);
		if (size > (u64)(start + len - h))
			return false;
		h += size;
	}
	return false;
}

static int fail_header(struct foreign *f, const struct tar *t)
{
	return foreign_fail(f, "has a tar header at host offset %llu that is not valid",
			    (unsigned long long)t->host_offset);
}

/* Takes a line of a pax header: its value, without the newline behind it, ends in a NUL. */
static bool take_pax(struct tar *t, const char *key, const char *value)
{
	u64 size = 0;

	if (!strncmp(key, "GNU.sparse.", strlen("GNU.sparse.")))
		t->is_sparse = true;
	if (!strcmp(key, "path")) {
		if (strlen(value) >= sizeof(t->long_name))
			return false;
		strcpy(t->long_name, value);
	}
	if (strcmp(key, "size"))
		return true;
	for (; *value >= '0' && *value <= '9' && size <= (u64)S64_MAX / 10 - 1; value++)
		size = size * 10 + (*value - '0');
	t->long_size = size;
	t->has_long_size = true;
	return !*value;
}

/* Cuts a line, which is its length in digits, a space, key=value, and a newline. */
static char *cut_pax_line(char *line, char *end, char **key, char **value)
{
	u64 len = 0;
	char *c = line;

	for (; c < end && *c >= '0' && *c <= '9' && len <= TAR_EXTENDED_MAX; c++)
		len = len * 10 + (*c - '0');
	if (c == end || *c != ' ' || len > (u64)(end - line) || line + len < c + 2 ||
	    line[len - 1] != '\n')
		return NULL;
	line[len - 1] = '\0';
	*key = c + 1;
	*value = strchr(*key, '=');
	if (!*value)
		return NULL;
	*(*value)++ = '\0';
	return line + len;
}

static bool parse_pax(struct tar *t, char *text, u64 bytes)
{
	char *line = text, *end = text + bytes, *key, *value;

	while (line < end) {
		line = cut_pax_line(line, end, &key, &value);
		if (!line || !take_pax(t, key, value))
			return false;
	}
	return true;
}

/* Takes the name and size of the next member from a header. A header for all members has none. */
static int read_extended(struct foreign *f, struct tar *t, u8 type, u64 bytes)
{
	char *text;
	int err;

	if (type != TAR_PAX && type != TAR_GNU_NAME)
		return 0;
	if (bytes > TAR_EXTENDED_MAX)
		return fail_header(f, t);
	text = foreign_alloc(f, 1, bytes + 1);
	if (!text)
		return -ENOMEM;
	err = foreign_read(f, 0, text, bytes, t->host_offset + TAR_BLOCK);
	if (err)
		return err;
	if (type == TAR_GNU_NAME && strlen(text) < sizeof(t->long_name))
		strcpy(t->long_name, text);
	else if (type == TAR_GNU_NAME || !parse_pax(t, text, bytes))
		return fail_header(f, t);
	return 0;
}

/* The name in a header: its prefix, a slash, and its last part. */
static void short_name(const u8 *h, char *name)
{
	size_t len = is_ustar(h) && h[TAR_MAGIC + 5] == '\0' ?
		     field_len(h + TAR_PREFIX, TAR_PREFIX_BYTES) : 0;

	sprintf(name, "%.*s%s%.*s", (int)len, h + TAR_PREFIX, len ? "/" : "", TAR_NAME_BYTES, h);
}

static int set_name(struct foreign *f, const struct tar *t, const u8 *h, struct tar_member *m)
{
	char buf[TAR_NAME_BYTES + TAR_PREFIX_BYTES + 2];
	const char *name = t->long_name;
	char *copy;

	if (!*name) {
		short_name(h, buf);
		name = buf;
	}
	while (!strncmp(name, "./", 2))
		name += 2;
	copy = foreign_alloc(f, 1, strlen(name) + 1);
	if (!copy)
		return -ENOMEM;
	strcpy(copy, name);
	m->name = copy;
	return 0;
}

static int set_member(struct foreign *f, struct tar *t, const u8 *h, u64 size,
		      struct tar_member *m)
{
	u8 type = h[TAR_TYPE];

	m->host_offset = t->host_offset + TAR_BLOCK;
	m->size = t->has_long_size ? t->long_size : size;
	m->is_sparse = t->is_sparse;
	m->is_file = type == TAR_FILE || type == TAR_FILE_OLD ||
		     type == TAR_FILE_CONTIGUOUS;
	if (type == TAR_GNU_SPARSE)
		return foreign_unsupported(f, "has a sparse member at host offset %llu, so what follows is not found; make the archive without tar --sparse",
					   (unsigned long long)t->host_offset);
	/* The size of a link is that of the other file. */
	if (type == TAR_HARD_LINK || type == TAR_SYMLINK)
		m->size = 0;
	return set_name(f, t, h, m);
}

/* Goes to the next header, behind the data of this one. */
static int skip_data(struct foreign *f, struct tar *t, u64 bytes)
{
	u64 size = foreign_size(f, 0), start = t->host_offset + TAR_BLOCK;

	if (bytes > size - start) {
		qcow_advise(&f->msg, -EINVAL, "ends at byte %llu, in a member of %llu bytes, so it is truncated; restore it from a copy",
			    (unsigned long long)size, (unsigned long long)bytes);
		return -EINVAL;
	}
	t->host_offset = start + ROUND_UP(bytes, (u64)TAR_BLOCK);
	return 0;
}

static void forget_extended(struct tar *t)
{
	t->long_name[0] = '\0';
	t->has_long_size = false;
	t->is_sparse = false;
}

/**
 * tar_next() - read the next header of an archive, with those that are about its member
 * @f: the image
 * @t: the archive, all zeros at first
 * @m: the result
 *
 * Return: 1, 0 at the end, or a negative errno with a message.
 */
int tar_next(struct foreign *f, struct tar *t, struct tar_member *m)
{
	u8 h[TAR_BLOCK];
	u64 size;
	int err;

	forget_extended(t);
	while (t->host_offset < foreign_size(f, 0)) {
		err = foreign_read(f, 0, h, sizeof(h), t->host_offset);
		if (err)
			return err;
		if (is_zero(h))
			return 0;
		if (!checksum_is_right(h) || !parse_number(h + TAR_SIZE, &size))
			return fail_header(f, t);
		if (is_extended(h[TAR_TYPE])) {
			err = read_extended(f, t, h[TAR_TYPE], size);
			if (!err)
				err = skip_data(f, t, size);
			if (err)
				return err;
			continue;
		}
		err = set_member(f, t, h, size, m);
		if (!err)
			err = skip_data(f, t, m->size);
		return err ? err : 1;
	}
	return 0;
}
