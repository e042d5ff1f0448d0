/*
 * unwind.c - the table of rules by pc, and their application.
 *
 * Two tables: slots, open addressing by pc, at most half full, lead to the rule's id; rules are interned, since
 * thousands of pcs have the same few hundred.  Bounded: a program that makes code all the time does not make this
 * grow; at the bound everything is forgotten and asked for anew.
 */
#include "unwind.h"

#include "heap.h"
#include "intern.h"
#include "unwind_rule.h"

#include <string.h>

#define PCS_MAX 65536
#define FIRST_SLOTS 1024

#ifdef __x86_64__

struct slot {
	uint64_t address; /* 0: free */
	uint64_t function;
	uint32_t rule;
};

static struct {
	struct slot *slots;
	size_t slot_count; /* power of two, or 0 */
	size_t used;
	struct intern rules;
	bool is_started, has_begun;
} unwind;

static const struct slot *find_slot(uint64_t address);
static struct slot *place(struct slot *slots, size_t slot_count, uint64_t address);
static bool make_room(void);
static enum unwind_result apply(const struct unwind_rule *rule, struct unwind_registers *registers,
				const struct unwind_stack *stack);
static bool evaluate(const struct unwind_value *value, const uint64_t *general,
		     const struct unwind_stack *stack, uint64_t *result);
static void empty(void);

errmsg unwind_start(void)
{
	errmsg error = unwind.is_started ? NULL : unwind_probe_start();

	if (!error)
		unwind.is_started = true;
	return error;
}

void unwind_begin(unwind_find *find)
{
	if (!unwind.is_started)
		return;
	unwind_probe_begin(find);
	unwind.has_begun = true;
}

enum unwind_result unwind_step(struct unwind_registers *registers, const struct unwind_stack *stack)
{
	const struct slot *slot = find_slot(registers->pc - registers->is_return);
	const struct unwind_rule *rule;

	if (!slot)
		return UNWIND_UNKNOWN;
	rule = intern_get(&unwind.rules, slot->rule, NULL);
	if (rule->result != UNWIND_OK)
		return (enum unwind_result)rule->result;
	if (rule->needs_scratch && registers->is_return)
		return UNWIND_UNKNOWN;
	return apply(rule, registers, stack);
}

uint64_t unwind_function(uint64_t address)
{
	const struct slot *slot = find_slot(address);

	return slot ? slot->function : 0;
}

void unwind_forget(void)
{
	if (!unwind.has_begun)
		return;
	unwind_probe_forget();
	empty();
}

void unwind_release(void)
{
	heap_free(unwind.slots);
	unwind.slots = NULL;
	unwind.slot_count = unwind.used = 0;
	intern_release(&unwind.rules);
}

/* What is known of this address, asked for if it is not there. NULL: no memory. */
static const struct slot *find_slot(uint64_t address)
{
	struct unwind_rule rule;
	struct slot *slot;
	bool fresh;
	uint64_t function;
	uint32_t id;

	if (!unwind.has_begun || address == 0)
		return NULL;
	if (unwind.slot_count) {
		slot = place(unwind.slots, unwind.slot_count, address);
		if (slot->address)
			return slot;
	}
	if (!make_room())
		return NULL;
	unwind_probe(address, &rule, &function);
	id = intern_put(&unwind.rules, &rule, sizeof(rule), &fresh);
	if (!id)
		return NULL;
	slot = place(unwind.slots, unwind.slot_count, address);
	*slot = (struct slot){ address, function, id };
	unwind.used++;
	return slot;
}

/* The slot of the address, or the free one where it belongs. */
static struct slot *place(struct slot *slots, size_t slot_count, uint64_t address)
{
	size_t mask = slot_count - 1;

	/* The high bits of a product depend on all bits of its factors; 2^64 over the golden ratio. */
	for (size_t i = (size_t)(address * 0x9e3779b97f4a7c15u >> 32) & mask;; i = (i + 1) & mask)
		if (slots[i].address == address || slots[i].address == 0)
			return &slots[i];
}

/* One more slot will be taken. */
static bool make_room(void)
{
	size_t slot_count = unwind.slot_count ? unwind.slot_count * 2 : FIRST_SLOTS;
	struct slot *slots;

	if (unwind.used >= PCS_MAX)
		empty();
	if (unwind.used < unwind.slot_count / 2)
		return true;
	slots = heap_zalloc(slot_count * sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < unwind.slot_count; i++)
		if (unwind.slots[i].address)
			*place(slots, slot_count, unwind.slots[i].address) = unwind.slots[i];
	heap_free(unwind.slots);
	unwind.slots = slots;
	unwind.slot_count = slot_count;
	return true;
}

static enum unwind_result apply(const struct unwind_rule *rule, struct unwind_registers *registers,
				const struct unwind_stack *stack)
{
	uint64_t was[UNWIND_REGISTERS + 1], now[UNWIND_REGISTERS], pc;

	memcpy(was, registers->general, sizeof(registers->general));
	memcpy(now, registers->general, sizeof(now));
	if (!evaluate(&rule->cfa, was, stack, &was[UNWIND_BASE_CFA]))
		return UNWIND_CUT;
	now[UNWIND_RSP] = was[UNWIND_BASE_CFA] += (uint64_t)(int64_t)rule->cfa_add;
	if (!evaluate(&rule->pc, was, stack, &pc))
		return UNWIND_CUT;
	for (size_t i = 0; i < rule->change_count; i++) {
		const struct unwind_value *change = &rule->changes[i];

		if (!evaluate(change, was, stack, &now[change->of]))
			return UNWIND_CUT;
	}
	if (pc == 0)
		return UNWIND_BOTTOM;
	/* Each step goes up, so that the walk ends. The innermost frame may have popped its return address already. */
	if (now[UNWIND_RSP] < was[UNWIND_RSP] ||
	    (now[UNWIND_RSP] == was[UNWIND_RSP] && (registers->is_return || rule->is_signal)))
		return UNWIND_UNKNOWN;
	registers->pc = pc;
	registers->is_return = !rule->is_signal;
	memcpy(registers->general, now, sizeof(now));
	return UNWIND_OK;
}

static bool evaluate(const struct unwind_value *value, const uint64_t *general,
		     const struct unwind_stack *stack, uint64_t *result)
{
	uint64_t at;

	if (value->base == UNWIND_BASE_NONE) {
		*result = 0;
		return true;
	}
	*result = general[value->base] + (uint64_t)(int64_t)value->offset;
	if (!value->is_loaded)
		return true;
	at = *result - stack->begin;
	if (*result < stack->begin || stack->size_bytes < sizeof(at) ||
	    at > stack->size_bytes - sizeof(at))
		return false;
	memcpy(result, stack->bytes + at, sizeof(*result));
	return true;
}

static void empty(void)
{
	if (unwind.slot_count)
		memset(unwind.slots, 0, unwind.slot_count * sizeof(*unwind.slots));
	unwind.used = 0;
	intern_release(&unwind.rules);
}

#else

errmsg unwind_start(void)
{
	return "native frames need x86-64";
}

void unwind_begin(unwind_find *find)
{
	(void)find;
}

enum unwind_result unwind_step(struct unwind_registers *registers, const struct unwind_stack *stack)
{
	(void)registers;
	(void)stack;
	return UNWIND_UNKNOWN;
}

uint64_t unwind_function(uint64_t address)
{
	(void)address;
	return 0;
}

void unwind_forget(void)
{
}

void unwind_release(void)
{
}

#endif
