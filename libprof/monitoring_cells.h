/*
 * monitoring_cells.h - for monitoring.c alone: where CPython keeps a tool's callbacks, to look at them.
 *
 * register_callback tells, too, but only by putting another in its place, which each audit hook of the
 * program's hears of, and may refuse.
 */
#ifndef MONITORING_CELLS_H
#define MONITORING_CELLS_H

#include "monitoring_module.h"

/* Where the calling thread's interpreter has the callbacks of this id, which are the tool's now; 0: not found.
   About 0.1 ms. callback */
uintptr_t monitoring_cells_find(struct monitoring_module *module, const struct monitoring *tool,
				long id);
/* Are the tool's callbacks there? callback */
bool monitoring_cells_hold(const struct monitoring_module *module, const struct monitoring *tool,
			   uintptr_t cells);

#endif
