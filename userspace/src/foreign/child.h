/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_FOREIGN_CHILD_H
#define _QCOWCTL_FOREIGN_CHILD_H

#include "foreign/confine.h"
#include "foreign/foreign.h"

/* Bytes of a table that are kept in memory; a larger one goes to a file on disk. */
#define CHILD_TABLE_MEMORY	((u64)SZ_64M)

/**
 * enum parse_want - the reason why an image is parsed
 * @PARSE_FACTS: to describe it
 * @PARSE_TABLE: to have its table
 * @PARSE_CHECK: to check it
 */
enum parse_want {
	PARSE_FACTS,
	PARSE_TABLE,
	PARSE_CHECK,
};

/**
 * struct child_how - the work of a child
 * @format: of the image
 * @want: the reason why it is parsed
 * @how: of foreign_open()
 * @expand_max: bytes of decompressed data that may be kept
 * @limits: resources
 */
struct child_how {
	const struct foreign_format *format;
	enum parse_want want;
	struct foreign_how how;
	u64 expand_max;
	struct confine_limits limits;
};

void child_run(int sock, const struct child_how *how) __attribute__((noreturn));

#endif /* _QCOWCTL_FOREIGN_CHILD_H */
