/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CREATE_OPTIONS_H
#define _QCOWCTL_CREATE_OPTIONS_H

#include <stdio.h>

#include "create/params.h"

/**
 * struct create_words - the values of -o
 * @p: properties of the new image
 * @has_size: whether the size of its disk was given
 * @help: the list of options was asked for
 * @given: the options that were given, a bit each; see create_options_for_raw()
 * @texts: memory of values
 * @nr_texts: of them
 */
struct create_words {
	struct create_params p;
	bool has_size;
	bool help;
	u32 given;
	char **texts;
	u32 nr_texts;
};

int create_options_parse(struct create_words *w, const char *arg);
int create_options_size(struct create_words *w, const char *arg);
int create_options_check(const struct create_words *w);
int create_options_for_raw(const struct create_words *w);
int create_options_for_convert(const struct create_words *w);
void create_options_print(FILE *to);
void create_options_print_for_convert(FILE *to);
void create_options_print_words(FILE *to);
void create_options_free(struct create_words *w);

#endif /* _QCOWCTL_CREATE_OPTIONS_H */
