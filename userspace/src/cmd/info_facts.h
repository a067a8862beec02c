/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_INFO_FACTS_H
#define _QCOWCTL_INFO_FACTS_H

#include "image/image.h"

struct json_object;

struct json_object *info_facts_json(const struct image *img);
void info_facts_print(const struct image *img);

#endif /* _QCOWCTL_INFO_FACTS_H */
