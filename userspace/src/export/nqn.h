/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NQN_H
#define _QCOWCTL_NQN_H

#include <stdbool.h>

/* Bytes of a UUID as text, and of a serial number, each with its NUL */
#define NQN_UUID_SIZE	37
#define NQN_SERIAL_SIZE	21

bool nqn_is_valid(const char *nqn);
char *nqn_of_text(const char *text);
void nqn_uuid(const char *text, char uuid[NQN_UUID_SIZE]);
void nqn_serial(const char *text, char serial[NQN_SERIAL_SIZE]);

#endif /* _QCOWCTL_NQN_H */
