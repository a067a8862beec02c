/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PARSE_H
#define _QCOWCTL_PARSE_H

#include "foreign/child.h"
#include "foreign/table.h"
#include "lib/file.h"

/* Bytes of decompressed data that are kept unless a user allows more. */
#define PARSE_EXPAND_MAX	(4ULL * SZ_1G)

/**
 * struct parse_host - the files of an image that a parser is given
 * @open: open a file that the image names; sets its bytes. Return: a descriptor, or -1
 *	after printing the error
 * @scratch: make a file without a name for decompressed data. Return: the same
 * @fault: a check found a fault, or a leak; may be NULL
 *
 * They keep the descriptors.
 */
struct parse_host {
	int (*open)(void *arg, const char *name, u64 *size);
	int (*scratch)(void *arg);
	void (*fault)(void *arg, bool leak, const char *text);
};

/**
 * struct parse_how - an image, and the reason why it is parsed
 * @format: of the image
 * @file: its file
 * @member: of foreign_open()
 * @alone: of foreign_open()
 * @want: the reason
 * @expand_max: bytes of decompressed data that may be kept; 0: PARSE_EXPAND_MAX
 * @quiet: print no error
 * @host: its other files; NULL: it must not name any
 * @arg: the first argument of @host's functions
 * @limits: for tests; NULL: the usual ones
 */
struct parse_how {
	const struct foreign_format *format;
	const struct file *file;
	const char *member;
	bool alone;
	enum parse_want want;
	u64 expand_max;
	bool quiet;
	const struct parse_host *host;
	void *arg;
	const struct confine_limits *limits;
};

/**
 * struct parsed_fact - a fact about an image
 * @key: as in the output of qemu-img info --output=json, with points between the levels
 * @text: not escaped; NULL: @number counts
 * @number: the fact
 */
struct parsed_fact {
	char *key;
	char *text;
	s64 number;
};

/**
 * struct parsed_parent - a name under which the parent of an image may be found
 * @name: of a file, or of a member
 * @is_member: of the archive that has the image
 */
struct parsed_parent {
	char *name;
	bool is_member;
};

/**
 * struct parsed - the findings of a parser, as far as they were checked
 * @format: of the image
 * @disk_format: the same; in an archive, the format of the member
 * @disk: the numbers of the disk are plausible, the texts terminated
 * @parents: files that may be the parent, in the order in which to try them
 * @nr_parents: of them
 * @facts: for people
 * @nr_facts: of them
 * @table: if it was wanted
 */
struct parsed {
	const struct foreign_format *format;
	const struct foreign_format *disk_format;
	struct foreign_disk disk;
	struct parsed_parent *parents;
	u32 nr_parents;
	struct parsed_fact *facts;
	u32 nr_facts;
	struct table table;
};

struct confine_limits parse_limits(const struct parse_how *how);
int parse_image(struct parsed *p, const struct parse_how *how);
const char *parsed_text(const struct parsed *p, const char *key);
void parsed_add_fact(struct parsed *p, const char *key, const char *text, s64 number);
void parsed_free(struct parsed *p);

#endif /* _QCOWCTL_PARSE_H */
