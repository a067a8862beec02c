// SPDX-License-Identifier: GPL-2.0
/*
 * peak OUT COMMAND...: runs a command, and writes a line into the file OUT: microseconds of
 * processor time and the peak of memory in KiB, of the command with its own children. Ends
 * with the code of the command.
 *
 * A process starts with the peak of the one that forked it, and keeps that in its execve(). So
 * the command is a child of this small program, and not of Python.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long long usec(const struct timeval *t)
{
	return t->tv_sec * 1000000LL + t->tv_usec;
}

static int report(const char *path, const struct rusage *usage)
{
	FILE *out = fopen(path, "w");

	if (!out)
		return -1;
	fprintf(out, "%lld %ld\n", usec(&usage->ru_utime) + usec(&usage->ru_stime),
			usage->ru_maxrss);
	return fclose(out);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;
	pid_t pid;

	if (argc < 3)
		return 2;
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || report(argv[1], &usage)) {
		perror("peak");
		return 2;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
