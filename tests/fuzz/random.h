/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers drawn from a seed, for the mutators: the same seed gives the same numbers.
 */
#ifndef _FUZZ_RANDOM_H
#define _FUZZ_RANDOM_H

#include <stdint.h>

/* A number of 64 bits; @random is the state, not 0 (xorshift64*). */
static inline uint64_t random_draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random * 0x2545f4914f6cdd1dULL;
}

/* A number below @n; 0 if @n is 0. */
static inline uint64_t random_below(uint64_t *random, uint64_t n)
{
	return n ? (random_draw(random) >> 16) % n : 0;
}

#endif /* _FUZZ_RANDOM_H */
