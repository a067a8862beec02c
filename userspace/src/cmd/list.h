/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LIST_H
#define _QCOWCTL_LIST_H

#include <linux/qcow.h>

#include "qcow/ondisk/pure.h"

/**
 * struct row - the device of one line
 * @index: the N of /dev/qcowN
 * @json: printed as JSON
 * @bytes: sizes are printed in bytes
 * @known: @status was filled
 * @status: what the driver says
 */
struct row {
	int index;
	bool json;
	bool bytes;
	bool known;
	struct qcow_ioc_status status;
};

/* What a cell is in JSON. */
enum cell_type {
	CELL_STRING,
	CELL_NUMBER,
	CELL_BOOLEAN,
	CELL_MOUNTPOINTS,	/* an array of strings */
};

/**
 * struct column - a column that list can print
 * @name: its heading
 * @key: its key in JSON: the heading in small letters
 * @width: hint for libsmartcols
 * @flags: SCOLS_FL_*
 * @type: what its cells are
 * @text: a cell's text, to free, or NULL: nothing to show
 */
struct column {
	const char *name;
	const char *key;
	double width;
	int flags;
	enum cell_type type;
	char *(*text)(const struct row *r);
};

/* The first columns are shown if none are asked for. */
#define LIST_NR_DEFAULT		8
#define LIST_NR_COLUMNS		19

extern const struct column list_columns[LIST_NR_COLUMNS];

#endif /* _QCOWCTL_LIST_H */
