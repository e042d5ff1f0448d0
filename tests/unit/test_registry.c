/*
 * test_registry.c - the rows are those of the tables, and a mask chooses whose hooks are summed.
 */
#include "registry.h"

#include <criterion/criterion.h>
#include <string.h>

#define PERF 1000
#define CPU_BIT (1u << COLLECTOR_cpu)
#define SPENT_NS 25000 /* half of what passes between two of the collector's calibrating ticks */

static uint64_t process_ns;
static bool has_perf;

uint64_t __wrap_os_process_cpu_ns(void);
uint64_t __wrap_os_process_cpu_ns(void)
{
	return process_ns;
}

/* All takes twice as long beside a perf event. */
uint64_t __wrap_os_monotonic_ns(void);
uint64_t __wrap_os_monotonic_ns(void)
{
	static uint64_t now_ns;

	return now_ns += has_perf ? 2000 : 1000;
}

int __wrap_os_perf_open(pid_t tid, int signo, uint64_t period_ns);
int __wrap_os_perf_open(pid_t tid, int signo, uint64_t period_ns)
{
	(void)tid;
	(void)signo;
	(void)period_ns;
	has_perf = true;
	return PERF;
}

void __wrap_os_perf_close(int fd);
void __wrap_os_perf_close(int fd)
{
	has_perf = fd != PERF;
}

uint64_t __wrap_option_number(enum option_id id);
uint64_t __wrap_option_number(enum option_id id)
{
	return id == OPTION_CPU_HZ ? 10000 : 0;
}

static const struct collector_hooks *cpu_hooks(void)
{
	return registry_collectors[COLLECTOR_cpu].hooks;
}

Test(registry, a_collector_stands_in_the_row_of_its_id)
{
#define COLLECTOR(id, text)                                               \
	extern const struct collector_hooks id##_collector;               \
	cr_expect_str_eq(registry_collectors[COLLECTOR_##id].name, #id);  \
	cr_expect_str_eq(registry_collectors[COLLECTOR_##id].help, text); \
	cr_expect_eq(registry_collectors[COLLECTOR_##id].hooks, &id##_collector);
#include "../../collectors/collectors.def"
#undef COLLECTOR
}

Test(registry, exporters_stand_in_order_and_end)
{
	const struct exporter *row = registry_exporters;

#define EXPORTER(id, end, text)                           \
	extern const struct exporter_hooks id##_exporter; \
	cr_expect_str_eq(row->name, #id);                 \
	cr_expect_str_eq(row->suffix, end);               \
	cr_expect_str_eq(row->help, text);                \
	cr_expect_eq(row->hooks, &id##_exporter);         \
	cr_expect_not_null(row++->hooks->write);
#include "../../exporters/exporters.def"
#undef EXPORTER
	cr_expect_null(row->name);
}

/* What a LIST option's bits mean is what the registry's rows are. */
Test(registry, rows_are_the_bits_of_the_options)
{
	const struct option *collectors = option_row(OPTION_COLLECT);
	char word[32];

	for (unsigned row = 0; row < COLLECTOR_COUNT; row++)
		cr_expect_str_eq(option_word(collectors, row, word, sizeof(word)),
				 registry_collectors[row].name);
	cr_expect_null(option_word(collectors, COLLECTOR_COUNT, word, sizeof(word)));
}

Test(registry, the_remainder_is_that_of_the_chosen)
{
	process_ns = 500;
	cr_assert_null(cpu_hooks()->start());
	process_ns = 1500;
	cr_expect_eq(registry_remainder(CPU_BIT, METRIC_cpu_cpu, 300), 700);
	cr_expect_eq(registry_remainder(UINT32_MAX, METRIC_cpu_cpu, 300), 700);
	cr_expect_eq(registry_remainder(0, METRIC_cpu_cpu, 300), 0);
	cr_expect_eq(registry_remainder(~CPU_BIT, METRIC_cpu_cpu, 300), 0);
	cr_expect_eq(registry_remainder(CPU_BIT, METRIC_COUNT, 300), 0);
}

static void on_ending(struct thread *thread)
{
	(void)thread;
}

/* A thread that a perf event has ticked once. */
static void tick_once(void)
{
	siginfo_t info;
	struct thread *thread;

	cr_assert_null(threads_start(4096, on_ending));
	thread = thread_reserve();
	cr_assert_not_null(thread);
	thread_begin(thread);
	cr_assert_null(cpu_hooks()->start());
	cpu_hooks()->drainer_begin(true);
	cpu_hooks()->thread_begin(thread);
	cpu_hooks()->pass(1);
	cpu_hooks()->stop();
	memset(&info, 0, sizeof(info));
	info.si_code = POLL_IN;
	info.si_fd = PERF;
	cr_assert(cpu_hooks()->tick(&info, NULL));
}

Test(registry, the_kernels_time_is_that_of_the_chosen)
{
	tick_once();
	cr_expect_eq(registry_kernel_ns(CPU_BIT), SPENT_NS);
	cr_expect_eq(registry_kernel_ns(UINT32_MAX), SPENT_NS);
	cr_expect_eq(registry_kernel_ns(0), 0);
	cr_expect_eq(registry_kernel_ns(~CPU_BIT), 0);
}
