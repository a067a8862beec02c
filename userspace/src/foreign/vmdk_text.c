// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor of a VMDK: lines of text with the kind of the disk, its parent and its
 * extents. It is a file, or a part of the only extent.
 */
#include <stdlib.h>
#include <strings.h>

#include "foreign/vmdk.h"

static char *skip_spaces(char *s)
{
	return s + strspn(s, " \t");
}

/* Ends each line in a NUL. The text ends at the first NUL that it has. */
static void split_lines(struct vmdk_text *t)
{
	size_t i;

	t->len = strnlen(t->bytes, t->len);
	for (i = 0; i < t->len; i++)
		if (t->bytes[i] == '\n' || t->bytes[i] == '\r')
			t->bytes[i] = '\0';
}

/* The line after @line, or NULL; a @line of NULL is before the first. */
static char *next_line(const struct vmdk_text *t, char *line)
{
	line = line ? line + strlen(line) + 1 : t->bytes;
	return line < t->bytes + t->len ? line : NULL;
}

static bool is_extent_line(const char *line)
{
	static const char *const access[] = { "RW", "RDONLY", "NOACCESS" };
	size_t i, len = strcspn(line, " \t");

	for (i = 0; i < ARRAY_SIZE(access); i++)
		if (line[len] && len == strlen(access[i]) && !strncasecmp(line, access[i], len))
			return true;
	return false;
}

/* Cuts the next word, or text in quotes, off a line; NULL if there is none. */
static char *cut_word(char **line)
{
	char *word = skip_spaces(*line);
	size_t len;

	if (!*word)
		return NULL;
	if (*word == '"') {
		word++;
		len = strcspn(word, "\"");
	} else {
		len = strcspn(word, " \t");
	}
	*line = word + len + !!word[len];
	word[len] = '\0';
	return word;
}

static bool parse_number(const char *word, int base, u64 max, u64 *number)
{
	char *end;

	if (!word || !strchr("0123456789abcdefABCDEF", *word) || !*word)
		return false;
	errno = 0;
	*number = strtoull(word, &end, base);
	return !errno && !*end && *number <= max;
}

static int set_cid(struct foreign *f, const char *key, const char *value, u32 *cid)
{
	u64 number;

	if (!parse_number(value, 16, 0xffffffff, &number))
		return foreign_fail(f, "its descriptor has a %s of '%s'", key, value);
	*cid = number;
	return 0;
}

static int set_version(struct foreign *f, const char *value, u32 *version)
{
	u64 number;

	if (!parse_number(value, 10, 0xffffffff, &number))
		return foreign_fail(f, "its descriptor has a version of '%s'", value);
	*version = number;
	return 0;
}

/* Whether a line is about encryption, of the disk or by a filter of the host. */
static bool tells_encryption(const char *key, const char *value)
{
	if (!strncasecmp(key, "encryption.", strlen("encryption.")))
		return true;
	return !strcasecmp(key, "ddb.iofilters") && strstr(value, "crypt");
}

/*
 * The first line with a key counts, and capitals matter, as in QEMU: a parent that QEMU does not
 * see must not be seen here.
 */
static int parse_value(struct foreign *f, struct vmdk_text *t, const char *key, const char *value,
		       bool *seen)
{
	if (tells_encryption(key, value))
		t->encrypted = true;
	if (!strcmp(key, "version") && !t->version)
		return set_version(f, value, &t->version);
	if (!strcmp(key, "createType") && !t->create_type)
		t->create_type = value;
	if (!strcmp(key, "encoding") && !t->encoding)
		t->encoding = value;
	if (!strcmp(key, "parentFileNameHint") && !t->parent && *value)
		t->parent = value;
	if (!strcmp(key, "CID") && !seen[0]) {
		seen[0] = true;
		return set_cid(f, key, value, &t->cid);
	}
	if (!strcmp(key, "parentCID") && !seen[1]) {
		seen[1] = true;
		return set_cid(f, key, value, &t->parent_cid);
	}
	return 0;
}

/* Cuts a line of the form key=value, with spaces or quotes. */
static bool cut_value(char *line, char **key, char **value)
{
	char *equals = strchr(line, '=');
	size_t len;

	if (*line == '#' || !equals)
		return false;
	*equals = '\0';
	*key = line;
	len = strcspn(line, " \t");
	line[len] = '\0';
	equals++;
	*value = cut_word(&equals);
	if (!*value)
		*value = line + strlen(line);
	return true;
}

/* Keeps the lines about extents, whose words are cut later. */
static int count_extents(struct foreign *f, struct vmdk_text *t)
{
	char *line = NULL;
	u32 n = 0;

	while ((line = next_line(t, line)))
		t->nr_extents += is_extent_line(skip_spaces(line));
	t->extents = foreign_alloc(f, t->nr_extents, sizeof(*t->extents));
	if (!t->extents)
		return -ENOMEM;
	while ((line = next_line(t, line)))
		if (is_extent_line(skip_spaces(line)))
			t->extents[n++] = skip_spaces(line);
	return 0;
}

static int parse_lines(struct foreign *f, struct vmdk_text *t)
{
	char *line, *next = next_line(t, NULL), *key, *value;
	bool seen[2] = { };
	int err = 0;

	while (!err && (line = next)) {
		next = next_line(t, line);
		line = skip_spaces(line);
		if (!is_extent_line(line) && cut_value(line, &key, &value))
			err = parse_value(f, t, key, value, seen);
	}
	return err;
}

static int check_text(struct foreign *f, const struct vmdk_text *t)
{
	if (t->encrypted)
		return foreign_unsupported(f, "is encrypted by VMware, which is not supported; decrypt it there");
	if (t->version > 3)
		return foreign_unsupported(f, "has a descriptor of version %u, which is not supported; convert it with VMware's tools",
					   t->version);
	return 0;
}

/**
 * vmdk_read_text() - read a descriptor
 * @f: the image
 * @t: the result
 * @file: number of the file
 * @host_offset: of the text
 * @bytes: of it, at most
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_read_text(struct foreign *f, struct vmdk_text *t, u32 file, u64 host_offset, u64 bytes)
{
	int err;

	t->cid = VMDK_CID_NONE;
	t->parent_cid = VMDK_CID_NONE;
	t->len = min(bytes, (u64)VMDK_TEXT_MAX - 1);
	/* With a NUL behind the text. */
	t->bytes = foreign_alloc(f, 1, t->len + 1);
	if (!t->bytes)
		return -ENOMEM;
	err = foreign_read(f, file, t->bytes, t->len, host_offset);
	if (err)
		return err;
	split_lines(t);
	err = count_extents(f, t);
	if (!err)
		err = parse_lines(f, t);
	return err ? err : check_text(f, t);
}

/**
 * vmdk_parse_extent() - parse a line about an extent
 * @f: the image
 * @t: the descriptor
 * @number: of the extent; once for each
 * @line: the result
 *
 * Return: 0, or a negative errno with a message.
 */
int vmdk_parse_extent(struct foreign *f, struct vmdk_text *t, u32 number,
		      struct vmdk_line *line)
{
	char *text = t->extents[number];
	const char *sectors, *first;

	line->access = cut_word(&text);
	sectors = cut_word(&text);
	line->type = cut_word(&text);
	line->name = cut_word(&text);
	first = cut_word(&text);
	line->first_sector = 0;
	if (!parse_number(sectors, 10, VMDK_SECTORS_MAX, &line->sectors))
		return foreign_fail(f, "its descriptor has an extent of '%s' sectors",
				    sectors ? sectors : "");
	if (!line->type)
		return foreign_fail(f, "its descriptor has an extent without a type");
	if (first && !parse_number(first, 10, VMDK_SECTORS_MAX, &line->first_sector))
		return foreign_fail(f, "its descriptor has an extent at sector '%s'", first);
	return 0;
}

/**
 * vmdk_text_seems() - find out whether a file begins as a descriptor does
 * @start: its first bytes
 * @len: how many
 *
 * Return: true if its first line that is no comment is the version, as for QEMU.
 */
bool vmdk_text_seems(const u8 *start, size_t len)
{
	static const char version[] = "version=";
	size_t i = 0;

	while (i < len && (start[i] == '#' || start[i] == '\n' || start[i] == '\r')) {
		while (i < len && start[i] != '\n' && start[i])
			i++;
		i += i < len && start[i] == '\n';
	}
	return len - i >= sizeof(version) && !memcmp(start + i, version, strlen(version)) &&
	       start[i + strlen(version)] >= '1' && start[i + strlen(version)] <= '3';
}
