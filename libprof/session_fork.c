/*
 * session_fork.c - fork, and what else wants us out of the way for a moment (unshare, setns, a raw clone).
 *
 *   prepare   the drainer is parked: it holds nothing, and nobody counts it as a thread
 *   parent    a pending call starts it again, once CPython has counted
 *   child     the process is as it would be without us: our signal is the program's. Most children exec or
 *             end at once, and pay for no more than that
 *
 * In a child that goes on as Python its after-fork hook begins a session of its own. Memory that is not
 * touched there is not copied: what the parent had is given back by the child's own drainer, in its own time.
 *
 * Whatever another thread was in the middle of when the process was copied stays so for ever: then nothing
 * of ours may be touched in the child, and it is not profiled.
 */
#include "drain.h"
#include "interpreters.h"
#include "log.h"
#include "options.h"
#include "os.h"
#include "place.h"
#include "record.h"
#include "running.h"
#include "session_state.h"
#include "symbol.h"

#include <errno.h>
#include <pthread.h>

#define PARK_NS UINT64_C(1000000000)
/* A call that queues itself again is called up to a hundred times wherever CPython looks at its queue, and by
   Py_FinalizeEx until there is none. */
#define LOOKS_CHILD 1000
#define LOOKS_PARENT 1000000
#define LITTLE_NS UINT64_C(100000000) /* CPU time */

static void forked(void);
static void leave(enum session_state state);

errmsg session_fork_watch(void)
{
	if (!session.is_forking_watched &&
	    pthread_atfork(session_step_aside, session_come_back, forked) != 0)
		return "fork cannot be watched: not profiled";
	session.is_forking_watched = true;
	return NULL;
}

void session_save(void)
{
	if (session_ours() && atomic_load(&session.state) == RUNNING)
		drain_flush(SESSION_EXIT_NS);
}

void session_step_aside(void)
{
	if (!session_ours())
		return;
	/* Before it is parked: from here on nobody starts it again. */
	atomic_fetch_add(&session.forking, 1);
	frames_place_take(&session.fork_call);
	session.is_child = false;
	atomic_store(&session.looks, 0);
	drain_park(PARK_NS);
}

void session_come_back(void)
{
	int saved_errno = errno;

	/* None counted: the session began in the middle of an unshare in another thread. */
	if (!session_ours() || !atomic_load(&session.forking) ||
	    atomic_fetch_sub(&session.forking, 1) > 1)
		return;
	if (atomic_load(&session.state) == RUNNING)
		session_ask(PENDING_DRAINER);
	errno = saved_errno;
}

/*
 * The child of any fork of libc's, in C too: async-signal-safe. Its id may even be the parent's: the first
 * process of a new pid namespace is number 1, as the parent is in its own.
 */
static void forked(void)
{
	if (!atomic_load(&session.pid))
		return;
	atomic_store(&session.pid, 0);
	signals_after_fork();
	signals_stop();
}

void session_fork_child(void)
{
	uint32_t state = atomic_load(&session.state);
	bool is_whole;
	errmsg error;

	if (state != RUNNING && state != ENDING && !session.is_given_up)
		return;
	session.is_given_up = false;
	/* Past libc our handler has not been called. */
	forked();
	atomic_store(&session.state, STARTING);
	atomic_store(&session.pending, 0);
	atomic_store(&session.forking, 0);
	atomic_store(&session.is_late_told, false);
	atomic_store(&session.lacks_room, false);
	if (!option_number(OPTION_CHILDREN)) {
		leave(SILENT);
		return;
	}
	interpreters_after_fork();
	session.is_fresh = py.PyInterpreterState_Get() == py.PyInterpreterState_Main();
	session.child_begins.frame = 0;
	session.is_child = true;
	atomic_store(&session.looks, 0);
	is_whole = symbol_reset();
	is_whole &= drain_after_fork();
	threads_after_fork();
	atomic_store(&record_gate.finalizing_tid, 0);
	running_after_fork();
	error = is_whole ? signals_start((int)option_number(OPTION_SIGNAL), &session_signals) :
			   "our own thread was busy at the fork: not profiled";
	if (!error)
		error = session_begin();
	if (!error && session.is_fresh)
		session_ask(PENDING_DRAINER);
	if (!error)
		return;
	log_line("%s", error);
	signals_stop();
	leave(OFF);
}

/* Where threads are limited the fork's child may have taken the place of ours, until its end. */
void session_start_again(void)
{
	errmsg error = drain_start();

	atomic_store(&session.lacks_room, error == DRAIN_NO_ROOM);
	if (error && error != DRAIN_NO_ROOM)
		session_give_up();
}

void session_look_for_room(void)
{
	if (atomic_exchange(&session.lacks_room, false))
		session_ask(PENDING_DRAINER);
}

/* The first look comes as soon as the call of fork has returned to Python, the next after another call, or a jump. */
bool session_fork_is_fresh(void)
{
	struct frames_place now;

	session.is_fresh = session.is_fresh && session_fork_looks_again();
	if (!session.is_fresh)
		return false;
	/* Hooks in Python, of others. */
	if (frames_place_within(&session.fork_call))
		return true;
	frames_place_take(&now);
	if (!session.child_begins.frame)
		session.child_begins = now;
	session.is_fresh = now.frame && now.frame == session.child_begins.frame &&
			   now.instruction == session.child_begins.instruction;
	return session.is_fresh;
}

bool session_fork_goes_on(void)
{
	return atomic_load(&session.pending) & PENDING_DRAINER && session_fork_is_under_way() &&
	       os_gettid() == os_getpid() && session_fork_looks_again();
}

/* Nobody counts the threads of a child: there a hook that goes on and on is as good as the end of the call. */
bool session_fork_is_under_way(void)
{
	return frames_place_within(&session.fork_call) &&
	       !(session.is_child && atomic_load(&session.looks) >= LOOKS_CHILD);
}

/* In a parent whose hooks take longer than that our thread waits for the next fork, or the end. */
bool session_fork_looks_again(void)
{
	uint32_t most = session.is_child ? LOOKS_CHILD : LOOKS_PARENT;

	return atomic_fetch_add(&session.looks, 1) < most;
}

/* A child that ends in the C call that it began with has no thread of ours, and no recording. */
void session_fork_tell_late(void)
{
	bool lacks_room = atomic_load(&session.lacks_room);

	if (!drain_is_parked() || (!session.is_fresh && !lacks_room))
		log_line("the end of the program waits no longer for the profile: "
			 "if it is not there, its recording is, %s",
			 place_recording());
	else if (!drain_has_file() && os_process_cpu_ns() < LITTLE_NS)
		return;
	else if (!lacks_room)
		log_line("this child of a fork ended in the C function that it began with: "
			 "not profiled");
	else
		session_tell_lost();
}

void session_tell_lost(void)
{
	if (drain_has_file())
		log_line("our own thread cannot be started again: the recording ends here, %s",
			 place_recording());
	else
		log_line("our own thread cannot be started again: not profiled");
}

static void leave(enum session_state state)
{
	running_leave();
	atomic_store(&session.state, state);
}
