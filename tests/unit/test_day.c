/*
 * test_day.c - a day at 100 Hz: stacks that change all the time, understood, written, flushed once a second. However
 * long it goes on, no more memory is taken than after the first hours.
 *
 * TEST_MODE=day has all seconds of each hour, 8.64 million samples; else an hour has a few.
 */
#include "recordings.h"

#include "callee.h"
#include "stack.h"
#include "symbol.h"
#include "thread.h"

#define HOURS 24
#define FIRST_HOURS 8
#define HZ 100
#define CODES 3000 /* alive at a time; by and by each is another's */
#define DEPTH 24
#define MORE_MOST_KIB 4096 /* tables grow by doubling, and begin anew once they take 4 MiB */
#define CODE 0x10000u

static struct {
	uint64_t random, now_ns;
	uint32_t serials[CODES];
	uint32_t next_serial;
	struct recording *recording;
	uint32_t epochs;
} day = { .random = 1 };

static struct thread worker = { .serial = 3 };

const struct symbol *__wrap_symbol_find(uintptr_t code, uint64_t time_ns);
uint32_t __wrap_symbol_line(const struct symbol *symbol, uintptr_t instruction);

static uint32_t any(uint32_t below)
{
	day.random = day.random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(day.random >> 33) % below;
}

const struct symbol *__wrap_symbol_find(uintptr_t code, uint64_t time_ns)
{
	static struct symbol symbol;
	static char name[32], file[64];
	uint32_t serial = day.serials[code - CODE];

	(void)time_ns;
	snprintf(name, sizeof(name), "function_%u", serial);
	snprintf(file, sizeof(file), "/srv/application/module_%u.py", serial % 200);
	symbol = (struct symbol){
		.name = name,
		.file = file,
		.name_bytes = (uint32_t)strlen(name),
		.first_line = serial % 1000,
		.serial = serial,
		.instructions = 1000,
	};
	return &symbol;
}

uint32_t __wrap_symbol_line(const struct symbol *symbol, uintptr_t instruction)
{
	return symbol->first_line + (uint32_t)(instruction - symbol->instructions) / 10;
}

/* Most of the time a common path, now and then any other: few stacks are many samples, many are one. */
static void put_sample(void)
{
	static union {
		struct record record;
		char room[sizeof(struct record) + DEPTH * sizeof(struct frame)];
	} space;
	uint32_t depth = 8 + any(DEPTH - 8), path = any(20), at = path;

	space.record = (struct record){
		.metric = METRIC_cpu_cpu,
		.depth = depth,
		.time_ns = day.now_ns,
		.value = 10000000,
	};
	for (uint32_t i = depth; i-- > 0;) {
		at = any(8) ? (at * 7 + path + i) % CODES : any(CODES);
		space.record.frames[i] = (struct frame){ CODE + at, 1000 + any(4) * 20 };
	}
	stack_add(&worker, &space.record);
}

static void pass_second(void)
{
	uint64_t lost;

	for (unsigned i = 0; i < HZ; i++) {
		day.now_ns += 1000000000 / HZ;
		put_sample();
	}
	cr_assert_null(recording_flush(day.recording, day.now_ns, &lost));
	cr_assert_eq(lost, 0);
}

static void rotate(unsigned hour)
{
	struct recording_head head = make_head(in_scratch("next.monprof"));

	cr_assert_eq(unlink(recording_path(day.recording)), 0);
	head.session += hour + 1;
	cr_assert(recording_renew(day.recording, &head));
}

/* Of what is in use, not of what the heap is about to give back. */
static size_t resident_kib(void)
{
	size_t size = 0, resident = 0;
	FILE *file;

	heap_trim();
	file = fopen("/proc/self/statm", "r");
	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%zu %zu", &size, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* The most that is taken in an hour. Each hour some functions are gone, and others have come. */
static size_t pass_hour(unsigned seconds)
{
	size_t most_kib = 0;

	for (unsigned second = 0; second < seconds; second++) {
		size_t kib;

		for (unsigned i = 0; i < 3600 / seconds; i++)
			day.serials[any(CODES)] = ++day.next_serial;
		pass_second();
		kib = resident_kib();
		most_kib = kib > most_kib ? kib : most_kib;
	}
	day.epochs += recording_epoch(day.recording);
	return most_kib;
}

#ifdef HEAP_LIBC
/* What is freed stays in a sanitizer's quarantine for a while, and is no growth of ours: a small one. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}
#endif

static void pass_day(bool rotates)
{
	const char *mode = getenv("TEST_MODE");
	unsigned seconds = mode && strcmp(mode, "day") == 0 ? 3600 : 60;
	struct recording_head head = make_head(in_scratch("day.monprof"));
	size_t first_kib = 0;

#ifdef UNDER_VALGRIND
	cr_skip_test("valgrind keeps what is given back for a while");
#endif
	for (unsigned i = 0; i < CODES; i++)
		day.serials[i] = ++day.next_serial;
	day.now_ns = START_NS;
	day.recording = recording_new(&head);
	cr_assert_not_null(day.recording);
	stack_begin(day.recording);
	for (unsigned hour = 0; hour < HOURS; hour++) {
		size_t most_kib = pass_hour(seconds);

		cr_log_info("hour %u: %zu KiB, %llu bytes written", hour + 1, most_kib,
			    (unsigned long long)recording_bytes(day.recording));
		if (hour < FIRST_HOURS && most_kib > first_kib)
			first_kib = most_kib;
		cr_assert_leq(most_kib, first_kib + MORE_MOST_KIB, "hour %u", hour + 1);
		if (rotates)
			rotate(hour);
	}
	cr_assert_eq(recording_samples(day.recording), (uint64_t)HOURS * seconds * HZ);
	cr_assert_gt(day.epochs, HOURS, "it never began anew");
	stack_release();
	recording_free(day.recording);
	remove_scratch();
}

Test(day, one_recording)
{
	pass_day(false);
}

Test(day, one_an_hour)
{
	pass_day(true);
}
