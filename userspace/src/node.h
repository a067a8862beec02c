/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NODE_H
#define _QCOWCTL_NODE_H

#include "qcow/pure.h"

int node_wait(int index, u64 diskseq, u64 began);

#endif /* _QCOWCTL_NODE_H */
