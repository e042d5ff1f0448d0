#include <criterion/criterion.h>

#include "heap.h"
#include "intern.h"

#include <stdio.h>
#include <string.h>

Test(intern, ids_are_dense_and_each_content_has_one)
{
	struct intern intern = { 0 };
	bool fresh;

	cr_assert_eq(intern_put(&intern, "a", 1, &fresh), 1);
	cr_assert(fresh);
	cr_assert_eq(intern_put(&intern, "ab", 2, &fresh), 2);
	cr_assert(fresh);
	cr_assert_eq(intern_put(&intern, "a", 1, &fresh), 1);
	cr_assert_not(fresh);
	cr_assert_eq(intern_put(&intern, "", 0, &fresh), 3);
	cr_assert_eq(intern_put(&intern, NULL, 0, &fresh), 3);
	cr_assert_eq(intern_put(&intern, "a\0", 2, NULL), 4);
	cr_assert_eq(intern.count, 4);
	intern_release(&intern);
}

Test(intern, what_was_never_put_is_not_found)
{
	struct intern intern;
	size_t size = 7;

	intern_init(&intern);
	cr_assert_eq(intern_find(&intern, "a", 1), 0);
	intern_put(&intern, "a", 1, NULL);
	cr_assert_eq(intern_find(&intern, "a", 1), 1);
	cr_assert_eq(intern_find(&intern, "b", 1), 0);
	cr_assert_null(intern_get(&intern, 0, &size));
	cr_assert_eq(size, 0);
	cr_assert_null(intern_get(&intern, 2, NULL));
	intern_release(&intern);
}

Test(intern, a_hundred_thousand_keep_their_ids_and_their_places)
{
	struct intern intern = { 0 };
	const void *first = NULL;
	char text[32];
	size_t size;

	for (unsigned i = 0; i < 100000; i++) {
		int n = snprintf(text, sizeof(text), "entry %u", i);

		cr_assert_eq(intern_put(&intern, text, (size_t)n, NULL), i + 1);
		if (i == 0)
			first = intern_get(&intern, 1, NULL);
	}
	cr_assert_eq(intern_get(&intern, 1, NULL), first, "bytes have moved");
	for (unsigned i = 0; i < 100000; i++) {
		int n = snprintf(text, sizeof(text), "entry %u", i);

		cr_assert_eq(intern_find(&intern, text, (size_t)n), i + 1);
		cr_assert_str_eq(intern_get(&intern, i + 1, &size), text);
		cr_assert_eq(size, (size_t)n);
	}
	intern_release(&intern);
	cr_assert_eq(intern.bytes, 0);
	cr_assert_eq(intern_put(&intern, "again", 5, NULL), 1);
	intern_release(&intern);
}

Test(intern, long_bytes_are_kept_whole_and_end_with_nul)
{
	struct intern intern = { 0 };
	size_t size = 100000, got;
	char *text = heap_alloc(size);
	const char *kept;

	memset(text, 'x', size);
	cr_assert_eq(intern_put(&intern, text, size, NULL), 1);
	text[size - 1] = 'y';
	cr_assert_eq(intern_put(&intern, text, size, NULL), 2);
	kept = intern_get(&intern, 1, &got);
	cr_assert_eq(got, size);
	cr_assert_eq(kept[size - 1], 'x');
	cr_assert_eq(kept[size], '\0');
	cr_assert_geq(intern.bytes, 2 * size);
	heap_free(text);
	intern_release(&intern);
}

Test(intern, entries_are_aligned_for_structs)
{
	struct intern intern = { 0 };

	for (size_t n = 0; n < 40; n++) {
		char bytes[40] = { 0 };
		uint32_t id = intern_put(&intern, bytes, n, NULL);

		cr_assert_eq((uintptr_t)intern_get(&intern, id, NULL) % 8, 0);
	}
	intern_release(&intern);
}
