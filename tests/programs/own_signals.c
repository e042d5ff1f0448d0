/*
 * own_signals.c - a library that uses signals, stacks and timers of its own, for own_signals.py. Each
 * function prints what it saw: the same every time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define ROOM 65536
#define SWITCHES 10000
#define QUEUED 10000

void small_stacks(void);
void contexts(void);
void timers(void);
void storms(void);
void cancelled(void);

static struct {
	_Atomic int came, last, wrong;
	sem_t semaphore;
	char *stack; /* the alternate one, of ROOM bytes */
	_Atomic bool is_over;
} own;

static void work(double seconds)
{
	struct timespec now;
	double end = 0;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
		if (!end)
			end = (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds;
	} while ((double)now.tv_sec + (double)now.tv_nsec / 1e9 < end);
}

static void say(const char *what, int number)
{
	printf("%s %d\n", what, number);
	fflush(stdout);
}

static void handle(int signo, int flags, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&act.sa_mask);
	sigaction(signo, &act, NULL);
}

static void come_to(int wanted)
{
	while (own.came < wanted)
		work(0.001);
	own.came = 0;
}

/* For a handler that never comes; whoever runs there has no room. */
void small_stacks(void)
{
	static const size_t sizes[] = { 2048, 4096, 8192 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *room = calloc(3, ROOM);
		stack_t stack = { .ss_sp = room + ROOM, .ss_size = sizes[i] };
		int written = 0;

		say("set", sigaltstack(&stack, NULL));
		work(0.05);
		for (size_t at = 0; at < ROOM; at++)
			written += room[at] != 0 || room[at + ROOM + 8192] != 0;
		say("written beside it", written);
		stack.ss_flags = SS_DISABLE;
		say("let go", sigaltstack(&stack, NULL));
		free(room);
	}
}

static void on_stack(int signo, siginfo_t *info, void *context)
{
	char here;

	(void)signo, (void)info, (void)context;
	own.came++;
	own.wrong += &here < own.stack || &here >= own.stack + ROOM;
}

static ucontext_t main_context, other_context;

static void other_main(void)
{
	for (;;) {
		work(0.00002);
		raise(SIGUSR1);
		swapcontext(&other_context, &main_context);
	}
}

/* Coroutines on small stacks, as greenlets have them, and an alternate stack for what they have no room for. */
void contexts(void)
{
	stack_t stack = { .ss_sp = own.stack = calloc(1, ROOM), .ss_size = ROOM };
	char *small = calloc(1, ROOM);

	say("set", sigaltstack(&stack, NULL));
	handle(SIGUSR1, SA_ONSTACK, on_stack);
	getcontext(&other_context);
	other_context.uc_stack = (stack_t){ .ss_sp = small, .ss_size = ROOM };
	makecontext(&other_context, other_main, 0);
	for (int i = 0; i < SWITCHES; i++)
		swapcontext(&main_context, &other_context);
	say("came", own.came);
	say("elsewhere", own.wrong);
	own.came = 0;
	stack.ss_flags = SS_DISABLE;
	say("let go", sigaltstack(&stack, NULL));
	signal(SIGUSR1, SIG_DFL);
	free(small);
	free(own.stack);
}

static void on_timer(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	own.came++;
	own.wrong += info->si_code != SI_TIMER || info->si_value.sival_int != 42;
}

static void on_tick(int signo)
{
	(void)signo;
	own.came++;
}

static void on_thread(union sigval value)
{
	own.wrong += value.sival_int != 42;
	sem_post(&own.semaphore);
}

static void timer(clockid_t clock, int notify, int signo)
{
	const struct itimerspec each = { { 0, 2000000 }, { 0, 2000000 } };
	struct sigevent event = { .sigev_notify = notify, .sigev_signo = signo };
	timer_t id;

	event.sigev_value.sival_int = 42;
	if (notify == SIGEV_THREAD)
		event.sigev_notify_function = on_thread;
	if (notify == SIGEV_THREAD_ID)
		event._sigev_un._tid = gettid();
	say("create", timer_create(clock, &event, &id));
	say("set", timer_settime(id, 0, &each, NULL));
	if (notify == SIGEV_THREAD)
		for (int i = 0; i < 5; i++)
			sem_wait(&own.semaphore);
	else
		come_to(5);
	say("delete", timer_delete(id));
	say("others", own.wrong);
}

void timers(void)
{
	const struct itimerval each = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };

	sem_init(&own.semaphore, 0, 0);
	handle(SIGURG, SA_RESTART, on_timer);
	handle(SIGRTMIN, SA_RESTART, on_timer);
	timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGURG);
	timer(CLOCK_THREAD_CPUTIME_ID, SIGEV_THREAD_ID, SIGURG);
	timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN);
	timer(CLOCK_MONOTONIC, SIGEV_THREAD, 0);
	signal(SIGURG, SIG_DFL);
	signal(SIGPROF, on_tick);
	say("setitimer", setitimer(ITIMER_PROF, &each, NULL));
	come_to(5);
	say("setitimer", setitimer(ITIMER_PROF, &never, NULL));
	signal(SIGPROF, SIG_IGN);
}

static void on_queued(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	own.wrong += info->si_value.sival_int != own.last + 1;
	own.last = info->si_value.sival_int;
}

static void *storm_main(void *target)
{
	while (!own.is_over) {
		pthread_kill(*(pthread_t *)target, SIGUSR1);
		pthread_kill(*(pthread_t *)target, SIGURG);
	}
	return NULL;
}

/* Signals as fast as they can be sent, ours among them; those that queue come in their order, none is lost. */
void storms(void)
{
	pthread_t target = pthread_self(), thread;
	sigset_t queued;
	int sent = 0;

	sigemptyset(&queued);
	sigaddset(&queued, SIGRTMIN + 1);
	handle(SIGRTMIN + 1, SA_RESTART, on_queued);
	signal(SIGUSR1, on_tick);
	own.is_over = false;
	for (int handled = 0; handled < 2; handled++) {
		signal(SIGURG, handled ? on_tick : SIG_DFL);
		pthread_sigmask(SIG_BLOCK, &queued, NULL);
		pthread_create(&thread, NULL, storm_main, &target);
		pthread_sigmask(SIG_UNBLOCK, &queued, NULL);
		while (sent < QUEUED * (handled + 1)) {
			if (sigqueue(getpid(), SIGRTMIN + 1,
				     (union sigval){ .sival_int = sent + 1 }) == 0)
				sent++;
		}
		/* All may be there before the storm has begun. */
		while (own.last < sent || !own.came)
			work(0.001);
		own.is_over = true;
		pthread_join(thread, NULL);
		own.is_over = false;
		say("in order", own.last);
		say("out of order", own.wrong);
		say("others came", own.came > 0);
		own.came = 0;
	}
	signal(SIGURG, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

static void *shell_main(void *command)
{
	system(command);
	return NULL;
}

/* A thread that waits for a shell, pthreads(7): what it did for that is undone. */
void cancelled(void)
{
	char command[64], byte;
	pthread_t thread;
	void *result;
	int ends[2];

	signal(SIGURG, SIG_IGN);
	for (int i = 0; i < 5 && pipe(ends) == 0; i++) {
		say("others", system("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"));
		snprintf(command, sizeof(command), "echo >&%d; exec sleep 100", ends[1]);
		pthread_create(&thread, NULL, shell_main, command);
		say("runs", (int)read(ends[0], &byte, 1));
		pthread_cancel(thread);
		pthread_join(thread, &result);
		say("cancelled", result == PTHREAD_CANCELED);
		close(ends[0]);
		close(ends[1]);
	}
}
