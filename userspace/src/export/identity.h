/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_IDENTITY_H
#define _QCOWCTL_IDENTITY_H

#include "qcow/ondisk/pure.h"

/**
 * struct identity - how other hosts know the disk of an export
 * @nqn: the name of the export
 * @disk: the text that the UUID and the serial number of the disk are made of
 */
struct identity {
	char *nqn;
	char *disk;
};

int identity_find(struct identity *id, int index, u64 diskseq, const char *nqn);
void identity_release(struct identity *id);

#endif /* _QCOWCTL_IDENTITY_H */
