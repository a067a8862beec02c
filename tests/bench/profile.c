// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's translator that counts the instructions of a benchmark guest by
 * the block of code that they are in. profile.sh builds it and sorts the blocks by
 * function.
 *
 * It appends a part to the file of its argument out= at each mark that the guest
 * executes (stamp.c): a line "mark", then a line "ADDRESS INSTRUCTIONS" for each block that
 * ran since the last mark.
 *
 * The types and functions are those of version 1 of QEMU's plugin interface, whose
 * header is in no package of the distribution.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter,
					      uint64_t n);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *arg), int flags,
					    void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

int qemu_plugin_version = 1;

/* The mark: nopl with the address "QCOW" */
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'Q', 'C', 'O', 'W' };

/* A translation of a block; a block that is translated again has another one. */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t instructions;
};

static struct block *blocks;
static FILE *out;

static void print_part(unsigned int cpu, void *arg)
{
	struct block *b;

	(void)cpu;
	(void)arg;
	fprintf(out, "mark\n");
	for (b = blocks; b; b = b->next) {
		if (b->instructions)
			fprintf(out, "%016" PRIx64 " %" PRIu64 "\n", b->address, b->instructions);
		b->instructions = 0;
	}
	fflush(out);
}

static bool is_mark(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_size(insn) == sizeof(mark) &&
	       !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark));
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *b = calloc(1, sizeof(*b));

	(void)id;
	if (!b)
		abort();
	b->address = qemu_plugin_tb_vaddr(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &b->instructions, n);
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, print_part, 0, NULL);
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return 1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
