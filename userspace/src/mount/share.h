/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SHARE_H
#define _QCOWCTL_SHARE_H

#include "device/attached.h"
#include "mount/pick.h"
#include "mount/request.h"

/**
 * enum share - whether a mount can have a device that is there
 * @SHARE_OTHER: the device shows something else, or belongs to its user
 * @SHARE_FITS: it can
 * @SHARE_REFUSED: it was attached with other options, which was said
 */
enum share {
	SHARE_OTHER,
	SHARE_FITS,
	SHARE_REFUSED,
};

enum share share_judge(const struct attached_search *s, const struct request *r);
void share_allow_writing(const char *path);
int share_set_access(const struct pick *p, const struct request *r);

#endif /* _QCOWCTL_SHARE_H */
