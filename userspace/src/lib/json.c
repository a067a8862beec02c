// SPDX-License-Identifier: GPL-2.0
/*
 * JSON on standard output: others have written the names in it, and a terminal
 * may show it.
 */
#include <stdlib.h>

#include "lib/json.h"
#include "lib/text.h"

/**
 * json_text() - make a JSON string of bytes
 * @bytes: a file's name or anything else that an image's author wrote
 *
 * Return: the string; bytes that are not valid UTF-8 become U+FFFD.
 */
struct json_object *json_text(const char *bytes)
{
	char *text = text_utf8(bytes);
	struct json_object *o = json_object_new_string(text);

	free(text);
	return o;
}

/**
 * json_add_text() - add a string to an object
 * @to: the object
 * @key: its key
 * @bytes: as for json_text(); NULL: the value is null
 */
void json_add_text(struct json_object *to, const char *key, const char *bytes)
{
	json_object_object_add(to, key, bytes ? json_text(bytes) : NULL);
}

static void print_escaped(const char *s)
{
	size_t plain, bytes;
	u32 c;

	while (*s) {
		plain = text_until_control(s, &c, &bytes);
		fwrite(s, 1, plain, stdout);
		s += plain + bytes;
		if (bytes)
			printf("\\u%04x", c);
	}
}

/**
 * json_print_value() - print JSON as a part of a line, and put it
 * @o: the value
 *
 * Characters that control a terminal or the direction of text are escaped, which
 * decodes to the same.
 */
void json_print_value(struct json_object *o)
{
	print_escaped(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

/**
 * json_print() - print JSON and put it
 * @o: the object or array
 *
 * See json_print_value().
 */
void json_print(struct json_object *o)
{
	print_escaped(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
							JSON_C_TO_STRING_SPACED |
							JSON_C_TO_STRING_NOSLASHESCAPE));
	putchar('\n');
	json_object_put(o);
}
