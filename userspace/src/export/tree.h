/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TREE_H
#define _QCOWCTL_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "qcow/ondisk/pure.h"

/* The NVMe target of the kernel, in configfs */
#define TREE	"/sys/kernel/config/nvmet"

/**
 * struct tree_names - the entries of a folder
 * @names: each to be freed
 * @nr: how many
 */
struct tree_names {
	char **names;
	size_t nr;
};

bool tree_is_there(void);
int tree_lock(bool insist);
void tree_unlock(int lock);
void tree_list(struct tree_names *list, const char *fmt, ...) __printf(2, 3);
void tree_list_free(struct tree_names *list);
bool tree_has(const char *fmt, ...) __printf(1, 2);
int tree_write(const char *value, const char *fmt, ...) __printf(2, 3);
int tree_mkdir(const char *fmt, ...) __printf(1, 2);
int tree_rmdir(const char *fmt, ...) __printf(1, 2);
int tree_link(const char *target, const char *fmt, ...) __printf(2, 3);
int tree_unlink(const char *fmt, ...) __printf(1, 2);

#endif /* _QCOWCTL_TREE_H */
