/*
 * monitoring_view.h - sys.monitoring and sys.setprofile as a program without us finds them.
 *
 *   what the program asks                       what it sees
 *   an id that we hold: use_tool_id,            we move to another id first, or are lost
 *     register_callback
 *   its name, its events; to free, to clear it  nobody has it
 *   to set events on it                         ValueError, as on any id that nobody has
 *   events of its own, or a profile function,   switched on when the call has returned
 *     from a call that we watch
 *
 * The last: CPython ends a C call with a C_RETURN event if it began with a CALL event, for everyone who wants
 * one by then.  So a profile function would first be told of the end of sys.setprofile(), which it is not told
 * where nobody watches calls, and Python's own `profile` fails at that.  Hence such a call only takes its
 * arguments along, and the callback of its C_RETURN, ours alone still, makes it.
 */
#ifndef MONITORING_VIEW_H
#define MONITORING_VIEW_H

#include "monitoring_module.h"

/* Put our functions in the originals' places. false: an exception may be pending. setup, callback */
bool monitoring_view_show(struct monitoring_module *module, monitoring_asked *asked);
/* Put the originals back where ours still are. setup, callback */
void monitoring_view_hide(struct monitoring_module *module);

#endif
