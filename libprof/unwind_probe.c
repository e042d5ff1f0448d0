/*
 * unwind_probe.c - the rule of one pc, asked of libunwind.
 *
 * libunwind steps once from a frame that is made up: each register has a base of its own, far from all others and
 * from all memory that there can be; what it loads from there is noted, and answered with a value that stands for that
 * load alone.  So the registers after the step say what they were made of:
 *
 *   0x40 + register   base + constant      cfa = rsp + 48, cfa = rbp + 16
 *   0x60 + load       what was loaded      pc = load of cfa - 8, rbx = load of cfa - 24
 *   ^ the highest byte of a value
 *
 * Asked twice, with other bases: what is no sum of a register and a constant (an alignment, a product) comes out
 * differently, and such a pc has no rule.  That goes for DWARF expressions too; those of PLT entries look at rip, which
 * for one pc is a constant.
 *
 * All that libunwind reads comes through access_memory: tables and code by fault-tolerant reads, and only so many for
 * one pc, for broken tables can send it round for ever.
 */
#include "unwind_rule.h"

#ifdef __x86_64__

#include "unwind_check.h"
#include "unwind_libunwind.h"
#include "unwind_memory.h"

#include <dlfcn.h>
#include <string.h>

#define LOADS 32
#define READS_MAX 50000
#define REGION(value) ((unsigned)((value) >> 56))
/* In the middle of its region, so that constants may be negative. */
#define BASE(region) ((uint64_t)(region) << 56 | UINT64_C(1) << 55)
#define REGION_REGISTERS 0x40
#define REGION_LOADS 0x60
/* Of registers' bases in the second asking: not the same for any two, a multiple of 8 but not of 16. */
#define SHIFT(number) (UINT64_C(0x10008) * (2 * (uint64_t)(number) + 1))
#define HEADER_BYTES 12

/* One asking: what libunwind's questions are answered from. */
struct asking {
	uint64_t pc, function;
	unwind_find *find;
	bool is_shifted;
	bool has_entry; /* in the tables */
	bool is_refused; /* the entry */
	bool is_bottom; /* says the entry; libunwind 1.8 fails there */
	unsigned reads_left, load_count;
	uint64_t loads[LOADS]; /* addresses */
};

static struct {
	struct libunwind call;
	void *address_space;
	unwind_find *find;
	struct unwind_memory memory;
} probe;

static void ask(struct asking *asking, uint64_t address, struct unwind_rule *rule);
static bool set_out(struct asking *asking, uint64_t address, struct libunwind_cursor *cursor,
		    bool *is_signal);
static void describe(const struct asking *asking, struct libunwind_cursor *cursor,
		     struct unwind_rule *rule);
static bool describe_cfa(const struct asking *asking, uint64_t cfa, struct unwind_rule *rule,
			 uint64_t *cfa_base);
static struct unwind_value describe_value(const struct asking *asking, uint64_t value,
					  uint64_t cfa_base, uint64_t cfa);
static bool relative(uint64_t value, uint64_t base, int32_t *offset);
static uint64_t register_base(const struct asking *asking, unsigned number);
static bool is_scratch(unsigned number);
static int find_entry(void *space, uint64_t pc, struct libunwind_entry *entry, int needs_all,
		      void *self);
static bool check_entry(struct libunwind_instructions *entry, bool *is_bottom);
static bool find_header(uint64_t pc, unwind_find *find, struct libunwind_table *table);
static void put_entry(void *space, struct libunwind_entry *entry, void *self);
static int no_list(void *space, uint64_t *list, void *self);
static int access_memory(void *space, uint64_t address, uint64_t *value, int is_write, void *self);
static int access_synthetic(struct asking *asking, uint64_t address, uint64_t *value);
static int access_register(void *space, int number, uint64_t *value, int is_write, void *self);
static int access_float(void *space, int number, void *value, int is_write, void *self);

errmsg unwind_probe_start(void)
{
	static struct libunwind_accessors accessors = {
		.find_proc_info = find_entry,
		.put_unwind_info = put_entry,
		.get_dyn_info_list_addr = no_list,
		.access_mem = access_memory,
		.access_reg = access_register,
		.access_fpreg = access_float,
	};
	void *library = dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return "native frames need libunwind (libunwind-x86_64.so.8), which is not there";
#define FIND(type, name, arguments)                                             \
	probe.call.name = (type(*) arguments)dlsym(library, "_Ux86_64_" #name); \
	if (!probe.call.name)                                                   \
		return "native frames need a libunwind with _Ux86_64_" #name    \
		       ", which this one lacks";
	LIBUNWIND_CALLS(FIND)
#undef FIND
	probe.address_space = probe.call.create_addr_space(&accessors, 0);
	return probe.address_space ? NULL : "libunwind has no memory for native frames";
}

void unwind_probe_begin(unwind_find *find)
{
	probe.find = find;
	unwind_probe_forget();
	/* Each pc is asked for once, so there is nothing that libunwind should keep. */
	probe.call.set_caching_policy(probe.address_space, LIBUNWIND_CACHE_NONE);
}

void unwind_probe(uint64_t address, struct unwind_rule *rule, uint64_t *function)
{
	struct asking first = { .find = probe.find, .is_shifted = false };
	struct asking second = { .find = probe.find, .is_shifted = true };
	struct unwind_rule again;

	ask(&first, address, rule);
	*function = first.function;
	if (rule->result != UNWIND_OK)
		return;
	ask(&second, address, &again);
	if (memcmp(rule, &again, sizeof(again)) == 0)
		return;
	memset(rule, 0, sizeof(*rule));
	rule->result = UNWIND_UNKNOWN;
}

void unwind_probe_forget(void)
{
	memset(&probe.memory, 0, sizeof(probe.memory));
}

static void ask(struct asking *asking, uint64_t address, struct unwind_rule *rule)
{
	struct libunwind_cursor cursor;
	uint64_t pc = 0, unused;
	bool is_signal;

	memset(rule, 0, sizeof(*rule));
	rule->result = UNWIND_UNKNOWN;
	asking->reads_left = READS_MAX;
	if (!set_out(asking, address, &cursor, &is_signal))
		return;
	if ((probe.call.step(&cursor) < 0 && !asking->is_bottom) || asking->is_refused)
		return;
	if (asking->is_bottom) {
		rule->result = UNWIND_BOTTOM;
		return;
	}
	/* Without an entry libunwind knows PLT stubs and the signal trampoline by their code, and guesses the rest:
	   then it has lost the other registers. */
	if (!asking->has_entry && probe.call.get_reg(&cursor, UNWIND_RBX, &unused) < 0)
		return;
	rule->is_signal = is_signal;
	if (probe.call.get_reg(&cursor, LIBUNWIND_RIP, &pc) < 0)
		return;
	if (pc == 0) {
		memset(rule, 0, sizeof(*rule));
		rule->result = UNWIND_BOTTOM;
		return;
	}
	describe(asking, &cursor, rule);
}

/* A cursor at the address. Of a trampoline, which nothing has called, only the byte before it may be known: then it
   is set on the trampoline. */
static bool set_out(struct asking *asking, uint64_t address, struct libunwind_cursor *cursor,
		    bool *is_signal)
{
	asking->pc = address + 1;
	if (probe.call.init_remote(cursor, probe.address_space, asking) < 0)
		return false;
	*is_signal = probe.call.is_signal_frame(cursor) > 0;
	if (*is_signal)
		return true;
	asking->pc = address;
	if (probe.call.init_remote(cursor, probe.address_space, asking) < 0)
		return false;
	*is_signal = probe.call.is_signal_frame(cursor) > 0;
	return true;
}

static void describe(const struct asking *asking, struct libunwind_cursor *cursor,
		     struct unwind_rule *rule)
{
	uint64_t cfa, cfa_base, value;

	if (probe.call.get_reg(cursor, UNWIND_RSP, &cfa) < 0 ||
	    !describe_cfa(asking, cfa, rule, &cfa_base))
		return;
	if (probe.call.get_reg(cursor, LIBUNWIND_RIP, &value) < 0)
		return;
	rule->pc = describe_value(asking, value, cfa_base, cfa);
	if (rule->pc.base == UNWIND_BASE_NONE)
		return;
	rule->needs_scratch = is_scratch(rule->cfa.base) || is_scratch(rule->pc.base);
	for (unsigned i = 0; i < UNWIND_REGISTERS; i++) {
		struct unwind_value change = { .base = UNWIND_BASE_NONE };

		if (i == UNWIND_RSP)
			continue;
		if (probe.call.get_reg(cursor, (int)i, &value) >= 0)
			change = describe_value(asking, value, cfa_base, cfa);
		if (change.base == i && !change.is_loaded && change.offset == 0)
			continue;
		change.of = (uint8_t)i;
		rule->changes[rule->change_count++] = change;
		rule->needs_scratch |= is_scratch(change.base);
	}
	rule->result = UNWIND_OK;
}

/* *cfa_base is the value that the cfa is counted from, if that was loaded. */
static bool describe_cfa(const struct asking *asking, uint64_t cfa, struct unwind_rule *rule,
			 uint64_t *cfa_base)
{
	unsigned load = REGION(cfa) - REGION_LOADS;

	*cfa_base = 0;
	if (load < asking->load_count) {
		*cfa_base = BASE(REGION(cfa));
		if (!relative(cfa, *cfa_base, &rule->cfa_add))
			return false;
		cfa = *cfa_base;
	}
	rule->cfa = describe_value(asking, cfa, 0, 0);
	return rule->cfa.base != UNWIND_BASE_NONE;
}

static struct unwind_value describe_value(const struct asking *asking, uint64_t value,
					  uint64_t cfa_base, uint64_t cfa)
{
	const struct unwind_value none = { .base = UNWIND_BASE_NONE };
	struct unwind_value found = { 0 };
	unsigned load = REGION(value) - REGION_LOADS, number;

	if (load < asking->load_count && value == BASE(REGION(value))) {
		value = asking->loads[load];
		found.is_loaded = true;
	}
	number = REGION(value) - REGION_REGISTERS;
	if (number < UNWIND_REGISTERS) {
		found.base = (uint8_t)number;
		return relative(value, register_base(asking, number), &found.offset) ? found : none;
	}
	found.base = UNWIND_BASE_CFA;
	if (cfa_base && REGION(value) == REGION(cfa_base) && relative(value, cfa, &found.offset))
		return found;
	return none;
}

static bool relative(uint64_t value, uint64_t base, int32_t *offset)
{
	int64_t distance = (int64_t)(value - base);

	*offset = (int32_t)distance;
	return *offset == distance;
}

static uint64_t register_base(const struct asking *asking, unsigned number)
{
	return BASE(REGION_REGISTERS + number) + (asking->is_shifted ? SHIFT(number) : 0);
}

/* Not rbx rbp rsp r12 to r15, which a function leaves as they were (System V ABI). */
static bool is_scratch(unsigned number)
{
	return number < UNWIND_REGISTERS && !(UINT32_C(0xf0c8) >> number & 1);
}

static int find_entry(void *space, uint64_t pc, struct libunwind_entry *entry, int needs_all,
		      void *self)
{
	struct asking *asking = self;
	struct libunwind_table table;
	int error;

	memset(&table, 0, sizeof(table));
	if (!find_header(pc, asking->find, &table))
		return -LIBUNWIND_NO_INFO;
	error = probe.call.dwarf_search_unwind_table(space, pc, &table, entry, needs_all, self);
	if (error < 0)
		return error;
	asking->has_entry = true;
	asking->function = entry->start_ip;
	if (needs_all)
		asking->is_refused = !check_entry(entry->unwind_info, &asking->is_bottom);
	return error;
}

/* What is refused is left empty: libunwind takes the entry back only if it went through it. */
static bool check_entry(struct libunwind_instructions *entry, bool *is_bottom)
{
	bool is_common_bottom = false;

	if (entry->return_column == LIBUNWIND_RIP &&
	    unwind_check(&probe.memory, entry->common_start, entry->common_end,
			 &is_common_bottom) &&
	    unwind_check(&probe.memory, entry->start, entry->end, is_bottom)) {
		*is_bottom |= is_common_bottom;
		return true;
	}
	entry->common_end = entry->common_start;
	entry->end = entry->start;
	entry->return_column = LIBUNWIND_RIP;
	return false;
}

/* .eh_frame_hdr: version 1, three encodings, where .eh_frame is, how many rows; then the rows, sorted, each where a
   function begins and where its entry is, 4 bytes each from the header's start. Linkers write no other encodings
   (LSB, Exception Frames). */
static bool find_header(uint64_t pc, unwind_find *find, struct libunwind_table *table)
{
	static const unsigned char encodings[] = { 1, 0x1b, 3, 0x3b };
	struct unwind_table where = { 0 };
	unsigned char head[HEADER_BYTES];
	uint32_t rows;

	if (!find(pc, &where) || where.frame_header_bytes <= sizeof(head) ||
	    !unwind_memory_read(&probe.memory, where.frame_header, head, sizeof(head)))
		return false;
	memcpy(&rows, head + 8, sizeof(rows));
	if (memcmp(head, encodings, sizeof(encodings)) != 0 || rows == 0 ||
	    rows > (where.frame_header_bytes - sizeof(head)) / 8)
		return false;
	table->start_ip = where.start;
	table->end_ip = where.end;
	table->format = LIBUNWIND_REMOTE_TABLE;
	table->segbase = where.frame_header;
	table->table_data = where.frame_header + sizeof(head);
	table->table_len = rows; /* in words */
	return true;
}

static void put_entry(void *space, struct libunwind_entry *entry, void *self)
{
	(void)space;
	(void)entry;
	(void)self;
}

static int no_list(void *space, uint64_t *list, void *self)
{
	(void)space;
	(void)list;
	(void)self;
	return -LIBUNWIND_NO_INFO;
}

static int access_memory(void *space, uint64_t address, uint64_t *value, int is_write, void *self)
{
	struct asking *asking = self;

	(void)space;
	if (is_write || asking->reads_left == 0)
		return -LIBUNWIND_INVALID;
	asking->reads_left--;
	if (REGION(address) >= REGION_REGISTERS && REGION(address) < REGION_LOADS + LOADS)
		return access_synthetic(asking, address, value);
	return unwind_memory_read(&probe.memory, address, value, sizeof(*value)) ?
		       0 :
		       -LIBUNWIND_INVALID;
}

static int access_synthetic(struct asking *asking, uint64_t address, uint64_t *value)
{
	unsigned i = 0;

	while (i < asking->load_count && asking->loads[i] != address)
		i++;
	if (i == LOADS)
		return -LIBUNWIND_INVALID;
	if (i == asking->load_count)
		asking->loads[asking->load_count++] = address;
	*value = BASE(REGION_LOADS + i);
	return 0;
}

static int access_register(void *space, int number, uint64_t *value, int is_write, void *self)
{
	const struct asking *asking = self;

	(void)space;
	if (is_write || number < 0 || number > LIBUNWIND_RIP)
		return -LIBUNWIND_BAD_REGISTER;
	*value = number == LIBUNWIND_RIP ? asking->pc : register_base(asking, (unsigned)number);
	return 0;
}

static int access_float(void *space, int number, void *value, int is_write, void *self)
{
	(void)space;
	(void)number;
	(void)value;
	(void)is_write;
	(void)self;
	return -LIBUNWIND_BAD_REGISTER;
}

#else

/* Compiled to nothing: see unwind.c. */
typedef int unwind_probe_is_for_x86_64;

#endif
