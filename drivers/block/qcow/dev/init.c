// SPDX-License-Identifier: GPL-2.0
/*
 * Setting up a module in the order of a table, and taking it down in the opposite order.
 *
 * main.c uses it, and the test module does. Both set up the floors below dev/ by the
 * table that is here.
 */
#include <linux/kernel.h>

#include "data/io.h"
#include "dev/init.h"
#include "file/cache.h"
#include "file/comp.h"
#include "file/space.h"

/**
 * qcow_exit_all() - take down what qcow_init_all() has set up
 * @table: in the order of setting up
 * @nr: entries in @table
 *
 * Context: may sleep.
 */
void qcow_exit_all(const struct qcow_init *table, size_t nr)
{
	while (nr--)
		table[nr].exit();
}

/**
 * qcow_init_all() - set up all that a table has, or nothing
 * @table: in the order of setting up
 * @nr: entries in @table
 *
 * Context: may sleep.
 *
 * Return: 0, or the error of the entry that failed.
 */
int qcow_init_all(const struct qcow_init *table, size_t nr)
{
	size_t i;
	int err;

	for (i = 0; i < nr; i++) {
		err = table[i].init();
		if (err) {
			qcow_exit_all(table, i);
			return err;
		}
	}
	return 0;
}

static const struct qcow_init floors[] = {
	{ qcow_cache_init, qcow_cache_exit },
	{ qcow_comp_init, qcow_comp_exit },
	{ qcow_space_init, qcow_space_exit },
	{ qcow_io_init, qcow_io_exit },
};

/**
 * qcow_floors_init() - set up the floors below dev/
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_floors_init(void)
{
	return qcow_init_all(floors, ARRAY_SIZE(floors));
}

/**
 * qcow_floors_exit() - take down the floors below dev/
 *
 * Context: may sleep.
 */
void qcow_floors_exit(void)
{
	qcow_exit_all(floors, ARRAY_SIZE(floors));
}
