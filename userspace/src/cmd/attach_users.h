/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACH_USERS_H
#define _QCOWCTL_ATTACH_USERS_H

#include "image/chain.h"

bool attach_report_users(const struct file *f);
void attach_note_users(const struct chain *c);

#endif /* _QCOWCTL_ATTACH_USERS_H */
