// SPDX-License-Identifier: GPL-2.0
/*
 * Loads the module, and says why that failed and what to do.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/module.h"
#include "lib/report.h"
#include "lib/text.h"

/* --- Loading --- */

/* Return: the first line of a pipe that fits a message, without modprobe's name, to be freed. */
static char *read_line(int fd)
{
	char text[400], rest[400], *line;
	size_t size = 0;
	ssize_t n;

	do {
		n = read(fd, text + size, sizeof(text) - 1 - size);
		size += n > 0 ? n : 0;
	} while (n > 0 && size < sizeof(text) - 1);
	/* A closed pipe would end modprobe before it has done its work. */
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	line = strstr(text, "FATAL: ") ? : strstr(text, "ERROR: ");
	return text_escape(line ? line + strlen("ERROR: ") : text);
}

/**
 * module_load() - load the module
 *
 * Only root can do that; for others nothing happens.
 *
 * Return: the first line of modprobe's complaints, to be freed; an empty string if there
 * are none, or no modprobe.
 */
char *module_load(void)
{
	char *argv[] = { "modprobe", "qcow", NULL }, *line = NULL;
	posix_spawn_file_actions_t output;
	int fds[2];
	pid_t pid;

	if (geteuid() || pipe2(fds, O_CLOEXEC))
		return xstrdup("");
	posix_spawn_file_actions_init(&output);
	posix_spawn_file_actions_adddup2(&output, fds[1], STDERR_FILENO);
	if (posix_spawnp(&pid, argv[0], &output, NULL, argv, environ))
		pid = -1;
	posix_spawn_file_actions_destroy(&output);
	close(fds[1]);
	if (pid > 0) {
		line = read_line(fds[0]);
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	return line ? : xstrdup("");
}

/* --- Saying why not --- */

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

static bool is_signature(const char *reason)
{
	return strstr(reason, "Key was rejected") || strstr(reason, "Required key") ||
	       strstr(reason, "Operation not permitted");
}

/**
 * module_report() - say that there is no driver, why, and what to do
 * @name: the driver's control node
 * @reason: from module_load()
 */
void module_report(const char *name, const char *reason)
{
	if (geteuid())
		report(name, NOT_LOADED "; run modprobe qcow as root");
	else if (strstr(reason, "not found in directory"))
		report_missing(name);
	else if (is_signature(reason))
		report(name, NOT_LOADED "; modprobe qcow: %s; with Secure Boot run mokutil --import /var/lib/dkms/mok.pub, boot, and confirm that key" ON_HOST,
		       reason);
	else if (*reason)
		report(name, NOT_LOADED "; modprobe qcow: %s; see the kernel log" ON_HOST,
		       reason);
	else
		report(name, NOT_LOADED "; see what modprobe qcow says" ON_HOST);
}
