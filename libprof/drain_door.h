/*
 * drain_door.h - between the drainer and those who ask something of it.
 *
 *   asked      bits set by anyone; a futex that the drainer sleeps on
 *   state      a futex that those who ask sleep on
 *   answered   how many requests to flush have been; a futex, too
 */
#ifndef DRAIN_DOOR_H
#define DRAIN_DOOR_H

#include "prof.h"

#include <sys/types.h>

enum drain_state {
	DRAIN_IDLE,
	DRAIN_STARTING,
	DRAIN_RESTING,
	DRAIN_RUNNING,
	DRAIN_PARKED,
	DRAIN_DONE,
};
enum { DRAIN_FLUSH = 1, DRAIN_PARK = 2, DRAIN_FINISH = 4 };

struct drain_door {
	_Atomic uint32_t asked;
	_Atomic uint32_t state;
	_Atomic uint32_t answered;
	_Atomic pid_t tid; /* of our thread */
};
extern struct drain_door drain_door;

/* While it rests or is parked: there is nothing that it would write. any */
bool drain_is_empty(void);
/* Set bits and wake it. any */
void drain_ask(uint32_t bits);

/* any */
static inline uint64_t drain_least(uint64_t one_ns, uint64_t other_ns)
{
	return one_ns < other_ns ? one_ns : other_ns;
}

#endif
