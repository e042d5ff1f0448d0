/*
 * session_state.h - what session.c and session_fork.c share.
 */
#ifndef SESSION_STATE_H
#define SESSION_STATE_H

#include "frames.h"
#include "session.h"
#include "signals.h"

/* SILENT: a forked child under MONPROF_CHILDREN=no. */
enum session_state { NONE, STARTING, RUNNING, ENDING, OVER, OFF, SILENT };
enum { PENDING_DRAINER = 1, PENDING_AUDIT = 2, PENDING_NAMES = 4 };

struct session {
	_Atomic uint32_t state;
	_Atomic pid_t pid; /* whose session this is; 0: in a forked child that has none yet */
	_Atomic uint32_t pending; /* PENDING_ bits, taken by the pending call */
	_Atomic uint32_t forking; /* threads between fork's prepare and parent handlers */
	bool is_forking_watched;
	bool is_given_up; /* OVER, for want of a thread: a child may have one */
	_Atomic bool lacks_room; /* for our thread, which stays parked until then */
	bool hears_events; /* there are sub-interpreters: the audit hook stays linked */
	_Atomic bool is_late_told; /* by whoever gave up first: that ends the process, perhaps */
	bool is_fresh; /* in a forked child: it has not shown yet that it goes on as Python */
	struct frames_place fork_call; /* of the last fork: where Python called it */
	struct frames_place
		child_begins; /* where a fresh child was seen first; frame 0: nowhere yet */
	bool is_child; /* the last fork made this process, it has made none since */
	_Atomic uint32_t looks; /* since the last fork: is its call over? */
};
extern struct session session;
extern const struct signals_hooks session_signals;

/* The session proper, of this process: in the first one, and again in each child that goes on. setup */
errmsg session_begin(void);
/* Have Python run what these bits say, soon. any but signal */
void session_ask(uint32_t what);
/* For want of a thread. burst */
void session_give_up(void);
/* Hear of every fork of libc's from now on. setup */
errmsg session_fork_watch(void);
/* Is it still where it was forked? burst */
bool session_fork_is_fresh(void);
/* Is this the main thread, amid a fork's hooks, with the drainer to be started? burst */
bool session_fork_goes_on(void);
/* The call that made the last fork is not over, and our thread is to wait for its end. burst */
bool session_fork_is_under_way(void);
/* Is it to be asked for that again? Within a bound. burst */
bool session_fork_looks_again(void);
/* The drainer, parked until now. burst */
void session_start_again(void);
/* Threads come and go: is there room for ours again? birth, death */
void session_look_for_room(void);
/* One line for those who wait no longer: what becomes of the profile; and where no thread of ours writes it. exit */
void session_fork_tell_late(void);
void session_tell_lost(void);
/* Python's own after-fork hook: the child goes on as Python. setup */
void session_fork_child(void);

#endif
