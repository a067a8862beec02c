/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_REPORT_H
#define _QCOWCTL_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/memory.h"
#include "qcow/ondisk/pure.h"

/**
 * struct report_words - words of messages that another program says in another way
 * @qcowctl: the words, as qcowctl says them
 * @other: as the program says them
 */
struct report_words {
	const char *qcowctl;
	const char *other;
};

int report_open_files(void);
void report_as(const char *name, const struct report_words *words);
const char *report_program(void);
void report_before(void (*hook)(void));
void report_mute(bool mute);
void report(const char *name, const char *fmt, ...) __printf(2, 3);
void report_from_driver(struct qcow_msg *msg);
void report_msg(const char *name, int err, const struct qcow_msg *msg);

#endif /* _QCOWCTL_REPORT_H */
