// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts how often each block of instructions runs
 * between the two marks of ferry-bench (see MARK in process.c), for
 * profile.sh. It relies on one CPU in one thread, as -icount has it.
 *
 * Writes "address instructions executions" lines to the file out=FILE when the
 * machine ends.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The part of QEMU's plugin interface, version 1, that is used here; Debian 12
 * has plugins enabled but does not package the header.
 */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { PLUGIN_CB_NO_REGS = 0 };
enum { PLUGIN_INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*callback)(plugin_id id,
							    struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *counter,
					      uint64_t add);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned int cpu, void *data),
					    int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id id, void *data),
				    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

int qemu_plugin_version = 1;
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

#define SLOTS_PER_CHUNK	65536

/* One translation of a block; the same block may be translated many times. */
struct slot {
	uint64_t running;	/* executions, added to by the translated code */
	uint64_t counted;	/* executions between marks */
	uint64_t address;
	uint64_t instructions;
};

struct chunk {
	struct chunk *next;
	size_t used;
	struct slot slots[SLOTS_PER_CHUNK];
};

static struct chunk *chunks;
static const char *out;

static struct slot *slot_new(void)
{
	if (!chunks || chunks->used == SLOTS_PER_CHUNK) {
		struct chunk *chunk = calloc(1, sizeof(*chunk));

		if (!chunk)
			abort();
		chunk->next = chunks;
		chunks = chunk;
	}
	return &chunks->slots[chunks->used++];
}

static void start(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next)
		for (size_t i = 0; i < chunk->used; i++)
			chunk->slots[i].running = 0;
}

static void stop(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next) {
		for (size_t i = 0; i < chunk->used; i++) {
			chunk->slots[i].counted += chunk->slots[i].running;
			chunk->slots[i].running = 0;
		}
	}
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x52, 0x45, 0x46 };
	struct slot *slot = slot_new();

	(void)id;
	slot->address = qemu_plugin_tb_vaddr(tb);
	slot->instructions = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, PLUGIN_INLINE_ADD_U64, &slot->running, 1);
	for (size_t i = 0; i < slot->instructions; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned char code[sizeof(mark)];
		unsigned char which;

		if (qemu_plugin_insn_size(insn) != sizeof(mark))
			continue;
		memcpy(code, qemu_plugin_insn_data(insn), sizeof(code));
		which = code[4];
		code[4] = 0;
		if (memcmp(code, mark, sizeof(mark)))
			continue;
		if (which == 1 || which == 2)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, which == 1 ? start : stop,
							       PLUGIN_CB_NO_REGS, NULL);
	}
}

static void write_counts(plugin_id id, void *data)
{
	FILE *file = fopen(out, "we");

	(void)id;
	(void)data;
	if (!file) {
		perror(out);
		return;
	}
	for (struct chunk *chunk = chunks; chunk; chunk = chunk->next) {
		for (size_t i = 0; i < chunk->used; i++) {
			const struct slot *slot = &chunk->slots[i];

			if (slot->counted)
				fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
					slot->address, slot->instructions, slot->counted);
		}
	}
	if (fclose(file))
		perror(out);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, write_counts, NULL);
	return 0;
}
