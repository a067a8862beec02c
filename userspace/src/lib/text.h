/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TEXT_H
#define _QCOWCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "qcow/ondisk/pure.h"

char *text_escape(const char *bytes);
char *text_shell(const char *path);
int text_width(const char *text);
char *text_utf8(const char *bytes);
size_t text_until_control(const char *s, u32 *c, size_t *bytes);
char *text_shown(const char *bytes, bool json);
char *text_lower(const char *word);
bool text_same_word(const char *a, const char *b);
int text_parse_size(const char *s, u64 *size);
void text_size(char *buf, size_t len, u64 bytes);
void text_size_long(char *buf, size_t len, u64 bytes);

#endif /* _QCOWCTL_TEXT_H */
