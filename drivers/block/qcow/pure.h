/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure files (header.c, header_v1.c, entry.c, bitdir.c) need from their
 * surroundings. They do no I/O, take no lock and allocate nothing, and are built
 * twice: into the module, and into the tools, so that both mean the same by a valid
 * image.
 */
#ifndef _QCOW_PURE_H
#define _QCOW_PURE_H

#ifdef __KERNEL__

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#else

#include "pure_user.h"

#endif /* __KERNEL__ */

/**
 * struct qcow_msg - why something failed, for a person
 * @text: one line without newline; empty: nothing was said
 *
 * Filled where the fault is found, printed where it is known which file it is
 * about.
 */
struct qcow_msg {
	char text[240];
};

/**
 * qcow_fail() - say why and fail
 * @msg: where to say it; the first thing said stays
 * @err: negative errno
 * @fmt: printf format of the line
 *
 * Return: @err, so that a check reads ``return qcow_fail(...)``.
 */
static inline __printf(3, 4)
int qcow_fail(struct qcow_msg *msg, int err, const char *fmt, ...)
{
	va_list args;

	if (msg && !msg->text[0]) {
		va_start(args, fmt);
		vsnprintf(msg->text, sizeof(msg->text), fmt, args);
		va_end(args);
	}
	return err;
}

#endif /* _QCOW_PURE_H */
