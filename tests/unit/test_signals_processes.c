/*
 * test_signals_processes.c - interrupted system calls, threads, fork, exec.
 */
#include "twin.h"

static void on_count(int signo)
{
	(void)signo;
	run.handled++;
}

struct interrupter {
	pthread_t victim;
	_Atomic bool done;
};

/* Again and again: nobody can know when the victim is in its read. */
static void *interrupt_until_done(void *argument)
{
	struct interrupter *interrupter = argument;

	while (!interrupter->done) {
		pthread_kill(interrupter->victim, SIGURG);
		usleep(1000);
	}
	return NULL;
}

static void *interrupt_thrice(void *argument)
{
	struct interrupter *interrupter = argument;

	while (run.handled < 3) {
		pthread_kill(interrupter->victim, SIGURG);
		usleep(1000);
	}
	cr_assert_eq(write(run.pipe[1], "", 1), 1);
	return NULL;
}

static void interrupts(void)
{
	struct interrupter interrupter = { .victim = pthread_self() };
	pthread_t thread;
	ssize_t got;
	char byte;

	cr_assert_eq(pipe(run.pipe), 0);
	handle(on_count, 0, 0);
	thread = spawn(NULL, interrupt_until_done, &interrupter);
	got = read(run.pipe[0], &byte, 1);
	note("without SA_RESTART: %d %d", (int)got, got < 0 ? errno : 0);
	interrupter.done = true;
	pthread_join(thread, NULL);

	run.handled = 0;
	handle(on_count, SA_RESTART, 0);
	thread = spawn(NULL, interrupt_thrice, &interrupter);
	got = read(run.pipe[0], &byte, 1);
	note("with SA_RESTART: %d", (int)got);
	pthread_join(thread, NULL);
}

static void threads_inherit(void)
{
	pthread_attr_t attr;
	sigset_t set = set_of(SIGURG, SIGUSR1);

	pthread_join(spawn(NULL, note_thread, "unblocked"), NULL);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &set);
	pthread_join(spawn(&attr, note_thread, "by attribute"), NULL);
	mask(SIG_BLOCK, SIGURG, SIGUSR2);
	pthread_join(spawn(NULL, note_thread, "blocked"), NULL);
	sigemptyset(&set);
	pthread_attr_setsigmask_np(&attr, &set);
	pthread_join(spawn(&attr, note_thread, "unblocked by attribute"), NULL);
	pthread_attr_destroy(&attr);
}

static void *unblock_past_libc(void *says_first)
{
	const uint64_t none = 0;
	sigset_t all;

	os_sigmask(SIG_SETMASK, &none, NULL);
	if (says_first)
		note_mask("past libc");
	raise(SIGURG);
	note("handled %d", run.handled);
	note_mask("afterwards");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	raise(SIGURG);
	note("handled %d", run.handled);
	note_pending("blocked by libc");
	return NULL;
}

/* As a Go runtime has it. */
static void threads_unblock_past_libc(void)
{
	sigset_t all, old;

	handle(on_signal, 0, 0);
	sigfillset(&all);
	for (int i = 0; i < 2; i++) {
		pthread_sigmask(SIG_SETMASK, &all, &old);
		pthread_t thread = spawn(NULL, unblock_past_libc, i ? &all : NULL);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		pthread_join(thread, NULL);
		note_mask("main");
	}
}

static void end_of(const char *where, pid_t child)
{
	int status = -1;

	cr_assert_eq(waitpid(child, &status, 0), child);
	note("%s: child ended with %x", where, (unsigned)status);
}

static void forks(void)
{
	pid_t child;

	handle(on_signal, 0, 0);
	mask(SIG_BLOCK, SIGURG, 0);
	raise(SIGURG);
	child = fork();
	if (child == 0) {
		if (run.taken)
			signals_after_fork();
		note_mask("child");
		note_pending("child");
		raise(SIGURG);
		mask(SIG_UNBLOCK, SIGURG, 0);
		_exit(run.handled);
	}
	end_of("fork", child);
	note_pending("parent");
}

/* A child that will not be profiled goes on without us. */
static void forks_and_stops(void)
{
	pid_t child;

	handle(NULL, SA_SIGINFO, SIGUSR1);
	mask(SIG_BLOCK, SIGURG, 0);
	child = fork();
	if (child == 0) {
		if (run.taken) {
			signals_after_fork();
			raise(SIGURG);
			signals_stop();
			run.taken = false;
		} else {
			raise(SIGURG);
		}
		note_action("child");
		note_mask("child");
		note_pending("child");
		mask(SIG_UNBLOCK, SIGURG, 0);
		_exit(run.handled);
	}
	end_of("fork", child);
}

/* SigPnd, SigBlk, SigIgn of the new program. */
static void exec_status(const char *path)
{
	char command[64];

	snprintf(command, sizeof(command), "exec grep -E 'Sig(Pnd|Blk|Ign)' /proc/self/status >&3");
	cr_assert_eq(dup2(run.log, 3), 3);
	if (run.taken)
		signals_exec_begin();
	execl(path, "sh", "-c", command, NULL);
	if (run.taken)
		signals_exec_failed();
}

static void exec_in_child(bool fails_first)
{
	pid_t child = fork();

	if (child == 0) {
		if (run.taken)
			signals_after_fork();
		if (fails_first) {
			exec_status("/nonexistent/sh");
			note_mask("failed");
			note_action("failed");
		}
		raise(SIGURG);
		exec_status("/bin/sh");
		_exit(1);
	}
	end_of("exec", child);
}

static void execs(void)
{
	handle(on_signal, 0, 0);
	exec_in_child(false);
	exec_in_child(true);
	mask(SIG_BLOCK, SIGURG, 0);
	exec_in_child(false);
	exec_in_child(true);
	mask(SIG_UNBLOCK, SIGURG, 0);
	signal(SIGURG, SIG_IGN);
	exec_in_child(true);
}

static void ignores_by_default(void)
{
	raise(SIGURG);
	kill(getpid(), SIGURG);
	mask(SIG_BLOCK, SIGURG, 0);
	kill(getpid(), SIGURG);
	note_pending("default");
	mask(SIG_UNBLOCK, SIGURG, 0);
	note_pending("gone");
}

SAME(signals_processes, interrupts)
SAME(signals_processes, threads_inherit)
SAME(signals_processes, threads_unblock_past_libc)
SAME(signals_processes, forks)
SAME(signals_processes, forks_and_stops)
SAME(signals_processes, execs)
SAME(signals_processes, ignores_by_default)
