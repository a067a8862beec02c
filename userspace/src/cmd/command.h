/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of qcowctl. Each file of a command defines its struct command, main.c lists
 * them, and run.c parses the options of one and runs it. Nothing below cmd/ knows them.
 */
#ifndef _QCOWCTL_COMMAND_H
#define _QCOWCTL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

struct option_spec;

/**
 * struct command - a command of qcowctl
 * @name: its name
 * @summary: a line about it for the list of commands
 * @usage: how to call it, and a description; the list of options follows
 * @operations: the words that its first operand may be, separated by blanks; NULL: any
 * @takes_device: its first operand may be the name of a device, for the completion; those
 *	with @operations take one as their second
 * @complete_name: prints the names that may follow an operation and an image or device, each
 *	by complete_word(); NULL: it knows none
 * @options: its options but for --help, which every command has; the last entry has no
 *	name
 * @print_more: prints the end of the usage, below the options; NULL: there is none
 * @size: bytes of the structure that the options are stored in, which begins as zeros
 * @one_operand: the usage's words for its one operand; NULL: @run counts its operands
 * @prepare: changes the arguments before options are looked for; NULL: nothing to change
 * @run: carries it out, with @argc operands in @argv. Return: the exit code
 * @release: frees memory that options refer to; NULL: there is none
 */
struct command {
	const char *name;
	const char *summary;
	const char *usage;
	const char *operations;
	bool takes_device;
	void (*complete_name)(const char *operation, const char *target);
	const struct option_spec *options;
	void (*print_more)(FILE *to);
	size_t size;
	const char *one_operand;
	void (*prepare)(void *options, int *argc, char **argv);
	int (*run)(void *options, int argc, char **argv);
	void (*release)(void *options);
};

extern const struct command attach_command;
extern const struct command bitmap_command;
extern const struct command check_command;
extern const struct command commit_command;
extern const struct command convert_command;
extern const struct command create_command;
extern const struct command detach_command;
extern const struct command export_command;
extern const struct command info_command;
extern const struct command list_command;
extern const struct command map_command;
extern const struct command resize_command;
extern const struct command snapshot_command;
extern const struct command stat_command;
extern const struct command stream_command;
extern const struct command unexport_command;

#endif /* _QCOWCTL_COMMAND_H */
