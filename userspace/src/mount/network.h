/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NETWORK_H
#define _QCOWCTL_NETWORK_H

#include <stdbool.h>

bool network_beneath(const char *image, const char *node);

#endif /* _QCOWCTL_NETWORK_H */
