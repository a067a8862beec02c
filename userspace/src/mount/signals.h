/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SIGNALS_H
#define _QCOWCTL_SIGNALS_H

void signals_end_program(int status);
void signals_block(void);
void signals_unblock(void);

#endif /* _QCOWCTL_SIGNALS_H */
