// SPDX-License-Identifier: GPL-2.0
/*
 * The options that say how a device is exported.
 */
#include <stdlib.h>

#include "cmd/export_options.h"
#include "export/nqn.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * export_take_address() - store where other hosts connect
 * @options: a struct export_options
 * @arg: ADDR[:PORT]
 *
 * Return: 0, or -1 after printing the error.
 */
int export_take_address(void *options, const char *arg)
{
	struct export_options *o = options;
	char *shown;

	if (address_parse(&o->address, arg))
		return 0;
	shown = text_escape(arg);
	report("--tcp", "bad address \"%s\"; give an IP address of this host, and perhaps a port, such as 192.0.2.1:4420 or [2001:db8::1]:4420",
	       shown);
	free(shown);
	return -1;
}

static int check_nqn(const char *option, const char *nqn, const char *of)
{
	char *shown;

	if (nqn_is_valid(nqn))
		return 0;
	shown = text_escape(nqn);
	report(option, "bad name \"%s\"; give the NQN of %s", shown, of);
	free(shown);
	return -1;
}

/**
 * export_take_host() - add a host that may connect
 * @options: a struct export_options
 * @arg: its NQN
 *
 * Return: 0, or -1 after printing the error.
 */
int export_take_host(void *options, const char *arg)
{
	struct export_options *o = options;

	if (check_nqn("--allow-host", arg,
		      "a host, which is in its file /etc/nvme/hostnqn: nqn.2014-08.org.nvmexpress:uuid:... or the like"))
		return -1;
	o->hosts = xrealloc(o->hosts, (o->nr_hosts + 1) * sizeof(*o->hosts));
	o->hosts[o->nr_hosts++] = xstrdup(arg);
	return 0;
}

/**
 * export_take_nqn() - store the name of an export
 * @options: a struct export_options
 * @arg: the name, which has to stay until the options are used
 *
 * Return: 0, or -1 after printing the error.
 */
int export_take_nqn(void *options, const char *arg)
{
	struct export_options *o = options;

	o->nqn = arg;
	return check_nqn("--nqn", arg, "the export, such as nqn.2026-01.org.example:disk");
}

/**
 * export_options_release() - free memory that options refer to
 * @o: the options
 */
void export_options_release(struct export_options *o)
{
	while (o->nr_hosts)
		free(o->hosts[--o->nr_hosts]);
	free(o->hosts);
}
