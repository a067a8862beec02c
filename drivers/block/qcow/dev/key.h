/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_KEY_H
#define _QCOW_KEY_H

#include "file/crypt.h"

struct qcow_ioc_image;

struct qcow_crypt_key *qcow_key_get(const struct qcow_ioc_image *image,
				    struct qcow_msg *msg);
void qcow_key_put(const struct qcow_crypt_key *key);

#endif /* _QCOW_KEY_H */
