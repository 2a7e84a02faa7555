/* SPDX-License-Identifier: BSD-2-Clause */
/* Histories as text: what they say of one second and of clocks that were set. */
#include <criterion/criterion.h>

#include <string.h>

#include "history_text.h"

TestSuite(history_index, .init = told_setup, .fini = told_teardown);

Test(history_index, two_changes_in_a_second_name_the_last_and_mention_the_other)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_change(200, EVENT_DEL, A, 100);
	told_put_change(200, EVENT_ADD, B, 200);
	told_put_confirm(200);
	told_put_change(300, EVENT_DEL, B, 200);
	told_put_confirm(300);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 99), "no record");
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:1023", 99), "nobody");
	cr_expect_str_eq(told_ask(&x, POINT, 100), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 199), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 200), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 201), "10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 300), "nobody+10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 301), "nobody");
	cr_expect_str_eq(told_ask(&x, "1.1.1.1:1024", 200), "nobody");
	cr_expect_str_eq(told_ask(&x, "1.1.1.0:65535", 150), "10.0.0.255");
	history_index_free(&x);
}

Test(history_index, a_mapping_of_less_than_a_second_is_mentioned)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_change(100, EVENT_DEL, A, 100);
	told_put_confirm(100);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 100), "nobody+10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 101), "nobody");
	history_index_free(&x);
}

Test(history_index, the_last_of_equals_in_a_second_is_mentioned)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_change(100, EVENT_DEL, A, 100);
	told_put_change(100, EVENT_ADD, B, 100);
	told_put_confirm(100);
	told_put_change(100, EVENT_DEL, B, 100);
	told_put_confirm(100);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 100), "nobody+10.9.0.0");
	history_index_free(&x);
}

Test(history_index, a_change_that_is_undone_was_never_there)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_change(200, EVENT_DEL, A, 100);
	told_put_change(200, EVENT_ADD, B, 200);
	told_put((struct history_record){ .time = 250, .until = 250, .event = EVENT_UNDO, .first = 4, .last = 5 });

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 199), "10.0.0.0");
	/* Or for so long that it was taken back. */
	cr_expect_str_eq(told_ask(&x, POINT, 200), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 250), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 251), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 1000), "10.0.0.0");
	history_index_free(&x);
}

Test(history_index, a_clock_set_back_has_two_reckonings)
{
	told_put_start(1000, TIME_NONE);
	told_put_change(1000, EVENT_ADD, A, 1000);
	told_put_confirm(1000);
	told_put_change(2000, EVENT_DEL, A, 1000);
	told_put_change(2000, EVENT_ADD, B, 2000);
	told_put_confirm(2000);
	told_put((struct history_record){ .time = 1500, .event = EVENT_CLOCK, .since = 2500, .after = 1500 });
	told_put_change(1600, EVENT_DEL, B, 1500);
	told_put_change(1600, EVENT_ADD, A, 1600);
	told_put_confirm(1600);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 1400), "10.0.0.0");
	/* Then A by the first reckoning and B by the second, which is believed. */
	cr_expect_str_eq(told_ask(&x, POINT, 1550), "10.9.0.0+10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 2100), "10.0.0.0+10.9.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 2600), "10.0.0.0");
	history_index_free(&x);
}

Test(history_index, a_clock_from_the_future_does_not_hide_the_present)
{
	told_put_start(4000000000, TIME_NONE);
	told_put_change(4000000000, EVENT_ADD, A, 4000000000);
	told_put_confirm(4000000000);
	told_put((struct history_record){
		.time = 1800000000, .event = EVENT_CLOCK, .since = 4000000060, .after = 1800000000 });
	told_put_change(1800000100, EVENT_DEL, A, 1800000000);
	told_put_confirm(1800000100);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 1799999999), "no record");
	cr_expect_str_eq(told_ask(&x, POINT, 1800000050), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 1800000101), "nobody");
	cr_expect_lt(x.listed_time, 1800000001);
	history_index_free(&x);
}

Test(history_index, the_time_in_which_the_datapath_went_has_no_record)
{
	told_put_start(100, TIME_NONE);
	told_put_change(100, EVENT_ADD, A, 100);
	told_put_confirm(100);
	told_put_start(300, 200);
	told_put_change(300, EVENT_ADD, B, 300);
	told_put_confirm(300);

	struct history_index x = told_read_back();

	told_no_damage(&x);
	cr_expect_str_eq(told_ask(&x, POINT, 199), "10.0.0.0");
	cr_expect_str_eq(told_ask(&x, POINT, 201), "no record");
	cr_expect_str_eq(told_ask(&x, POINT, 299), "no record");
	cr_expect_str_eq(told_ask(&x, POINT, 300), "10.9.0.0");
	history_index_free(&x);
}
