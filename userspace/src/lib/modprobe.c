// SPDX-License-Identifier: GPL-2.0
/*
 * Loads modules of the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/memory.h"
#include "lib/modprobe.h"
#include "lib/text.h"

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
 * modprobe() - load a module
 * @module: its name
 *
 * Only root can do that; for others nothing happens.
 *
 * Return: the first line of modprobe's complaints, to be freed; an empty string if there
 * are none, or no modprobe.
 */
char *modprobe(const char *module)
{
	char *argv[] = { "modprobe", (char *)module, NULL }, *line = NULL;
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
