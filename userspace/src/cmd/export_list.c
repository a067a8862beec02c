// SPDX-License-Identifier: GPL-2.0
/*
 * Exports as a table, as JSON, and as the command line that other hosts use.
 */
#define _GNU_SOURCE
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/export_list.h"
#include "export/exports.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/text.h"

/* --- Texts --- */

/* Return: the command line for other hosts, to be freed. */
static char *connect_line(const struct address *address, const char *nqn)
{
	struct address a;

	address_to_connect(address, &a);
	return xasprintf("nvme connect -t tcp -a %s -s %s -n %s", a.host, a.port, nqn);
}

static char *name_of(const struct export *e)
{
	return e->index < 0 ? NULL : xasprintf("/dev/qcow%d", e->index);
}

/* Return: the address of a port, to be freed, or NULL: it is not of TCP. */
static char *port_text(const char *port)
{
	struct address a;

	return exports_port_address(&a, port) ? address_text(&a) : NULL;
}

/* --- JSON --- */

/**
 * export_print_new() - print how other hosts connect to a new export
 * @index: the N of /dev/qcowN
 * @nqn: of the export
 * @address: that it is at
 * @json: print JSON
 */
void export_print_new(int index, const char *nqn, const struct address *address, bool json)
{
	char *line = connect_line(address, nqn), *text = address_text(address);
	char *name = xasprintf("/dev/qcow%d", index);
	struct json_object *o;

	if (json) {
		o = json_object_new_object();
		json_add_text(o, "name", name);
		json_add_text(o, "nqn", nqn);
		json_add_text(o, "address", text);
		json_add_text(o, "connect", line);
		json_print(o);
	} else {
		puts(line);
		if (strchr(address->host, '%'))
			report(text, ADDRESS_INTERFACE " in that line is the interface of the other host by which it reaches this one");
	}
	free(name);
	free(text);
	free(line);
}

static struct json_object *json_of(const struct export *e)
{
	struct json_object *o = json_object_new_object();
	struct json_object *addresses = json_object_new_array();
	struct json_object *hosts = json_object_new_array();
	char *text = name_of(e);
	size_t i;

	json_add_text(o, "name", text);
	free(text);
	json_add_text(o, "nqn", e->nqn);
	for (i = 0; i < e->ports.nr; i++) {
		text = port_text(e->ports.names[i]);
		if (text)
			json_object_array_add(addresses, json_text(text));
		free(text);
	}
	for (i = 0; i < e->hosts.nr; i++)
		json_object_array_add(hosts, json_text(e->hosts.names[i]));
	json_object_object_add(o, "addresses", addresses);
	json_object_object_add(o, "allowed-hosts", hosts);
	json_object_object_add(o, "managed", json_object_new_boolean(e->ours));
	return o;
}

static int print_json(const struct exports *all)
{
	struct json_object *o = json_object_new_object();
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < all->nr; i++)
		json_object_array_add(array, json_of(&all->list[i]));
	json_object_object_add(o, "qcowexports", array);
	json_print(o);
	return 0;
}

/* --- A table --- */

/* Add a line to the text of a cell, which is freed. Return: the new text. */
static char *add_line(char *cell, char *line)
{
	char *shown = line ? text_escape(line) : NULL;
	char *more = shown ? xasprintf("%s%s%s", cell ? cell : "", cell ? "\n" : "", shown) : cell;

	if (shown)
		free(cell);
	free(shown);
	free(line);
	return more;
}

static int add_row(struct libscols_table *table, const struct export *e)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char *addresses = NULL, *hosts = NULL;
	size_t i;

	if (!line)
		return -ENOMEM;
	for (i = 0; i < e->ports.nr; i++)
		addresses = add_line(addresses, port_text(e->ports.names[i]));
	for (i = 0; i < e->hosts.nr; i++)
		hosts = add_line(hosts, xstrdup(e->hosts.names[i]));
	return scols_line_refer_data(line, 0, name_of(e)) ||
	       scols_line_refer_data(line, 1, addresses) ||
	       scols_line_refer_data(line, 2, add_line(NULL, xstrdup(e->nqn))) ||
	       scols_line_refer_data(line, 3, hosts) ? -ENOMEM : 0;
}

static int add_column(struct libscols_table *table, const char *name)
{
	struct libscols_column *column = scols_table_new_column(table, name, 1, SCOLS_FL_WRAP);

	if (!column)
		return -ENOMEM;
	scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
	return scols_column_set_safechars(column, "\n");
}

static int print_table(const struct exports *all)
{
	static const char *const names[] = { "NAME", "ADDRESS", "NQN", "HOSTS" };
	struct libscols_table *table = scols_new_table();
	int err = table ? scols_table_enable_noencoding(table, 1) : -ENOMEM;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names) && !err; i++)
		err = add_column(table, names[i]);
	for (i = 0; i < all->nr && !err; i++)
		err = add_row(table, &all->list[i]);
	if (!err)
		err = scols_print_table(table);
	if (err)
		report("export", "%s", strerror(-err));
	scols_unref_table(table);
	return !!err;
}

/**
 * export_print_all() - print the exports
 * @index: of /dev/qcowN; -1: all
 * @json: print JSON
 *
 * Return: the exit code.
 */
int export_print_all(int index, bool json)
{
	struct exports all;
	int err;

	exports_find(&all, index);
	err = json ? print_json(&all) : print_table(&all);
	exports_free(&all);
	return err;
}
