/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_OPTIONS_H
#define _QCOWCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command;

/**
 * struct option_spec - an option of a command
 * @name: its long name
 * @letter: its letter; 0: it has none
 * @arg: its value in the usage, with the blank or "=" before it, or as "[=VALUE]" if it
 *	may be left out: @parse gets NULL then; NULL: it takes none
 * @help: a description for the usage; a newline begins another line
 * @values: values that the shell's completion offers, separated by blanks, among them
 *	VALUE_FILE and VALUE_FOLDER; NULL: it offers none
 * @print_values: prints further ones, a blank before each; NULL: there are none
 * @parse: stores it, the value is NULL if it was left out. Return: 0, or -1 after printing the error
 * @field: offset of the member that @parse stores it in
 */
struct option_spec {
	const char *name;
	char letter;
	const char *arg;
	const char *help;
	const char *values;
	void (*print_values)(FILE *to);
	int (*parse)(void *field, const char *arg);
	size_t field;
};

/* Whether an option takes a value that cannot be left out. */
static inline bool option_needs_value(const struct option_spec *spec)
{
	return spec->arg && *spec->arg != '[';
}

/* Values that stand for the name of any file, or of any folder. */
#define VALUE_FILE	"<file>"
#define VALUE_FOLDER	"<folder>"

int option_true(void *field, const char *arg);
int option_text(void *field, const char *arg);
int option_progress(void *field, const char *arg);

/* Options that several commands have: stored in member @m of structure @type. */

#define OPTION_JSON(type, m, text)					\
	{ .name = "json", .letter = 'J', .help = (text),		\
	  .parse = option_true, .field = offsetof(type, m) }

#define OPTION_PROGRESS							\
	{ .name = "progress", .arg = "=json", .values = "json",		\
	  .help = "show progress as lines of JSON on standard error",	\
	  .parse = option_progress }

const struct option_spec *options_find(const struct option_spec *specs, const char *name,
				       size_t len);
int options_parse(const struct command *c, void *to, int argc, char **argv);
void options_print_usage(const struct command *c, FILE *to);
void options_print_words(const struct command *c, FILE *to);

#endif /* _QCOWCTL_OPTIONS_H */
