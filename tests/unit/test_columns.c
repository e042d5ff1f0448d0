#include "columns.h"

#include <criterion/criterion.h>

#include <string.h>

Test(columns, wide_characters_take_two_and_marks_none)
{
	cr_assert_eq(columns_count(""), 0);
	cr_assert_eq(columns_count("plain"), 5);
	cr_assert_eq(columns_count("caf\xc3\xa9"), 4);
	cr_assert_eq(columns_count("cafe\xcc\x81"), 4, "combining acute");
	cr_assert_eq(columns_count("\xe6\x97\xa5\xe6\x9c\xac"), 4, "two ideographs");
	cr_assert_eq(columns_count("\xef\xbc\xa1"), 2, "full-width A");
	cr_assert_eq(columns_count("\xef\xbd\xb1"), 1, "half-width katakana");
	cr_assert_eq(columns_count("\xed\x95\x9c"), 2, "a Hangul syllable");
	cr_assert_eq(columns_count("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"), 2, "the same in parts");
	cr_assert_eq(columns_count("\xf0\x9f\x90\x8d"), 2, "a snake");
	cr_assert_eq(columns_count("\xd7\xa9\xd7\x9c"), 2, "right to left");
	cr_assert_eq(columns_count("\xef\xbf\xbd"), 1, "U+FFFD");
}

Test(columns, what_moves_or_turns_text_is_not_printable)
{
	static const char *const texts[] = {
		"\x1b",		"\n",		"\x7f",		"\xc2\x9b",	"\xe2\x80\xae",
		"\xe2\x81\xa7", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xf3\xa0\x81\x81",
	};
	static const char *const broken[] = { "\xff", "\xed\xa0\x80", "\xc3", "\xf0\x9f\x90" };

	for (size_t i = 0; i < PROF_COUNT(texts); i++) {
		struct columns_character next = columns_next(texts[i]);

		cr_assert_not(next.is_printable, "%zu", i);
		cr_assert_eq(next.columns, 1);
	}
	for (size_t i = 0; i < PROF_COUNT(broken); i++) {
		struct columns_character next = columns_next(broken[i]);

		cr_assert_not(next.is_printable, "%zu", i);
		cr_assert_eq(next.bytes, 1, "%zu", i);
	}
	cr_assert(columns_next("\xe2\x80\x8d").is_printable, "a joiner");
	cr_assert_eq(columns_next("\xe2\x80\x8d").columns, 0);
}

/* Each row's ends and what is beside them: bisection finds exactly the rows. */
Test(columns, ranges_are_sorted_and_apart)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
#define ZERO(first, last) { first, last },
#define WIDE(first, last) { first, last },
#define FORMAT(first, last) { first, last },
#include "columns.def"
#undef ZERO
#undef WIDE
#undef FORMAT
	};

	for (size_t i = 0; i < PROF_COUNT(ranges); i++) {
		cr_assert_leq(ranges[i].first, ranges[i].last);
		cr_assert(i == 0 || ranges[i - 1].last < ranges[i].first, "%#x", ranges[i].first);
	}
}
