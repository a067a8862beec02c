// SPDX-License-Identifier: GPL-2.0
/*
 * Names that describe a file in JSON, as QEMU writes them: the local file that one
 * stands for, if it stands for nothing else. Keys are nested, or joined by dots.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "lib/name.h"
#include "lib/report.h"

/* Deeper ones are not looked into. */
#define MAX_LEVELS	4

static const char prefix[] = "json:";

/**
 * struct level - the description of one layer
 * @o: the object that has its keys
 * @path: the prefix of each key there, such as "file."
 */
struct level {
	struct json_object *o;
	char path[32];
};

/* Return: whether there is such a key; null is a value, too. */
static bool level_has(const struct level *l, const char *key, struct json_object **value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", l->path, key);
	return json_object_object_get_ex(l->o, name, value);
}

static const char *level_string(const struct level *l, const char *key)
{
	struct json_object *value;

	return level_has(l, key, &value) && json_object_is_type(value, json_type_string) ?
	       json_object_get_string(value) : NULL;
}

/* From a layer to the one below it. Return: whether there may be one. */
static bool level_down(struct level *l)
{
	struct json_object *below;
	size_t used = strlen(l->path);

	if (level_has(l, "file", &below)) {
		*l = (struct level) { .o = below };
		return json_object_is_type(below, json_type_object);
	}
	if (used + sizeof("file.") > sizeof(l->path))
		return false;
	strcpy(l->path + used, "file.");
	return true;
}

/* Keys by which a layer shows something else than its file as it is. */
static bool level_is_plain(const struct level *l)
{
	static const char *const others[] = { "offset", "size", "backing", "data-file" };
	struct json_object *value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (level_has(l, others[i], &value))
			return false;
	return true;
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
	return word && (!strcmp(word, a) || !strcmp(word, b));
}

/* Take note of a layer's driver. Return: whether it is one of ours. */
static bool take_driver(struct name_local *local, const char *driver)
{
	if (!driver || !strcmp(driver, "raw")) {
		if (driver && !local->format)
			local->format = "raw";
		return true;
	}
	if (!is_one_of(driver, "qcow2", "qcow") || is_one_of(local->format, "qcow2", "qcow"))
		return false;
	local->format = strcmp(driver, "qcow") ? "qcow2" : "qcow";
	return true;
}

static bool read_levels(struct name_local *local, struct json_object *top)
{
	struct level l = { .o = top };
	const char *driver, *file;
	int i;

	for (i = 0; i < MAX_LEVELS && level_is_plain(&l); i++) {
		driver = level_string(&l, "driver");
		file = level_string(&l, "filename");
		if (file && (is_one_of(driver, "file", "host_device") ||
			     (!driver && !name_refused(file)))) {
			if (driver && !local->format && !i)
				local->format = "raw";
			local->path = xstrdup(file);
			return true;
		}
		if (!take_driver(local, driver) || !level_down(&l))
			return false;
	}
	return false;
}

/**
 * name_from_json() - the local file that a name in JSON stands for
 * @local: the result; its path is to be freed
 * @written: the name as the image has it
 *
 * Return: whether it is in JSON and stands for one.
 */
bool name_from_json(struct name_local *local, const char *written)
{
	struct json_object *top;
	bool found;

	*local = (struct name_local) { };
	if (strncmp(written, prefix, strlen(prefix)))
		return false;
	top = json_tokener_parse(written + strlen(prefix));
	found = json_object_is_type(top, json_type_object) && read_levels(local, top);
	json_object_put(top);
	return found;
}
