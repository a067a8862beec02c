/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_INIT_H
#define _QCOW_INIT_H

#include <linux/types.h>

/**
 * struct qcow_init - an entry of a table of things to set up
 * @init: sets it up. Context: may sleep. Return: 0 or a negative errno
 * @exit: takes it down again
 */
struct qcow_init {
	int (*init)(void);
	void (*exit)(void);
};

int __must_check qcow_init_all(const struct qcow_init *table, size_t nr);
void qcow_exit_all(const struct qcow_init *table, size_t nr);

int __must_check qcow_floors_init(void);
void qcow_floors_exit(void);

#endif /* _QCOW_INIT_H */
