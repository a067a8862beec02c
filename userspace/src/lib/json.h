/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_JSON_H
#define _QCOWCTL_JSON_H

#include <json-c/json.h>

struct json_object *json_text(const char *bytes);
void json_add_text(struct json_object *to, const char *key, const char *bytes);
void json_print_value(struct json_object *o);
void json_print(struct json_object *o);

#endif /* _QCOWCTL_JSON_H */
