/*
 * spawn.c - the same program run in turns under two preloads:
 *
 *   spawn PAIRS PRELOAD_A PRELOAD_B PROGRAM [ARGUMENT...]      "-": no preload
 *
 * One line a pair: wall time of A and of B in ns, from fork to wait, then the largest resident set of
 * each in KiB.  Who goes first changes from pair to pair.  It is a small C program so that its own size
 * does not hide that of its children (getrusage(2): maxrss survives execve).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct outcome {
	unsigned long long wall_ns;
	long resident_kib;
};

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
}

/* An environment with this preload; made beforehand, so that both children do the same work. */
static char **environment_with(const char *preload)
{
	size_t count = 0, kept = 0;
	char **copy, *row;

	while (environ[count])
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	row = malloc(strlen(preload) + sizeof("LD_PRELOAD="));
	if (!copy || !row)
		exit(1);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
			copy[kept++] = environ[i];
	sprintf(row, "LD_PRELOAD=%s", preload);
	if (strcmp(preload, "-") != 0)
		copy[kept] = row;
	return copy;
}

static struct outcome run(char **arguments, char **environment)
{
	struct outcome outcome;
	struct rusage usage;
	int status;
	pid_t child;

	outcome.wall_ns = now_ns();
	child = vfork();
	if (child == 0) {
		execve(arguments[0], arguments, environment);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
		fprintf(stderr, "spawn: %s failed\n", arguments[0]);
		exit(1);
	}
	outcome.wall_ns = now_ns() - outcome.wall_ns;
	outcome.resident_kib = usage.ru_maxrss;
	return outcome;
}

int main(int argc, char **argv)
{
	char **environments[2];
	int pairs;

	if (argc < 5) {
		fprintf(stderr, "usage: spawn PAIRS PRELOAD_A PRELOAD_B PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	pairs = atoi(argv[1]);
	environments[0] = environment_with(argv[2]);
	environments[1] = environment_with(argv[3]);
	for (int i = 0; i < pairs; i++) {
		struct outcome outcomes[2];
		int first = i & 1;

		outcomes[first] = run(argv + 4, environments[first]);
		outcomes[!first] = run(argv + 4, environments[!first]);
		fprintf(stderr, "%llu %llu %ld %ld\n", outcomes[0].wall_ns, outcomes[1].wall_ns,
			outcomes[0].resident_kib, outcomes[1].resident_kib);
	}
	return 0;
}
