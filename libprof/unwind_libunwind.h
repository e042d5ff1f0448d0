/*
 * unwind_libunwind.h - libunwind's generic interface, as far as it is used: soname 8, x86-64.
 *
 * Its headers are not needed to build and it is not linked: unwind_probe.c loads it.  Names in the structs are
 * libunwind's own (libunwind-common.h, libunwind-dynamic.h).
 */
#ifndef UNWIND_LIBUNWIND_H
#define UNWIND_LIBUNWIND_H

#include "prof.h"

enum { LIBUNWIND_BAD_REGISTER = 3, LIBUNWIND_INVALID = 8, LIBUNWIND_NO_INFO = 10 }; /* negated */
enum { LIBUNWIND_RIP = 16 }; /* those before it are DWARF's */
enum { LIBUNWIND_CACHE_NONE = 0, LIBUNWIND_REMOTE_TABLE = 2 };

struct libunwind_cursor {
	uint64_t opaque[256]; /* 127 up to 1.8 */
};

/* unw_proc_info_t. */
struct libunwind_entry {
	uint64_t start_ip, end_ip, lsda, handler, gp, flags;
	int format, unwind_info_size;
	void *unwind_info;
	uint64_t later[8];
};

/* The first words of what an entry's unwind_info leads to (struct dwarf_cie_info): instructions that all entries of a
   kind share, and its own. */
struct libunwind_instructions {
	uint64_t common_start, common_end, start, end;
	uint64_t code_align, data_align, return_column;
};

/* unw_dyn_info_t with unw_dyn_remote_table_info_t in it. */
struct libunwind_table {
	void *next, *prev;
	uint64_t start_ip, end_ip, gp;
	int32_t format, pad;
	uint64_t load_offset;
	uint64_t name_ptr, segbase, table_len, table_data;
	uint64_t later[8];
};

/* unw_accessors_t. */
struct libunwind_accessors {
	int (*find_proc_info)(void *space, uint64_t pc, struct libunwind_entry *entry,
			      int needs_all, void *self);
	void (*put_unwind_info)(void *space, struct libunwind_entry *entry, void *self);
	int (*get_dyn_info_list_addr)(void *space, uint64_t *list, void *self);
	int (*access_mem)(void *space, uint64_t address, uint64_t *value, int is_write, void *self);
	int (*access_reg)(void *space, int number, uint64_t *value, int is_write, void *self);
	int (*access_fpreg)(void *space, int number, void *value, int is_write, void *self);
	void *resume, *get_proc_name;
	void *later[8]; /* 1.8 has three more */
};

#define LIBUNWIND_CALLS(CALL)                                                \
	CALL(void *, create_addr_space, (struct libunwind_accessors *, int)) \
	CALL(int, set_caching_policy, (void *, int))                         \
	CALL(int, init_remote, (struct libunwind_cursor *, void *, void *))  \
	CALL(int, step, (struct libunwind_cursor *))                         \
	CALL(int, get_reg, (struct libunwind_cursor *, int, uint64_t *))     \
	CALL(int, is_signal_frame, (struct libunwind_cursor *))              \
	CALL(int, dwarf_search_unwind_table,                                 \
	     (void *, uint64_t, struct libunwind_table *, struct libunwind_entry *, int, void *))

struct libunwind {
#define CALL(type, name, arguments) type(*name) arguments;
	LIBUNWIND_CALLS(CALL)
#undef CALL
};

#endif
