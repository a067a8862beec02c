/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_VPC_FOOTER_H
#define _QCOWCTL_VPC_FOOTER_H

#include "foreign/foreign.h"

#define VPC_FOOTER_BYTES	SZ_512
#define VPC_OLD_FOOTER_BYTES	511

/* Types of disks */
#define VPC_FIXED		2
#define VPC_DYNAMIC		3
#define VPC_DIFFERENCING	4

bool vpc_has_magic(const u8 *bytes);
bool vpc_has_checksum(const u8 *bytes, size_t len, size_t place);
bool vpc_footer_is_valid(const u8 *footer);
bool vpc_footer_is_fixed(const u8 *footer);
bool vpc_is_fixed(const struct foreign_sample *s);

#endif /* _QCOWCTL_VPC_FOOTER_H */
