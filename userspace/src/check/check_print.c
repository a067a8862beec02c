// SPDX-License-Identifier: GPL-2.0
/*
 * The findings of a check, as text or as JSON with the keys of qemu-img check.
 * The command check calls this.
 */
#include <stdlib.h>

#include "check/check_print.h"
#include "lib/json.h"
#include "lib/text.h"

static void print_count(u64 n, const char *one, const char *many)
{
	if (n)
		printf("%llu %s\n", (unsigned long long)n, n == 1 ? one : many);
}

static double percent(u64 part, u64 whole)
{
	return whole ? part * 100.0 / whole : 0;
}

/**
 * check_print_text() - print a result for people
 * @res: the result
 */
void check_print_text(const struct check_result *res)
{
	print_count(res->corruptions_fixed, "corruption was repaired.",
		    "corruptions were repaired.");
	print_count(res->leaks_fixed, "leaked cluster was freed.",
		    "leaked clusters were freed.");
	print_count(res->corruptions, "corruption was found: data may be damaged, or become so by writing.",
		    "corruptions were found: data may be damaged, or become so by writing.");
	print_count(res->leaks, "leaked cluster was found: wasted space, no harm to data.",
		    "leaked clusters were found: wasted space, no harm to data.");
	print_count(res->check_errors, "place could not be checked.",
		    "places could not be checked.");
	if (!res->corruptions && !res->leaks && !res->check_errors)
		puts("No errors were found.");
	if (res->total)
		printf("%llu of %llu clusters allocated (%.2f%%), %.2f%% fragmented, %.2f%% compressed\n",
		       (unsigned long long)res->allocated,
		       (unsigned long long)res->total,
		       percent(res->allocated, res->total),
		       percent(res->fragmented, res->allocated),
		       percent(res->compressed, res->allocated));
	printf("The image ends at offset %llu.\n",
	       (unsigned long long)res->end_offset);
}

static void add_number(struct json_object *to, const char *key, u64 value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_if(struct json_object *to, const char *key, u64 value)
{
	if (value)
		add_number(to, key, value);
}

/**
 * check_print_json() - print a result for programs
 * @res: the result
 * @name: the image's
 *
 * As of qemu-img, counts of 0 are left out, save for check-errors.
 */
void check_print_json(const struct check_result *res, const char *name)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "filename", json_text(name));
	json_object_object_add(o, "format", json_object_new_string("qcow2"));
	add_number(o, "check-errors", res->check_errors);
	add_if(o, "image-end-offset", res->end_offset);
	add_if(o, "total-clusters", res->total);
	add_if(o, "allocated-clusters", res->allocated);
	add_if(o, "fragmented-clusters", res->fragmented);
	add_if(o, "compressed-clusters", res->compressed);
	add_if(o, "corruptions", res->corruptions);
	add_if(o, "corruptions-fixed", res->corruptions_fixed);
	add_if(o, "leaks", res->leaks);
	add_if(o, "leaks-fixed", res->leaks_fixed);
	json_print(o);
}
