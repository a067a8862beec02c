/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FUZZ_H
#define _QCOW_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* fuzz.c: a broken promise ends the program, and libFuzzer keeps the input. */
#define promise(ok, ...) do { if (!(ok)) fuzz_broken(__VA_ARGS__); } while (0)

void fuzz_broken(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* pure.c: the code that the driver and the tool share, without files. */
void fuzz_pure(const uint8_t *data, size_t size);

/* counts.c: the counters of a check. */
void fuzz_counts(const uint8_t *data, size_t size);

/* foreign.c: the parsers of other programs' formats. */
void fuzz_foreign(const uint8_t *data, size_t size);
void fuzz_print_formats(void);

/* mutate_foreign.c: changes inputs of fuzz_foreign(). */
size_t mutate_foreign(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* fuzz.c: whether a target runs. */
bool fuzz_runs(const char *target);

/* mutate.c, called by libFuzzer. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned int seed);

#endif /* _QCOW_FUZZ_H */
