/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The environment of the pure files: all of ondisk/. They do no I/O, take no lock and
 * allocate nothing, and are built twice, into the module and into the tools, so that
 * both mean the same by a valid image.
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
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#include <uapi/linux/qcow.h>

#else

#include <linux/qcow.h>

#include "lib/pure_user.h"

#endif /* __KERNEL__ */

/**
 * struct qcow_msg - a message to a person about a failure
 * @text: one line without newline; empty: there is no message
 * @code: &enum qcow_msg_code, by which the tool chooses its advice
 *
 * The function that finds the fault fills it; a caller that knows the file prints it.
 */
struct qcow_msg {
	char text[240];
	u8 code;
};

static inline __printf(3, 0)
void qcow_msg_set(struct qcow_msg *msg, enum qcow_msg_code code,
		  const char *fmt, va_list args)
{
	if (!msg || msg->text[0])
		return;
	vsnprintf(msg->text, sizeof(msg->text), fmt, args);
	msg->code = code;
}

/**
 * qcow_fail() - set a message and fail
 * @msg: the message; the first text stays
 * @err: negative errno, by which the tool chooses its advice
 * @fmt: printf format of the text, without advice
 *
 * Return: @err, so that a check reads ``return qcow_fail(...)``.
 */
static inline __printf(3, 4)
int qcow_fail(struct qcow_msg *msg, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	qcow_msg_set(msg, QCOW_MSG_ERRNO, fmt, args);
	va_end(args);
	return err;
}

/**
 * qcow_advise() - set a message that has advice, and fail
 * @msg: the message; the first text stays
 * @err: negative errno
 * @fmt: printf format of the text: the fault, a semicolon, and the remedy
 *
 * Return: @err.
 */
static inline __printf(3, 4)
int qcow_advise(struct qcow_msg *msg, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	qcow_msg_set(msg, QCOW_MSG_COMPLETE, fmt, args);
	va_end(args);
	return err;
}

/**
 * qcow_fail_as() - set a message with a code for the tool's advice, and fail
 * @msg: the message; the first text stays
 * @code: the cause
 * @err: negative errno
 * @fmt: printf format of the text, without advice
 *
 * Return: @err.
 */
static inline __printf(4, 5)
int qcow_fail_as(struct qcow_msg *msg, enum qcow_msg_code code, int err,
		 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	qcow_msg_set(msg, code, fmt, args);
	va_end(args);
	return err;
}

#endif /* _QCOW_PURE_H */
