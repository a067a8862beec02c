/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The columns of the command list: list_columns.c has the table of them and makes the text
 * of each cell, list.c chooses, orders and prints them.
 */
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
 * @status: the status of the device
 */
struct row {
	int index;
	bool json;
	bool bytes;
	bool known;
	struct qcow_ioc_status status;
};

/* The type of a cell in JSON. */
enum cell_type {
	CELL_STRING,
	CELL_NUMBER,
	CELL_BOOLEAN,
	CELL_MOUNTPOINTS,	/* an array of strings */
};

/**
 * struct column - a column that list can print
 * @name: its heading; its key in JSON is that in small letters
 * @by_default: it is shown if no columns are asked for
 * @width: hint for libsmartcols
 * @flags: SCOLS_FL_*
 * @type: the type of its cells
 * @attr: the file in /sys/block/qcowN that has the cell's text; NULL: @text makes it
 * @text: a cell's text, to free, or NULL: nothing to show
 */
struct column {
	const char *name;
	bool by_default;
	double width;
	int flags;
	enum cell_type type;
	const char *attr;
	char *(*text)(const struct row *r);
};

/* Ends with one without a name. */
extern const struct column list_columns[];

char *list_cell(const struct column *c, const struct row *r);

#endif /* _QCOWCTL_LIST_H */
