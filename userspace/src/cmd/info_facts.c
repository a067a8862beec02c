// SPDX-License-Identifier: GPL-2.0
/*
 * The facts about an image of a foreign format: their keys have points between the levels of
 * the JSON that qemu-img info prints, and a number is a place in an array.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/info_facts.h"
#include "image/foreign_image.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/name.h"
#include "lib/text.h"

/* Levels of the JSON, at most: a key is short, and made by a parser. */
#define LEVELS_MAX	8

static bool key_ends(const struct parsed_fact *f, const char *ending)
{
	const char *point = strrchr(f->key, '.');

	return f->text && point && !strcmp(point, ending);
}

/* The path of an extent, as qemu-img shows it. */
static struct json_object *path_of(const char *image, const char *written)
{
	char *path = name_resolve(image, written);
	struct json_object *o = json_text(path);

	free(path);
	return o;
}

/*
 * A truth value for qemu-img is told as text here. @image: its own path; NULL: names in it are
 * none of files
 */
static struct json_object *value_of(const struct parsed_fact *f, const char *image)
{
	if (key_ends(f, ".compressed"))
		return json_object_new_boolean(!strcmp(f->text, "true"));
	if (image && key_ends(f, ".filename"))
		return path_of(image, f->text);
	return f->text ? json_text(f->text) : json_object_new_int64(f->number);
}

/* The object or array at a key, which is made if it is not there; NULL: the keys clash. */
static struct json_object *descend(struct json_object *o, const char *key, bool array)
{
	enum json_type type = array ? json_type_array : json_type_object;
	struct json_object *next = NULL;
	bool is_array = json_object_is_type(o, json_type_array);
	size_t nr = is_array ? json_object_array_length(o) : 0;
	size_t index = strtoul(key, NULL, 10);

	if (is_array && index < nr)
		next = json_object_array_get_idx(o, index);
	else if (!is_array)
		json_object_object_get_ex(o, key, &next);
	if (next || (is_array && index > nr))
		return json_object_is_type(next, type) ? next : NULL;
	next = array ? json_object_new_array() : json_object_new_object();
	if (is_array)
		json_object_array_add(o, next);
	else
		json_object_object_add(o, key, next);
	return next;
}

static void add_value(struct json_object *o, const char *key, struct json_object *value)
{
	if (json_object_is_type(o, json_type_array))
		json_object_array_add(o, value);
	else
		json_object_object_add(o, key, value);
}

static void add_fact(struct json_object *o, const struct parsed_fact *f, const char *image)
{
	char *keys = xstrdup(f->key), *key = keys, *point;
	int level;

	for (level = 0; o && level < LEVELS_MAX && (point = strchr(key, '.')); level++) {
		*point = '\0';
		o = descend(o, key, isdigit((unsigned char)point[1]));
		key = point + 1;
	}
	if (o)
		add_value(o, key, value_of(f, image));
	free(keys);
}

/**
 * info_facts_json() - the facts as JSON
 * @img: loaded, of a foreign format
 *
 * Return: an object to put.
 */
struct json_object *info_facts_json(const struct image *img)
{
	const struct parsed *p = &img->foreign->parsed;
	const char *image = strcmp(p->format->name, "ova") ? img->file.name : NULL;
	struct json_object *o = json_object_new_object();
	u32 i;

	for (i = 0; i < p->nr_facts; i++)
		add_fact(o, &p->facts[i], image);
	return o;
}

static void print_value(const char *label, struct json_object *value, int indent);

static void print_object(struct json_object *o, int indent)
{
	struct json_object_iterator at = json_object_iter_begin(o);
	struct json_object_iterator end = json_object_iter_end(o);
	char *label, *c;

	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		label = xstrdup(json_object_iter_peek_name(&at));
		for (c = label; *c; c++)
			if (*c == '-')
				*c = ' ';
		print_value(label, json_object_iter_peek_value(&at), indent);
		free(label);
	}
}

static void print_array(struct json_object *array, int indent)
{
	size_t i, nr = json_object_array_length(array);
	char label[32];

	for (i = 0; i < nr; i++) {
		snprintf(label, sizeof(label), "[%zu]", i);
		print_value(label, json_object_array_get_idx(array, i), indent);
	}
}

static void print_value(const char *label, struct json_object *value, int indent)
{
	char *shown;

	printf("%*s%s:", indent, "", label);
	if (json_object_is_type(value, json_type_object)) {
		putchar('\n');
		print_object(value, indent + 4);
	} else if (json_object_is_type(value, json_type_array)) {
		putchar('\n');
		print_array(value, indent + 4);
	} else {
		shown = text_escape(json_object_get_string(value));
		printf(" %s\n", shown);
		free(shown);
	}
}

/**
 * info_facts_print() - print the facts, much as qemu-img info does
 * @img: loaded, of a foreign format
 */
void info_facts_print(const struct image *img)
{
	struct json_object *o = info_facts_json(img);

	puts("Format specific information:");
	print_object(o, 4);
	json_object_put(o);
}
