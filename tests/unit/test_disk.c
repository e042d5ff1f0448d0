#include "recordings.h"

#include "disk.h"

TestSuite(disk, .fini = remove_scratch);

/* A file of so many bytes, complete. */
static char *add(const char *name, size_t size_bytes, unsigned recording)
{
	char *path = in_scratch(name);

	spill(path, "", 0);
	cr_assert_eq(truncate(path, (off_t)size_bytes), 0);
	disk_add(path, recording);
	return path;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

Test(disk, the_oldest_go_first_and_no_more_than_need_be)
{
	char *first, *second, *third;

	disk_begin(1000);
	first = add("z", 400, 1);
	second = add("a", 300, 2);
	third = add("m", 300, 3);
	disk_make_room(0);
	cr_assert(exists(first), "it is exactly full");
	disk_make_room(1);
	cr_assert_not(exists(first));
	cr_assert(exists(second));
	disk_make_room(400);
	cr_assert(exists(second), "the first one's room");
	disk_make_room(401);
	cr_assert_not(exists(second));
	cr_assert(exists(third));
}

Test(disk, the_last_recordings_files_stay)
{
	char *first, *second, *third;

	disk_begin(1000);
	first = add("1", 900, 1);
	second = add("2", 900, 2);
	third = add("3", 900, 2);
	disk_make_room(5000);
	cr_assert_not(exists(first));
	cr_assert(exists(second));
	cr_assert(exists(third));
	add("4", 10, 3);
	disk_make_room(0);
	cr_assert_not(exists(second), "now it is not the last one any more");
	cr_assert(exists(third), "900 and 10 have room");
}

Test(disk, another_file_of_the_name_is_not_ours)
{
	char *path, *other;

	disk_begin(1000);
	path = add("1", 900, 1);
	other = in_scratch("other");
	spill(other, "mine", 4);
	cr_assert_eq(rename(other, path), 0);
	add("2", 900, 2);
	disk_make_room(0);
	cr_assert(exists(path));
	/* And its room is free: nothing else goes for it. */
	disk_make_room(100);
	cr_assert(exists(in_scratch("2")));
}

Test(disk, what_somebody_removed_is_forgotten)
{
	char *second;

	disk_begin(1000);
	cr_assert_eq(unlink(add("1", 600, 1)), 0);
	second = add("2", 300, 2);
	add("3", 300, 3);
	disk_make_room(0);
	cr_assert(exists(second));
}

Test(disk, without_a_limit_nothing_goes)
{
	char *first;

	disk_begin(0);
	first = add("1", 1 << 20, 1);
	add("2", 1 << 20, 2);
	disk_make_room(UINT32_MAX);
	cr_assert(exists(first));
}

Test(disk, what_an_earlier_session_left_stays)
{
	char *first;

	disk_begin(1000);
	first = add("1", 900, 1);
	disk_begin(1000);
	add("2", 900, 2);
	add("3", 900, 3);
	disk_make_room(0);
	cr_assert(exists(first));
	cr_assert_not(exists(in_scratch("2")));
}

Test(disk, a_file_that_is_not_there_is_none)
{
	disk_begin(1000);
	disk_add(in_scratch("nowhere"), 1);
	disk_make_room(2000);
}

/* A link is what counts, not what it leads to. */
Test(disk, a_link_is_removed_itself)
{
	char *target = in_scratch("target"), *path = in_scratch("1");

	disk_begin(1000);
	spill(target, "mine", 4);
	cr_assert_eq(symlink(target, path), 0);
	disk_add(path, 1);
	add("2", 1000, 2);
	disk_make_room(0);
	cr_assert_not(exists(path));
	cr_assert(exists(target));
}

Test(disk, what_is_removed_takes_no_room)
{
	char *names[] = { "1", "2", "3", "4" }, *last;

	/* The oldest, the newest, one between them, and all that is left. */
	for (unsigned removed = 0; removed < PROF_COUNT(names); removed++) {
		disk_begin(1000);
		for (unsigned i = 0; i < PROF_COUNT(names); i++)
			add(names[i], 250, i + 1);
		disk_remove(in_scratch(names[removed]));
		cr_assert_not(exists(in_scratch(names[removed])));
		last = add("5", 250, 5);
		disk_make_room(0);
		for (unsigned i = 0; i < PROF_COUNT(names); i++)
			cr_assert_eq(exists(in_scratch(names[i])), i != removed);
		cr_assert(exists(last));
		disk_make_room(1000);
		for (unsigned i = 0; i < PROF_COUNT(names); i++)
			cr_assert_not(exists(in_scratch(names[i])));
		cr_assert(exists(last));
	}
}

Test(disk, what_it_does_not_know_is_removed_all_the_same)
{
	char *path;

	disk_begin(0);
	path = add("1", 10, 1);
	disk_remove(path);
	cr_assert_not(exists(path));
	disk_remove(path);
}
