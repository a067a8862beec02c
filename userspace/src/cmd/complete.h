/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_COMPLETE_H
#define _QCOWCTL_COMPLETE_H

#include <stddef.h>

struct command;

void complete_words(const struct command *const *commands, size_t nr_commands,
		    int argc, char **argv);
void complete_word(const char *word, const char *text);

#endif /* _QCOWCTL_COMPLETE_H */
