/*
 * unwind_rule.h - what is known of one pc: how its caller's registers follow from its own.
 *
 *   cfa       = value + cfa_add           the caller's rsp
 *   value     = base + offset             or what memory holds there (is_loaded)
 *   base      a register of the frame, or the cfa
 *
 * No padding anywhere: rules are compared and kept as bytes, and many pcs share one.
 */
#ifndef UNWIND_RULE_H
#define UNWIND_RULE_H

#include "unwind.h"

#define UNWIND_BASE_CFA UNWIND_REGISTERS /* beyond the registers */
#define UNWIND_BASE_NONE 255 /* the value is not known */

struct unwind_value {
	int32_t offset;
	uint8_t base;
	uint8_t is_loaded;
	uint8_t of; /* the caller's register that it is */
	uint8_t zero;
};

struct unwind_rule {
	uint8_t result; /* enum unwind_result; what follows counts if it is UNWIND_OK */
	uint8_t is_signal; /* the caller was interrupted: its pc is no return address */
	/* Needs a register that calls do not preserve: good for the innermost frame and for interrupted ones only. */
	uint8_t needs_scratch;
	uint8_t change_count;
	int32_t cfa_add;
	struct unwind_value cfa, pc;
	struct unwind_value changes[UNWIND_REGISTERS]; /* registers that are not what they were */
};

/* Load libunwind and make our address space: NULL, or why there is none. setup */
errmsg unwind_probe_start(void);
/* drainer */
void unwind_probe_begin(unwind_find *find);
/* The rule of the frame that stands at address, and its function's start (0: unknown). A return address comes less 1.
   drainer */
void unwind_probe(uint64_t address, struct unwind_rule *rule, uint64_t *function);
/* Tables and code may have changed. drainer */
void unwind_probe_forget(void);

#endif
