/*
 * test_signals_calls.c - disposition, mask, and what a handler runs with.
 */
#include "twin.h"

/* ---- disposition ---- */

static void actions(void)
{
	note_action("start");
	handle(NULL, SA_SIGINFO | SA_NODEFER | SA_ONSTACK, SIGUSR2);
	note_action("siginfo");
	handle(on_signal, (int)(SA_RESTART | SA_RESETHAND), SIGKILL);
	note_action("plain");
	note("signal was own: %d", signal(SIGURG, SIG_IGN) == on_signal);
	note_action("signal");
	note("ignored before: %d", signal(SIGURG, on_signal) == SIG_IGN);
	note_action("signal again");
	note("siginterrupt %d", siginterrupt(SIGURG, 1));
	note_action("interrupts");
	signal(SIGURG, on_signal);
	note_action("signal that interrupts");
	siginterrupt(SIGURG, 0);
	note_action("restarts");
	note("signal of an error: %d %d", signal(SIGURG, SIG_ERR) == SIG_ERR, errno);
	note("sysv: %d", sysv_signal(SIGURG, on_signal) == on_signal);
	note_action("sysv");
	note("sigignore: %d", sigignore(SIGURG));
	note_action("sigignore");
	note("other: %d", signal(SIGUSR1, on_signal) == SIG_DFL);
	raise(SIGUSR1);
}

static void system_v(void)
{
	note("set: %d", sigset(SIGURG, on_signal) == SIG_DFL);
	note_action("set");
	note("hold: %d", sigset(SIGURG, SIG_HOLD) == on_signal);
	note_mask("held");
	raise(SIGURG);
	note_pending("held");
	note("set again: %d", sigset(SIGURG, on_signal) == SIG_HOLD);
	note_mask("let go");
	note("sighold %d", sighold(SIGURG));
	raise(SIGURG);
	note("handled %d", run.handled);
	note("sigrelse %d", sigrelse(SIGURG));
	note("handled %d", run.handled);
	note("hold of held: %d", sigset(SIGURG, SIG_HOLD) == on_signal);
	note("hold of held: %d", sigset(SIGURG, SIG_HOLD) == SIG_HOLD);
}

static void reset_hand(void)
{
	handle(on_signal, (int)SA_RESETHAND, 0);
	raise(SIGURG);
	note_action("after one");
	raise(SIGURG);
	note("handled %d", run.handled);
	sysv_signal(SIGURG, on_signal);
	raise(SIGURG);
	raise(SIGURG);
	note("handled %d", run.handled);
}

/* ---- mask and handler ---- */

static void blocked(void)
{
	handle(NULL, SA_SIGINFO, 0);
	mask(SIG_BLOCK, SIGURG, SIGUSR1);
	raise(SIGURG);
	note_pending("blocked");
	mask(SIG_BLOCK, SIGUSR2, 0);
	mask(SIG_UNBLOCK, SIGUSR1, 0);
	note("handled %d", run.handled);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
	note_pending("unblocked");
	mask(SIG_SETMASK, SIGURG, SIGHUP);
	cr_assert_eq(sigqueue(getpid(), SIGURG, (union sigval){ .sival_int = 7 }), 0);
	cr_assert_eq(kill(getpid(), SIGURG), 0);
	note_pending("queued");
	mask(SIG_SETMASK, SIGHUP, 0);
	note("handled %d", run.handled);
	note_mask("at the end");
	mask(77, SIGURG, 0);
	note("sigprocmask: %d %d", sigprocmask(77, &(sigset_t){ 0 }, NULL), errno);
}

static void ignored_while_blocked(void)
{
	handle(on_signal, 0, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	raise(SIGURG);
	kill(getpid(), SIGURG);
	note_pending("before");
	signal(SIGURG, SIG_IGN);
	note_pending("ignored");
	signal(SIGURG, on_signal);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
}

static void on_nested(int signo)
{
	int depth = run.handled++;

	note("enter %d", depth);
	if (depth == 0) {
		raise(signo);
		note_pending("raised");
	}
	note("leave %d", depth);
}

static void nested(void)
{
	handle(on_nested, 0, SIGUSR1);
	raise(SIGURG);
	run.handled = 0;
	handle(on_nested, SA_NODEFER, SIGUSR1);
	raise(SIGURG);
	mask(SIG_BLOCK, SIGUSR2, 0);
	handle(on_signal, SA_NODEFER, SIGUSR1);
	raise(SIGURG);
	note_mask("at the end");
}

static void on_unblocking(int signo)
{
	int depth = run.handled++;

	note("enter %d", depth);
	if (depth == 0) {
		raise(signo);
		mask(SIG_UNBLOCK, signo, 0);
		mask(SIG_BLOCK, signo, 0);
	}
	note_mask("leave");
}

static void unblocks_itself(void)
{
	handle(on_unblocking, 0, 0);
	raise(SIGURG);
	note_mask("at the end");
}

static void on_other(int signo)
{
	sigset_t all, old;

	raise(SIGURG);
	note_mask("in the other");
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	note_mask("restored");
	note("leave %d, handled %d", signo, run.handled);
}

/* Another signal's handler with ours in its mask. */
static void in_anothers_mask(void)
{
	struct sigaction act = { .sa_handler = on_other, .sa_mask = set_of(SIGURG, 0) };

	handle(on_signal, 0, 0);
	sigaction(SIGUSR1, &act, NULL);
	raise(SIGUSR1);
	note_mask("after it");
	raise(SIGURG);
}

static void on_jumping(int signo)
{
	run.handled++;
	siglongjmp(run.jump, signo);
}

static void jumps_out(void)
{
	handle(on_jumping, 0, SIGUSR1);
	note("jumped with %d", sigsetjmp(run.jump, 1));
	note_mask("after the jump");
	if (run.handled < 3)
		raise(SIGURG);
}

static void on_returning(int signo, siginfo_t *info, void *context)
{
	(void)info;
	sigaddset(&((ucontext_t *)context)->uc_sigmask, signo);
	run.handled++;
}

static void returns_blocked(void)
{
	struct sigaction act = { .sa_sigaction = on_returning, .sa_flags = SA_SIGINFO };

	sigaction(SIGURG, &act, NULL);
	raise(SIGURG);
	note_mask("after it");
	raise(SIGURG);
	note("handled %d", run.handled);
	mask(SIG_UNBLOCK, SIGURG, 0);
	note("handled %d", run.handled);
}

/* The least that Linux allows: what the kernel writes itself may not fit on some processors. */
static void small_stacks(void)
{
	char *room = calloc(2, 65536);
	stack_t stack = { .ss_sp = room + 65536, .ss_size = 2048 }, old;

	note("set %d", sigaltstack(&stack, NULL));
	note("read %d", sigaltstack(NULL, &old));
	note("is it: %d, bytes %zu", old.ss_sp == stack.ss_sp, old.ss_size);
	for (int i = 0; i < 65536; i++) {
		if (room[i])
			note("written %d bytes below it", 65536 - i);
	}
	handle(NULL, SA_SIGINFO, 0);
	raise(SIGURG);
	stack.ss_flags = SS_DISABLE;
	note("let go %d", sigaltstack(&stack, &old));
	note("of none: %d, %d", sigaltstack((void *)8, NULL), errno);
	free(room);
}

SAME(signals_calls, actions)
SAME(signals_calls, small_stacks)
SAME(signals_calls, system_v)
SAME(signals_calls, reset_hand)
SAME(signals_calls, blocked)
SAME(signals_calls, ignored_while_blocked)
SAME(signals_calls, nested)
SAME(signals_calls, unblocks_itself)
SAME(signals_calls, in_anothers_mask)
SAME(signals_calls, jumps_out)
SAME(signals_calls, returns_blocked)
