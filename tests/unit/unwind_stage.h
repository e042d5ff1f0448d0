/*
 * unwind_stage.h - the tables that the loader knows, and a walk to the end.
 */
#ifndef UNWIND_STAGE_H
#define UNWIND_STAGE_H

#include "unwind.h"

#include <criterion/criterion.h>
#include <link.h>

#define FRAMES_MAX 256
#define RED_ZONE 128

struct walk {
	enum unwind_result end;
	size_t count;
	uint64_t pcs[FRAMES_MAX];
	uint64_t sps[FRAMES_MAX];
	uint64_t functions[FRAMES_MAX];
};

struct search {
	uint64_t pc;
	struct unwind_table *table;
};

static int look(struct dl_phdr_info *info, size_t size_bytes, void *self)
{
	struct search *search = self;
	bool is_here = false;

	(void)size_bytes;
	*search->table = (struct unwind_table){ .base = info->dlpi_addr };
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + header->p_vaddr;

		if (header->p_type == PT_LOAD && (header->p_flags & PF_X) && search->pc >= start &&
		    search->pc - start < header->p_memsz) {
			search->table->start = start;
			search->table->end = start + header->p_memsz;
			is_here = true;
		}
		if (header->p_type == PT_GNU_EH_FRAME) {
			search->table->frame_header = start;
			search->table->frame_header_bytes = header->p_memsz;
		}
	}
	return is_here;
}

static bool find(uint64_t pc, struct unwind_table *table)
{
	struct search search = { pc, table };

	return dl_iterate_phdr(look, &search) != 0;
}

static struct walk walk_up(struct unwind_registers registers, const struct unwind_stack *stack)
{
	struct walk walk = { .end = UNWIND_OK };

	while (walk.end == UNWIND_OK && walk.count < FRAMES_MAX) {
		walk.pcs[walk.count] = registers.pc;
		walk.sps[walk.count] = registers.general[UNWIND_RSP];
		walk.functions[walk.count++] = unwind_function(registers.pc - registers.is_return);
		walk.end = unwind_step(&registers, stack);
	}
	return walk;
}

#endif
