// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite COMMAND ...
 */
#include "write.h"

static const struct command commands[] = {
	{ "diff", diff_main, "ROOT MANIFEST" },
	{ "cut", cut_main, "NAME IMAGE ARGUMENTS JOURNAL SEED CLUSTER STEPS" },
	{ "files", files_main, "NAME IMAGE ARGUMENTS LIST SEED STEPS" },
	{ "do", do_main, "DEVICE OPERATION..." },
	{ "claim", claim_main, "DEVICE" },
	{ "salvage", salvage_main, "DEVICE REFERENCE LEAST" },
	{ "twice", twice_main, "IMAGE ROUNDS" },
	{ "race", race_main, "DEVICE SEED THREADS BYTES" },
	{ "fsyncs", fsyncs_main, "DEVICE COUNT SEED BYTES" },
	{ "thrash", thrash_main, "MIB SECONDS" },
	{ "hog", hog_main, "MIB" },
	{ "errors", errors_main, "DEVICE" },
	{ "full", full_main, "DEVICE SEED ERRNO BLOCK BREAK MEND STATE" },
	{ "diskseq", diskseq_main, "INDEX DISKSEQ" },
	{ "left", left_main, "DEVICE SEED STATE" },
	{ "mixed", mixed_main, "MILLISECONDS BATCH FILE..." },
	{ "scatter", scatter_main, "FILE MIB" },
	{ "waits", waits_main, "DEVICE CONTROL keep|open|small COMMAND..." },
	{ "map", map_main, "[-r] [-t] [-B] [-D] [-T] [-R] [-s SECTOR] [-o OFFSET] [-a OVERLAY] [-b BELOW] TABLE FILE..." },
	{ "table", table_main, "TEXT FILE" },
	{ "file", file_main, "FILE|DEVICE IMAGE NUMBER" },
};

int main(int argc, char **argv)
{
	return run_command(commands, ARRAY_SIZE(commands), argc, argv);
}
