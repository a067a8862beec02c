/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NAME_H
#define _QCOWCTL_NAME_H

#include <stdbool.h>

/**
 * struct name_local - a local file that a name stands for
 * @path: of the file
 * @format: "qcow2", "qcow" or "raw", or NULL: the name does not tell
 */
struct name_local {
	char *path;
	const char *format;
};

const char *name_url_advice(const char *name);
bool name_from_json(struct name_local *local, const char *written);
const char *name_refused(const char *written);
bool name_suggests_raw(const char *path);
char *name_resolve(const char *image, const char *written);

#endif /* _QCOWCTL_NAME_H */
