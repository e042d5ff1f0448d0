/*
 * test_os_maps.c - what is mapped, of this process and as listings that are made up say.
 */
#include "file.h"
#include "os.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int __real_file_open(const char *path, int flags);
int __wrap_file_open(const char *path, int flags);

static const char *listing; /* NULL: the kernel's */
static bool is_gone;

int __wrap_file_open(const char *path, int flags)
{
	int fd;

	if (is_gone)
		return -1;
	if (!listing)
		return __real_file_open(path, flags);
	fd = memfd_create("listing", MFD_CLOEXEC);
	cr_assert_eq(write(fd, listing, strlen(listing)), (ssize_t)strlen(listing));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

TestSuite(os_maps, .timeout = 60);

struct seen {
	unsigned count;
	struct os_map last;
	char name[4096];
	uint64_t wanted;
	bool is_found;
};

static void on_map(void *self, const struct os_map *map)
{
	struct seen *seen = self;

	seen->count++;
	cr_assert_lt(map->start, map->end);
	if (seen->is_found)
		return;
	seen->last = *map;
	snprintf(seen->name, sizeof(seen->name), "%s", map->name);
	seen->is_found = map->start <= seen->wanted && seen->wanted < map->end;
}

Test(os_maps, our_own_code_is_mapped)
{
	static struct seen seen;
	struct stat status;

	seen.wanted = (uintptr_t)on_map;
	cr_assert(os_maps_each(on_map, &seen));
	cr_assert(seen.is_found);
	cr_assert(seen.last.is_executable);
	cr_assert_not_null(strstr(seen.name, "/test_os_maps"));
	cr_assert_eq(stat("/proc/self/exe", &status), 0);
	cr_assert_eq(seen.last.inode, status.st_ino);
	cr_assert_gt(seen.count, 10);
}

Test(os_maps, many_more_than_one_read_gives)
{
	static struct seen seen;
	char *pages = mmap(NULL, 4000 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(pages, MAP_FAILED);
	for (unsigned i = 0; i < 4000; i += 2)
		cr_assert_eq(mprotect(pages + i * 4096, 4096, PROT_READ), 0);
	cr_assert(os_maps_each(on_map, &seen));
	cr_assert_gt(seen.count, 4000);
}

Test(os_maps, a_line_is_taken_apart)
{
	static struct seen seen;

	listing = "7f0c1b228000-7f0c1b37d000 r-xp 00028000 fe:01 393491      /a b (deleted)\n";
	cr_assert(os_maps_each(on_map, &seen));
	cr_assert_eq(seen.last.start, 0x7f0c1b228000);
	cr_assert_eq(seen.last.end, 0x7f0c1b37d000);
	cr_assert_eq(seen.last.offset, 0x28000);
	cr_assert_eq(seen.last.device, 0xfe01);
	cr_assert_eq(seen.last.inode, 393491);
	cr_assert(seen.last.is_executable);
	cr_assert_str_eq(seen.name, "/a b (deleted)");
	listing = "1000-2000 rw-s 00000000 00:00 0 \n";
	cr_assert(os_maps_each(on_map, &seen));
	cr_assert_not(seen.last.is_executable);
	cr_assert_str_empty(seen.name);
}

Test(os_maps, what_is_no_line_is_left_out)
{
	static struct seen seen;

	listing = "\n1000\n1000-\n1000-2000\n1000-2000 r-\n1000-2000 r-xp\n1000-2000 r-xp 0\n"
		  "1000-2000 r-xp 0 fe\n1000-2000 r-xp 0 fe:01\n1000-2000 r-xp 0 fe:01 x /a\n"
		  "2000-1000 r-xp 0 fe:01 1 /a\n";
	os_maps_each(on_map, &seen);
	cr_assert_eq(seen.count, 0);
}

Test(os_maps, what_cannot_be_read_is_told)
{
	static struct seen seen;

	listing = "";
	cr_assert_not(os_maps_each(on_map, &seen));
	listing = "1000-2000 r-xp 0 fe:01 1 /a";
	cr_assert_not(os_maps_each(on_map, &seen), "it ends within a line");
	is_gone = true;
	cr_assert_not(os_maps_each(on_map, &seen));
	cr_assert_eq(seen.count, 0);
}

/* The process's own entry is empty then, proc(5). */
static void *outlive_main(void *unused)
{
	static struct seen seen;

	(void)unused;
	while (!os_task_is_zombie(os_getpid()))
		os_yield();
	seen.wanted = (uintptr_t)on_map;
	_exit(os_maps_each(on_map, &seen) && seen.is_found ? 7 : 1);
}

Test(os_maps, a_main_thread_that_has_ended_hides_nothing)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		pthread_t other;

		pthread_create(&other, NULL, outlive_main, NULL);
		pthread_exit(NULL);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 7);
}
