/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SQUEEZE_H
#define _QCOWCTL_SQUEEZE_H

#include <stdbool.h>

#include "qcow/ondisk/pure.h"

/**
 * struct squeezed - a cluster that is compressed
 * @in: its content
 * @out: for the compressed bytes; it has the bytes of a cluster
 * @len: out: bytes in @out; those of a cluster: its content, which does not become smaller
 * @zero: out: it is zeros, and was not compressed
 */
struct squeezed {
	const void *in;
	void *out;
	size_t len;
	bool zero;
};

int squeeze_run(u32 type, u64 cluster_size, struct squeezed *clusters, u32 nr);

#endif /* _QCOWCTL_SQUEEZE_H */
