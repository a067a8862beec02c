// SPDX-License-Identifier: GPL-2.0
/*
 * The words that may stand at the end of a command line, for the completion of shells. The
 * shells' files know no command and no option: they print these words, and put names of
 * files in place of VALUE_FILE and VALUE_FOLDER.
 *
 * Names in images are made by others. A shell gets each in a line of its own, and quotes it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/complete.h"
#include "cmd/options.h"
#include "lib/memory.h"
#include "lib/sysfs.h"

/**
 * struct typed - a command and the words behind it
 * @c: the command
 * @operands: those of the words before the last one
 * @nr_operands: how many
 * @option: the option that the last word is the value of, or NULL
 * @only_operands: "--" is among the words
 */
struct typed {
	const struct command *c;
	char **operands;
	int nr_operands;
	const struct option_spec *option;
	bool only_operands;
};

/* --- Output --- */

/**
 * complete_word() - print a word
 * @word: not printed if it has control characters, which a line cannot have
 * @text: describes it up to its end, a newline stands for a blank; NULL: nothing does
 */
void complete_word(const char *word, const char *text)
{
	const char *c;

	for (c = word; *c; c++)
		if (iscntrl((unsigned char)*c))
			return;
	fputs(word, stdout);
	if (text)
		putchar('\t');
	for (; text && *text; text++)
		putchar(*text == '\n' ? ' ' : *text);
	putchar('\n');
}

static void print_list(const char *words)
{
	char *copy = xstrdup(words), *next = copy, *word;

	while ((word = strsep(&next, " ")))
		if (*word)
			complete_word(word, NULL);
	free(copy);
}

static void print_devices(void)
{
	char *path;
	int *list;
	int i, nr;

	nr = sysfs_devices(&list);
	for (i = 0; i < nr; i++) {
		path = xasprintf("/dev/qcow%d", list[i]);
		complete_word(path, NULL);
		complete_word(path + strlen("/dev/"), NULL);
		free(path);
	}
	free(list);
}

static void print_values(const struct option_spec *option)
{
	char *more = NULL;
	size_t size;
	FILE *to;

	if (option->values)
		print_list(option->values);
	if (!option->print_values)
		return;
	to = open_memstream(&more, &size);
	if (!to)
		return;
	option->print_values(to);
	fclose(to);
	print_list(more);
	free(more);
}

/* An option that takes one value only is offered with it. */
static bool one_value(const struct option_spec *option)
{
	return option_needs_value(option) && option->values && !option->print_values &&
	       !strpbrk(option->values, "< ");
}

static void print_options(const struct command *c)
{
	const struct option_spec *option;
	char *word;

	for (option = c->options; option->name; option++) {
		word = one_value(option) ?
		       xasprintf("--%s=%s", option->name, option->values) :
		       xasprintf("--%s", option->name);
		complete_word(word, option->help);
		free(word);
	}
	complete_word("--help", "show this command's options");
}

/* Of a command whose first operand is an operation */
static void print_later_operands(const struct typed *t)
{
	if (t->nr_operands == 0) {
		print_list(t->c->operations);
	} else if (t->nr_operands == 1) {
		print_devices();
		complete_word(VALUE_FILE, NULL);
	} else if (t->nr_operands == 2 && t->c->complete_name) {
		t->c->complete_name(t->operands[0], t->operands[1]);
	}
}

static void print_operands(const struct typed *t)
{
	if (t->c->operations) {
		print_later_operands(t);
		return;
	}
	if (t->c->takes_device)
		print_devices();
	complete_word(VALUE_FILE, NULL);
}

/* --- Input --- */

static const struct option_spec *by_letter(const struct command *c, char letter)
{
	const struct option_spec *option;

	for (option = c->options; option->name; option++)
		if (option->letter == letter)
			return option;
	return NULL;
}

/* Return: the last option in a word if its value is the next word, or NULL. */
static const struct option_spec *waits_for_value(const struct command *c, const char *word)
{
	const struct option_spec *option = NULL;
	const char *letter;

	if (word[1] == '-') {
		option = options_find(c->options, word + 2, strlen(word + 2));
		return option && option_needs_value(option) ? option : NULL;
	}
	for (letter = word + 1; *letter; letter++) {
		option = by_letter(c, *letter);
		if (option && option_needs_value(option))
			return letter[1] ? NULL : option;
	}
	return NULL;
}

static void take_word(struct typed *t, char *word)
{
	if (t->option)
		t->option = NULL;
	else if (t->only_operands || word[0] != '-' || !word[1])
		t->operands[t->nr_operands++] = word;
	else if (!strcmp(word, "--"))
		t->only_operands = true;
	else
		t->option = waits_for_value(t->c, word);
}

static void complete_last(struct typed *t, const char *last)
{
	const char *equals = strchr(last, '=');

	if (t->option) {
		print_values(t->option);
	} else if (t->only_operands || last[0] != '-') {
		print_operands(t);
	} else if (!strncmp(last, "--", 2) && equals) {
		t->option = options_find(t->c->options, last + 2, equals - last - 2);
		if (t->option)
			print_values(t->option);
	} else {
		print_options(t->c);
	}
}

static void complete_command(const struct command *const *commands, size_t nr, bool help)
{
	size_t i;

	for (i = 0; i < nr; i++)
		complete_word(commands[i]->name, commands[i]->summary);
	if (help)
		return;
	complete_word("help", "show the options of a command");
	complete_word("--help", "list the commands");
	complete_word("--version", "show the version");
}

/**
 * complete_words() - print the words that may stand in place of the last one
 * @commands: all commands
 * @nr_commands: how many
 * @argc: words
 * @argv: the words behind the program's name; the last one is being typed, may be empty,
 *	and may be --NAME=VALUE
 *
 * Each word is in a line, with a description behind a tab. VALUE_FILE stands for names of
 * files, VALUE_FOLDER for those of folders. Values of --NAME=VALUE come without --NAME=. The
 * shell chooses those that fit.
 */
void complete_words(const struct command *const *commands, size_t nr_commands,
		    int argc, char **argv)
{
	struct typed t = { .c = NULL };
	size_t i;
	int n;

	if (argc < 2 || !strcmp(argv[0], "help")) {
		complete_command(commands, nr_commands, argc > 1);
		return;
	}
	for (i = 0; i < nr_commands; i++)
		if (!strcmp(commands[i]->name, argv[0]))
			t.c = commands[i];
	if (!t.c)
		return;
	t.operands = xcalloc(argc, sizeof(*t.operands));
	for (n = 1; n < argc - 1; n++)
		take_word(&t, argv[n]);
	complete_last(&t, argv[argc - 1]);
	free(t.operands);
}
