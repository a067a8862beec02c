// SPDX-License-Identifier: GPL-2.0
/*
 * qcow-generator: makes units of /etc/qcowtab, and for udev those of attached devices.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/attach_unit.h"
#include "boot/device_unit.h"
#include "boot/tab.h"
#include "lib/report.h"

/**
 * struct generating - arguments for the lines of qcowtab
 * @folder: where units go
 * @tab: the file
 */
struct generating {
	const char *folder;
	const char *tab;
};

static int generate(void *arg, const struct tab_entry *entry)
{
	const struct generating *g = arg;

	return attach_unit_write(g->folder, g->tab, entry);
}

/*
 * systemd starts generators before there is a journal: messages go to the kernel log, from
 * which the journal has them later. Nobody would see standard error.
 */
static void use_kernel_log(void)
{
	const char *scope = getenv("SYSTEMD_SCOPE");
	int fd;

	if (!scope || strcmp(scope, "system"))
		return;
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
	/* One line is one record. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

static int run_generator(const char *folder)
{
	const char *tab = getenv("QCOWTAB");
	struct generating g = { .folder = folder, .tab = tab ? tab : "/etc/qcowtab" };

	use_kernel_log();
	return tab_read(g.tab, generate, &g) ? 1 : 0;
}

static int usage(void)
{
	fputs("Usage: qcow-generator FOLDER [FOLDER FOLDER]\n"
	      "       qcow-generator --device FOLDER NAME\n"
	      "\n"
	      "Write units of systemd for the lines of /etc/qcowtab, or of $QCOWTAB, or for the\n"
	      "attached device NAME. See qcow-generator(8).\n", stderr);
	return 1;
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	umask(022);
	report_as("qcow-generator", NULL);
	if (argc == 4 && !strcmp(argv[1], "--device"))
		return device_unit_write(argv[2], argv[3]) ? 1 : 0;
	if ((argc != 2 && argc != 4) || argv[1][0] == '-')
		return usage();
	return run_generator(argv[1]);
}
