/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UTF16_H
#define _QCOWCTL_UTF16_H

#include "qcow/ondisk/pure.h"

int __must_check utf16_to_utf8(char *out, size_t out_size, const u8 *in, size_t in_bytes,
			       bool big_endian);

#endif /* _QCOWCTL_UTF16_H */
