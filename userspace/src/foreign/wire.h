/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The messages between a parser in its child, which is not trusted, and parse.c, which is.
 */
#ifndef _QCOWCTL_WIRE_H
#define _QCOWCTL_WIRE_H

#include "foreign/foreign.h"

/* Bytes of a text and of a fact's key, with the NUL. */
#define WIRE_TEXT_SIZE	8192
#define WIRE_KEY_SIZE	128

/**
 * enum wire_kind - kind of a message
 * @WIRE_START: to the child: begin. It has the image
 * @WIRE_OPEN: open a file that the image names in @text. The answer has it, and its bytes
 *	in @number
 * @WIRE_SCRATCH: make a file without a name. The answer has it
 * @WIRE_SPILL: the table needs a file on disk. The answer has it, with the table's bytes
 * @WIRE_BACKING: the parent may be the file @text; if @number is 1, the member of the archive
 * @WIRE_FACT: a fact @key: @text
 * @WIRE_NUMBER: a fact @key: @number
 * @WIRE_FAULT: a check found the fault @text
 * @WIRE_LEAK: a check found bytes that nothing uses
 * @WIRE_PROGRESS: @number of @total bytes are done
 * @WIRE_DISK: @text is a &struct foreign_disk, @key the format, in an archive that of the member
 * @WIRE_CONFINED: the child has given up its rights; else @err is the reason, @text the step
 * @WIRE_END: the parser has ended: @err; @text is its message, @number &enum qcow_msg_code,
 *	@total the entries of the table
 */
enum wire_kind {
	WIRE_START,
	WIRE_OPEN,
	WIRE_SCRATCH,
	WIRE_SPILL,
	WIRE_BACKING,
	WIRE_FACT,
	WIRE_NUMBER,
	WIRE_FAULT,
	WIRE_LEAK,
	WIRE_PROGRESS,
	WIRE_DISK,
	WIRE_CONFINED,
	WIRE_END,
};

/**
 * struct wire - a message
 * @kind: &enum wire_kind; an answer has that of its question
 * @err: 0 or a negative errno
 * @number: by its kind
 * @total: by its kind
 * @len: bytes of @text, without its NUL
 * @key: NUL-terminated
 * @text: NUL-terminated; only @len bytes of it are sent
 */
struct wire {
	u32 kind;
	int err;
	u64 number;
	u64 total;
	u32 len;
	char key[WIRE_KEY_SIZE];
	char text[WIRE_TEXT_SIZE];
};

void wire_set_text(struct wire *w, const char *text);
int wire_send(int sock, const struct wire *w, int fd);
int wire_receive(int sock, struct wire *w, int *fd);

#endif /* _QCOWCTL_WIRE_H */
