/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_RUN_H
#define _QCOWCTL_RUN_H

#include "cmd/command.h"

int command_run(const struct command *c, int argc, char **argv);

#endif /* _QCOWCTL_RUN_H */
