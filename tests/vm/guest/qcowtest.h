/* SPDX-License-Identifier: GPL-2.0 */
/*
 * qcowtest: drives the driver in a test guest, by its ioctls and by qcowctl.
 */
#ifndef QCOWTEST_H
#define QCOWTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/qcow.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define SECTOR		512
#define MIB		(1UL << 20)

/* Ends the program: something that is no matter of the driver went wrong. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- Random numbers, repeatable --- */

struct rng {
	uint64_t state;
};

void rng_seed(struct rng *r, const char *text);
uint64_t rng_next(struct rng *r);
/* 0 to n - 1 */
uint64_t rng_below(struct rng *r, uint64_t n);

/* --- Files and programs --- */

void *alloc_aligned(size_t size);
/* The whole file, in alloc_aligned() memory. */
unsigned char *load_file(const char *path, size_t *size);
uint64_t now_ms(void);

struct output {
	int code;
	char out[4096];
	char err[4096];
};

/* Runs a program, NULL at the end of @argv; its output is cut to fit. */
void run_program(char *const *argv, struct output *o);

/* --- The driver --- */

int control_fd(void);
/* Return: 0 or a negative errno. */
int detach_index(int index, uint32_t flags);
int get_status(int index, struct qcow_ioc_status *st);
/* Attaches one image, without qcowctl. Return: index or a negative errno. */
int attach_fd(int fd, uint32_t format, uint32_t flags);
/* Attaches by qcowctl. Return: index or -1. */
int attach_by_tool(const char *path, const char *args, struct output *o);
int open_device(int index, int flags);

/* --- Commands --- */

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
};

/* Runs the command that argv[1] names, or lists all. Return: exit code. */
int run_command(const struct command *commands, size_t nr, int argc, char **argv);

int compare_main(int argc, char **argv);
int refuse_main(int argc, char **argv);
int abuse_main(int argc, char **argv);
int mutate_main(int argc, char **argv);
int storm_main(int argc, char **argv);
int threads_main(int argc, char **argv);
int read_main(int argc, char **argv);
int steps_main(int argc, char **argv);
int hold_main(int argc, char **argv);
int status_main(int argc, char **argv);

#endif /* QCOWTEST_H */
