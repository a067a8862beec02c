// SPDX-License-Identifier: GPL-2.0
/*
 * Times as FAT has them: local ones, of every other second, from 1980 to 2107.
 */
#define _GNU_SOURCE
#include "lib/fat_time.h"

/**
 * fat_time() - a time as FAT has it
 * @t: the time
 *
 * Return: the date in the upper 16 bits, the time of day in the lower ones; the first or the
 * last one of FAT if @t is before or after it.
 */
u32 fat_time(time_t t)
{
	struct tm tm;

	if (!localtime_r(&t, &tm) || tm.tm_year < 80)
		return (u32)(1 << 5 | 1) << 16;
	if (tm.tm_year > 80 + 127)
		return (u32)(127 << 9 | 12 << 5 | 31) << 16 | 23 << 11 | 59 << 5 | 29;
	return (u32)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday) << 16 |
	       tm.tm_hour << 11 | tm.tm_min << 5 | min(tm.tm_sec, 59) / 2;
}
