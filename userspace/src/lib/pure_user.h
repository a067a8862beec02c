/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Definitions that ondisk/pure.h takes from the kernel's headers, for the pure
 * files' other life in the tools.
 */
#ifndef _QCOW_PURE_USER_H
#define _QCOW_PURE_USER_H

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define __must_check		__attribute__((warn_unused_result))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define __packed		__attribute__((packed))
#define static_assert(x)	_Static_assert(x, #x)
#define be16_to_cpu(x)		be16toh(x)
#define be32_to_cpu(x)		be32toh(x)
#define be64_to_cpu(x)		be64toh(x)
#define cpu_to_be16(x)		htobe16(x)
#define cpu_to_be32(x)		htobe32(x)
#define cpu_to_be64(x)		htobe64(x)
#define S64_MAX			INT64_MAX
#define SZ_512			0x200
#define SZ_1K			0x400
#define SZ_2K			0x800
#define SZ_4K			0x1000
#define SZ_16K			0x4000
#define SZ_64K			0x10000
#define SZ_1M			0x100000
#define SZ_8M			0x800000
#define SZ_16M			0x1000000
#define SZ_32M			0x2000000
#define SZ_64M			0x4000000
#define SZ_128M			0x8000000
#define SZ_512M			0x20000000
#define SZ_1G			0x40000000
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define sizeof_field(t, f)	sizeof(((t *)0)->f)
#define IS_ALIGNED(x, a)	(((x) & ((typeof(x))(a) - 1)) == 0)
/* Up to a multiple of @to, a power of two. */
#define ROUND_UP(n, to)		(((n) + (to) - 1) & ~((typeof(n))(to) - 1))
#define DIV_ROUND_UP_ULL(n, d)	(((n) + (d) - 1) / (d))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#endif /* _QCOW_PURE_USER_H */
