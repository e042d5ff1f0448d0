/*
 * common.h - what several themes say: the same small program as text, and the check of its profile.
 */
#ifndef COMMON_H
#define COMMON_H

#include "python.h"
#include "run.h"
#include "stacks.h"

#define MS 1000000ULL

/* Uses 0.3 s of CPU in burn, nearly all of it in spin below. */
#define COMMON_BURN                                \
	"import time\n"                            \
	"def spin():\n"                            \
	"    for i in range(20000):\n"             \
	"        pass\n"                           \
	"def burn(seconds):\n"                     \
	"    end = time.thread_time() + seconds\n" \
	"    while time.thread_time() < end:\n"    \
	"        spin()\n"                         \
	"burn(0.3)\n"

/*
 * The profile shows `wanted_ms` of CPU time below `caller`, most of that in `callee`: it is there for 99 %
 * of the time and more, so that of two dozen samples, the fewest here, a fifth elsewhere is no chance. What
 * is below two periods may be missing, and what the program did besides may be there too.
 */
static inline void common_check(struct run *run, const char *path, const char *caller,
				const char *callee, unsigned wanted_ms)
{
	struct stacks *stacks = stacks_read(run, path);
	unsigned long long with = stacks_with(stacks, caller);
	unsigned long long under = stacks_under(stacks, caller, callee);

	RUN_CHECK(run, with >= wanted_ms * MS * 9 / 10,
		  "%s: %llu ns in %s, wanted at least 90 %% of %u ms; %s", path, with, caller,
		  wanted_ms, stacks_names(run, stacks));
	RUN_CHECK(run, under * 10 >= with * 8, "%s: only %llu of %llu ns of %s are in %s; %s", path,
		  under, with, caller, callee, stacks_names(run, stacks));
	stacks_free(stacks);
}

/* A good end, and the one profile shows the burning. */
static inline void common_check_burnt(struct run *run)
{
	common_check(run, run_check_good(run), "burn", "spin", 300);
}

/* The name of the profile of a process, absolute. */
static inline const char *common_profile(struct run *run, int pid)
{
	return run_text(run, "%s/monprof.%d.cpu.pb.gz", run->dir, pid);
}

#endif
