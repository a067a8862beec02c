// SPDX-License-Identifier: GPL-2.0
/*
 * Says why the module could not be loaded, and what to do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "device/module.h"
#include "lib/report.h"

#define NOT_LOADED	"the qcow module is not loaded"
#define NONE_FOR_KERNEL	NOT_LOADED ", and modprobe qcow finds none for kernel %s"
#define ON_HOST		"; for a container, load it on the host"

/* No module for the kernel that runs: DKMS needs its headers to build one. */
static void report_missing(const char *name)
{
	struct utsname kernel;
	char *headers;

	uname(&kernel);
	headers = xasprintf("/lib/modules/%s/build/Makefile", kernel.release);
	if (access(headers, F_OK))
		report(name, NONE_FOR_KERNEL "; install the headers of that kernel (linux-headers-%s on Debian, kernel-devel elsewhere) and qcow-dkms, or run make install in the source" ON_HOST,
		       kernel.release, kernel.release);
	else
		report(name, NONE_FOR_KERNEL "; install qcow-dkms, run dkms autoinstall if it is there already, or make install in the source" ON_HOST,
		       kernel.release);
	free(headers);
}

/* Whether a line of modules.dep, "FOLDER/NAME.ko.xz: ...", is about the module. */
static bool is_module(const char *line)
{
	const char *end = line + strcspn(line, ":"), *name = end;

	while (name > line && name[-1] != '/')
		name--;
	return !strncmp(name, "qcow.ko", strlen("qcow.ko"));
}

/* Whether modprobe finds a module for the kernel that runs: depmod's list has it. */
static bool module_exists(void)
{
	struct utsname kernel;
	char *path, *line = NULL;
	bool exists = false;
	size_t size = 0;
	FILE *list;

	uname(&kernel);
	path = xasprintf("/lib/modules/%s/modules.dep", kernel.release);
	list = fopen(path, "re");
	while (list && !exists && getline(&line, &size, list) > 0)
		exists = is_module(line);
	if (list)
		fclose(list);
	free(line);
	free(path);
	return exists;
}

/* Whether the kernel does not trust the module's signature: modprobe ends with its error. */
static bool is_signature(const char *reason)
{
	static const int errors[] = { EKEYREJECTED, ENOKEY, EPERM };
	const char *end = strrchr(reason, ':');
	size_t i;

	for (i = 0; end && i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(end + strspn(end, ": "), strerrordesc_np(errors[i])))
			return true;
	return false;
}

/**
 * module_report() - say that there is no driver, why, and what to do
 * @name: the driver's control node
 * @reason: from modprobe()
 */
void module_report(const char *name, const char *reason)
{
	if (geteuid())
		report(name, NOT_LOADED "; run modprobe qcow as root");
	else if (*reason && !module_exists())
		report_missing(name);
	else if (is_signature(reason))
		report(name, NOT_LOADED "; modprobe qcow: %s; with Secure Boot run mokutil --import /var/lib/dkms/mok.pub, boot, and confirm that key" ON_HOST,
		       reason);
	else if (*reason)
		report(name, NOT_LOADED "; modprobe qcow: %s; see the kernel log" ON_HOST,
		       reason);
	else
		report(name, NOT_LOADED "; see the output of modprobe qcow" ON_HOST);
}
