/*
 * drain.c - the drainer: a loop of passes, a flush now and then, one recording after the other, and what
 * others ask of it (drain_door.h).
 *
 * Whoever wins the change to STARTING creates the thread.  All in the struct belongs to the drainer, and
 * while it is parked to nobody.  How long it sleeps follows from how full the rings were.
 */
#include "drain.h"

#include "drain_door.h"
#include "native.h"
#include "os.h"
#include "real.h"
#include "stack.h"
#include "symbol.h"
#include "task.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define THREAD_STACK_BYTES (512 * 1024)
#define INTERVAL_LEAST_NS UINT64_C(2000000)
#define REST_NS INTERVAL_LEAST_NS
#define INTERVAL_FIRST_NS UINT64_C(20000000)
#define INTERVAL_MOST_NS UINT64_C(100000000)
#define TARGET_SHARE 8 /* of the fullest ring, at a pass: stacks may get deeper at once */
#define LOOK_NS UINT64_C(1000000000) /* for somebody who asks for a dump */
#define PAUSE_SHARE 10 /* after an export that was stopped: its time, so many times */
#define PAUSE_MOST_NS UINT64_C(60000000000)

static struct {
	struct drain_settings settings;
	struct recording *_Atomic recording; /* drain_is_empty looks while a thread may begin it */
	struct recording *inherited; /* a fork's parent's */
	uint64_t interval_ns, last_turn_ns, next_flush_ns, next_turn_ns, next_look_ns;
	uint64_t written_samples; /* by the last flush */
	uint64_t earlier_ns; /* CPU time of the threads that were parked */
	struct threads_sums before,
		told; /* in the recordings that are complete; up to the last flush */
	uint64_t before_ns, told_ns; /* CPU time of our own */
	uint64_t export_ns,
		export_begun_ns; /* CPU time of exports, and when this part of one began */
	uint64_t next_export_ns, pause_ns;
	bool was_stopped; /* an export, by `breathe` */
	bool was_flushed; /* and no pass has come after it: nothing waits */
	bool is_finishing; /* nobody takes samples any more */
	bool disk_failed, has_refused; /* said so once */
} drain PROF_TOGETHER;

static void *drain_main(void *unused);
static errmsg thread_create(void);
static bool rest(void);
static uint64_t rest_ns(void);
static size_t stack_bytes(const pthread_attr_t *attributes);
static bool enter(void);
static void begin_recording(void);
static uint32_t turn(void);
static void look_after_recordings(void);
static void rotate(uint64_t now);
static void look_for_request(uint64_t now);
static void export(void (*work)(drain_breathe *breathe));
static bool breathe(void);
static void sleep_until_needed(void);
static uint64_t next_due_ns(void);
static uint32_t pass(bool last);
static uint32_t pass_thread(struct thread *thread, bool last);
static void announce(struct thread *thread);
static void adapt(uint32_t fullest_bytes);
static void flush(void);
static void answer(void);
static void write_out(uint64_t now);
static void note(const char *key, const char *value);
static void note_costs(void);
static void note_number(const char *key, uint64_t number);
static void park(void);
static void leave(void);
static void finish(void);
static void add_remainders(void);

const char DRAIN_NO_ROOM[] = "our own thread could not be started: not profiled";

errmsg drain_begin(const struct drain_settings *settings)
{
	drain.settings = *settings;
	drain.recording = NULL;
	drain.interval_ns = INTERVAL_FIRST_NS;
	drain.earlier_ns = drain.last_turn_ns = 0;
	drain.written_samples = 0;
	drain.before = drain.told = (struct threads_sums){ 0 };
	drain.before_ns = drain.told_ns = drain.export_ns = 0;
	drain.next_export_ns = drain.pause_ns = 0;
	drain.is_finishing = drain.disk_failed = drain.has_refused = false;
	atomic_store(&drain_door.asked, 0);
	atomic_store(&drain_door.state, settings->waits ? DRAIN_PARKED : DRAIN_IDLE);
	return settings->waits ? NULL : drain_start();
}

errmsg drain_start(void)
{
	uint32_t idle = DRAIN_IDLE, parked = DRAIN_PARKED;
	errmsg error;

	if (!atomic_compare_exchange_strong(&drain_door.state, &idle, DRAIN_STARTING) &&
	    !atomic_compare_exchange_strong(&drain_door.state, &parked, DRAIN_STARTING))
		return NULL;
	atomic_fetch_and(&drain_door.asked, ~(uint32_t)DRAIN_PARK);
	error = thread_create();
	if (error)
		atomic_store(&drain_door.state,
			     drain.recording || drain.settings.waits ? DRAIN_PARKED : DRAIN_IDLE);
	return error;
}

bool drain_has_file(void)
{
	return drain.recording && recording_created(drain.recording);
}

bool drain_after_fork(void)
{
	uint32_t state = atomic_load(&drain_door.state);

	/* Given back by the thread: touched here, it would all be copied while the program waits. */
	if (drain.recording)
		drain.inherited = drain.recording;
	drain.recording = NULL;
	atomic_store(&drain_door.tid, 0);
	atomic_store(&drain_door.state, DRAIN_IDLE);
	/* A parked one left everything whole; one that was not may have been in the middle of it. */
	return state != DRAIN_STARTING && state != DRAIN_RESTING && state != DRAIN_RUNNING;
}

bool drain_is_empty(void)
{
	if (drain.recording || drain.settings.hooks.holds_ns() != UINT64_MAX)
		return false;
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		if (ring_used(&thread->ring))
			return false;
	}
	return true;
}

uint64_t drain_cpu_ns(void)
{
	return drain.earlier_ns + os_thread_cpu_ns();
}

uint64_t drain_export_ns(void)
{
	return drain.export_ns;
}

static errmsg thread_create(void)
{
	const uint64_t all = OS_SIGNALS_ALL;
	pthread_attr_t attributes;
	pthread_t thread;
	uint64_t mask;
	int error;

	if (pthread_attr_init(&attributes) != 0)
		return "no thread attributes: not profiled";
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, stack_bytes(&attributes));
	/* The new thread is born with every signal blocked, so none of the program's ever reaches it. */
	os_sigmask(SIG_SETMASK, &all, &mask);
	error = real_get()->pthread_create(&thread, &attributes, drain_main, NULL);
	os_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_attr_destroy(&attributes);
	if (error == EAGAIN)
		return DRAIN_NO_ROOM;
	return error ? "our own thread could not be started: not profiled" : NULL;
}

/* The program's thread-local variables are taken out of a stack, and may be larger than all that we need. */
static size_t stack_bytes(const pthread_attr_t *attributes)
{
	const struct real *libc = real_get();

	return THREAD_STACK_BYTES +
	       (libc->__pthread_get_minstack ? libc->__pthread_get_minstack(attributes) : 0);
}

static void *drain_main(void *unused)
{
	uint32_t asked;

	(void)unused;
	if (!rest() || !enter())
		return NULL;
	while (!((asked = turn()) & (DRAIN_FINISH | DRAIN_PARK))) {
		if (task_alone() && drain.settings.hooks.alone())
			drain_ask(DRAIN_FINISH);
		look_after_recordings();
		sleep_until_needed();
	}
	if (asked & DRAIN_FINISH)
		finish();
	else
		park();
	return NULL;
}

/* A pass, and a flush if it is time or somebody waits for one. What else is asked is the caller's. */
static uint32_t turn(void)
{
	/* Taken before the pass: a request that comes later gets a pass of its own. */
	uint32_t asked = atomic_fetch_and(&drain_door.asked, ~(uint32_t)DRAIN_FLUSH);
	uint64_t now;

	if (asked & DRAIN_FINISH)
		return asked;
	drain.was_flushed = false;
	adapt(pass(false));
	now = drain.last_turn_ns = os_monotonic_ns();
	/* Nobody who waits for us to be gone waits for the disk, but where each turn has been cut short so far. */
	if (asked & DRAIN_PARK && now < drain.next_flush_ns + drain.settings.flush_ns)
		return asked;
	if (asked & DRAIN_FLUSH || now >= drain.next_flush_ns)
		flush();
	if (asked & DRAIN_FLUSH)
		answer();
	return asked;
}

/* ---- recordings, one after the other ---- */

static void look_after_recordings(void)
{
	uint64_t now = os_monotonic_ns();
	bool is_full = drain.was_flushed &&
		       drain.settings.hooks.is_full(now, recording_bytes(drain.recording));

	/* Whoever has asked beside a recording that ends is not to wait for nothing. */
	if (is_full || now >= drain.next_look_ns)
		look_for_request(now);
	if (is_full && drain.was_flushed)
		rotate(now);
	/* Where forks follow each other an export may never come to its end. */
	if (now >= drain.next_export_ns)
		export(drain.settings.hooks.finish);
}

static void rotate(uint64_t now)
{
	static char path[4096];
	bool is_used = recording_created(drain.recording);
	struct recording_head head;
	errmsg error = drain.settings.hooks.next(is_used, &head);

	head.reopen = drain.settings.head.reopen;
	log_format(path, sizeof(path), "%s", recording_path(drain.recording));
	if (error && !drain.has_refused)
		log_line("%s: goes on: %s", path, error);
	drain.has_refused |= error != NULL;
	if (error || !recording_renew(drain.recording, &head))
		return;
	drain.settings.hooks.close(is_used ? path : NULL);
	drain.settings.hooks.renew(now);
	/* What came after its last flush, or was never written, is the next one's to tell. */
	if (is_used) {
		drain.before = drain.told;
		drain.before_ns = drain.told_ns;
	}
	begin_recording();
}

/* Its samples are of threads and mappings that it does not know yet. */
static void begin_recording(void)
{
	native_forget_mappings();
	for (unsigned i = 0; i < drain.settings.mapping_count; i++)
		recording_put_mapping(drain.recording, &drain.settings.mappings[i]);
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread))
		thread->announced = false;
}

static void look_for_request(uint64_t now)
{
	if (!recording_created(drain.recording))
		return;
	drain.next_look_ns = now + LOOK_NS;
	if (!drain.settings.hooks.is_asked(recording_path(drain.recording)))
		return;
	pass(false);
	drain.written_samples = UINT64_MAX; /* the last remarks, too */
	flush();
	export(drain.settings.hooks.dump);
}

static void export(void (*work)(drain_breathe *breathe))
{
	uint64_t begun_ns = os_monotonic_ns(), pause_ns;

	drain.export_begun_ns = drain_cpu_ns();
	drain.was_stopped = false;
	work(breathe);
	pause_ns = PAUSE_SHARE * (os_monotonic_ns() - begun_ns) + 2 * drain.pause_ns;
	if (pause_ns > PAUSE_MOST_NS)
		pause_ns = PAUSE_MOST_NS;
	drain.pause_ns = drain.was_stopped ? pause_ns : 0;
	drain.next_export_ns = begun_ns + drain.pause_ns;
	drain.export_ns += drain_cpu_ns() - drain.export_begun_ns;
}

static bool breathe(void)
{
	uint64_t now = os_monotonic_ns(), due;
	uint32_t asked = atomic_load(&drain_door.asked);

	if (drain.is_finishing || (!asked && now < drain.next_turn_ns))
		return true;
	drain.export_ns += drain_cpu_ns() - drain.export_begun_ns;
	asked = turn();
	drain.export_begun_ns = drain_cpu_ns();
	due = drain.settings.hooks.due_ns();
	drain.next_turn_ns = now + drain.interval_ns < due ? now + drain.interval_ns : due;
	/* At the end, what the rings hold is to be on disk first. */
	drain.was_stopped = asked & (DRAIN_PARK | DRAIN_FINISH);
	return !drain.was_stopped;
}

/* To the next turn: where forks follow each other the rings are emptied in time all the same. */
static uint64_t rest_ns(void)
{
	uint64_t now = os_monotonic_ns(), due;

	if (!drain.last_turn_ns)
		drain.last_turn_ns = now;
	due = drain.last_turn_ns + REST_NS;
	if (drain.recording)
		due = drain_least(drain.last_turn_ns + drain.interval_ns, next_due_ns());
	return due > now ? due - now : 0;
}

/* False: it was enough, this thread is to end. */
static bool rest(void)
{
	uint64_t most_ns = rest_ns();
	uint32_t resting = DRAIN_RESTING;

	atomic_store(&drain_door.tid, os_gettid());
	prctl(PR_SET_NAME, "monprof");
	if (!most_ns)
		return true;
	atomic_store(&drain_door.state, DRAIN_RESTING);
	os_futex_wait(&drain_door.asked, 0, most_ns);
	if (!atomic_compare_exchange_strong(&drain_door.state, &resting, DRAIN_STARTING))
		return false;
	if (atomic_load(&drain_door.asked) != DRAIN_PARK)
		return true;
	leave();
	return false;
}

static bool enter(void)
{
	bool own_descriptors = os_descriptors_own();

	log_divert(os_gettid());
	drain.settings.head.reopen = !own_descriptors;
	if (!drain.recording) {
		recording_free(drain.inherited);
		drain.inherited = NULL;
		drain.recording = recording_new(&drain.settings.head);
		if (!drain.recording) {
			log_line("no memory for a recording: not profiled");
			atomic_store(&drain_door.state, DRAIN_DONE);
			os_futex_wake(&drain_door.state);
			answer();
			return false;
		}
		begin_recording();
		stack_begin(drain.recording);
		task_begin();
		/* Once: where forks follow each other it is due all the same. */
		drain.next_flush_ns = os_monotonic_ns() + drain.settings.flush_ns;
	}
	drain.settings.hooks.begin(own_descriptors);
	atomic_store(&drain_door.state, DRAIN_RUNNING);
	os_futex_wake(&drain_door.state);
	return true;
}

static void sleep_until_needed(void)
{
	uint64_t now = os_monotonic_ns(), due = next_due_ns();

	os_futex_wait(&drain_door.asked, 0,
		      drain_least(due > now ? due - now : 0, drain.interval_ns));
}

static uint64_t next_due_ns(void)
{
	return drain_least(drain.settings.hooks.due_ns(), drain.next_flush_ns);
}

/* Empties every ring; the fullest one's bytes. */
static uint32_t pass(bool last)
{
	static const struct collector_writer writer = { stack_node, stack_epoch, stack_sample };
	uint64_t begun_ns = os_monotonic_ns(), held_ns;
	uint32_t fullest = 0;

	task_scan(drain.settings.hooks.adopted);
	native_pass(begun_ns);
	for (struct thread *thread = thread_next(NULL); thread; thread = thread_next(thread)) {
		uint32_t used = pass_thread(thread, last);

		if (used > fullest)
			fullest = used;
	}
	drain.settings.hooks.pass(begun_ns);
	drain.settings.hooks.write(&writer);
	held_ns = drain.settings.hooks.holds_ns();
	symbol_drained(held_ns < begun_ns ? held_ns : begun_ns);
	return fullest;
}

static uint32_t pass_thread(struct thread *thread, bool last)
{
	/* State before ring: a thread that is DEAD has written its last. */
	bool dead = atomic_load_explicit(&thread->state, memory_order_acquire) == THREAD_DEAD;
	uint32_t used = ring_used(&thread->ring);
	const struct record *record;

	/* At the end nobody enters any more; a thread that still is inside keeps its ring to itself. */
	if (dead || (last && !atomic_load(&thread->inside)))
		drain.settings.hooks.gone(thread);
	announce(thread);
	while ((record = ring_peek(&thread->ring))) {
		stack_add(thread, record);
		ring_next(&thread->ring);
	}
	if (dead)
		thread_recycle(thread);
	return used;
}

static void announce(struct thread *thread)
{
	struct recording_thread row = {
		.id = thread->serial,
		.tid = (uint64_t)atomic_load(&thread->tid),
		.name = thread->known_name,
	};

	if (!task_name(thread) && thread->announced)
		return;
	thread->announced = true;
	recording_put_thread(drain.recording, &row);
}

static void adapt(uint32_t fullest_bytes)
{
	uint64_t most = drain.settings.flush_ns < INTERVAL_MOST_NS ? drain.settings.flush_ns :
								     INTERVAL_MOST_NS;
	uint64_t wanted = drain.interval_ns * (drain.settings.ring_bytes / TARGET_SHARE) /
			  (fullest_bytes | 1);

	drain.interval_ns = wanted < drain.interval_ns * 2 ? wanted : drain.interval_ns * 2;
	if (drain.interval_ns > most)
		drain.interval_ns = most;
	if (drain.interval_ns < INTERVAL_LEAST_NS)
		drain.interval_ns = INTERVAL_LEAST_NS;
}

static void flush(void)
{
	uint64_t now = os_monotonic_ns();

	drain.next_flush_ns = now + drain.settings.flush_ns;
	drain.was_flushed = true;
	task_wanted();
	drain.settings.hooks.flush(now, note);
	/* A process that was never seen at work leaves no file, one that sleeps adds nothing to it. */
	if (stack_any() && recording_samples(drain.recording) != drain.written_samples)
		write_out(now);
}

/* To those who wait for a flush, or for its coming to nothing. */
static void answer(void)
{
	atomic_fetch_add(&drain_door.answered, 1);
	os_futex_wake(&drain_door.answered);
}

static void write_out(uint64_t now)
{
	uint64_t lost = 0;
	struct threads_sums sums;
	errmsg error;

	threads_sum(&sums);
	drain.told = sums;
	drain.told_ns = drain_cpu_ns();
	note_costs();
	for (unsigned i = 0; i < LOSS_COUNT; i++)
		sums.losses[i] -= drain.before.losses[i];
	recording_put_losses(drain.recording, sums.losses);
	drain.written_samples = recording_samples(drain.recording);
	error = recording_flush(drain.recording, now, &lost);
	if (error && !drain.disk_failed) {
		drain.disk_failed = true;
		log_line("%s: %s", recording_path(drain.recording), error);
	}
	while (lost--)
		thread_lose(NULL, LOSS_disk);
}

static void note(const char *key, const char *value)
{
	recording_put_note(drain.recording, key, value);
}

static void note_costs(void)
{
	note_number("own.handlers_ns", drain.told.own_ns - drain.before.own_ns);
	note_number("own.handlers", drain.told.entries - drain.before.entries);
	note_number("own.thread_ns", drain.told_ns - drain.before_ns);
}

static void note_number(const char *key, uint64_t number)
{
	char text[32];

	log_format(text, sizeof(text), "%llu", (unsigned long long)number);
	note(key, text);
}

static void park(void)
{
	drain.settings.hooks.end();
	recording_detach(drain.recording);
	log_divert(0);
	leave();
}

static void leave(void)
{
	void (*parked)(void) = drain.settings.hooks.parked;

	drain.earlier_ns += os_thread_cpu_ns();
	/* From here on all that is not atomic may be another session's. */
	atomic_store(&drain_door.state, DRAIN_PARKED);
	os_futex_wake(&drain_door.state);
	answer();
	parked();
}

static void finish(void)
{
	static char path[4096];
	bool created;

	pass(true);
	add_remainders();
	drain.written_samples = UINT64_MAX; /* the last remarks are written in any case */
	flush();
	drain.is_finishing = true;
	created = recording_created(drain.recording);
	log_format(path, sizeof(path), "%s", recording_path(drain.recording));
	stack_release();
	recording_free(drain.recording);
	drain.recording = NULL;
	drain.settings.hooks.end();
	drain.settings.hooks.close(created ? path : NULL);
	drain.settings.hooks.finish(breathe);
	log_divert(0);
	atomic_store(&drain_door.state, DRAIN_DONE);
	os_futex_wake(&drain_door.state);
	answer();
}

/* What was measured for the process as a whole and no thread has recorded: sums are exact. */
static void add_remainders(void)
{
	uint64_t own_ns = drain_cpu_ns();
	static const struct recording_thread process = {
		.id = RECORDING_THREAD_PROCESS,
		.name = "[process]",
	};
	struct recording_sample sample = { .thread = process.id, .time_ns = os_monotonic_ns() };

	for (unsigned metric = 0; metric < METRIC_COUNT; metric++) {
		sample.metric = metric;
		sample.value = drain.settings.hooks.remainder((enum metric)metric, own_ns);
		if (!sample.value)
			continue;
		sample.node = stack_marker(FRAME_THREAD_EXIT);
		recording_put_thread(drain.recording, &process);
		recording_put_sample(drain.recording, &sample);
	}
}
