/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CONFINE_H
#define _QCOWCTL_CONFINE_H

#include "qcow/ondisk/pure.h"

/**
 * struct confine_limits - the resources of a parser
 * @memory: bytes of address space
 * @file: bytes of a file that it writes
 * @cpu: seconds of processor time, until it is given a file for decompressed data
 * @cpu_expand: and then
 * @files: descriptors
 */
struct confine_limits {
	u64 memory;
	u64 file;
	u32 cpu;
	u32 cpu_expand;
	u32 files;
};

int __must_check confine(const struct confine_limits *limits, const char **step);

#endif /* _QCOWCTL_CONFINE_H */
