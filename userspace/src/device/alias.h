/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ALIAS_H
#define _QCOWCTL_ALIAS_H

#include <stdbool.h>

/* Names that a user may give a device, as a message describes them */
#define ALIAS_ALLOWED	\
	"letters, digits and #+-.:=@_, not - or . first and not -partN last"

bool alias_is_valid(const char *alias);

#endif /* _QCOWCTL_ALIAS_H */
