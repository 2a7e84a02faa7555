/* SPDX-License-Identifier: BSD-2-Clause */
/* The name of a gateway in the history: made with the directory, and kept. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "history_fixture.h"

TestSuite(history_gateway, .init = lab_setup, .fini = lab_teardown);

static void expect_name(const char *when, char ret[static GATEWAY_TEXT])
{
	struct history_files f;
	struct error err = { 0 };

	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	cr_expect_eq(f.index.n_damages, 0, "%s: %s", when, f.index.n_damages ? f.index.damages[0].text : "");
	cr_expect(history_gateway_valid(f.index.gateway), "%s: %s", when, f.index.gateway);
	cr_expect_eq(f.index.gateway[14], '4');
	cr_expect_str_eq(f.head.gateway, f.index.gateway, "%s", when);
	memcpy(ret, f.index.gateway, GATEWAY_TEXT);
	history_files_free(&f);
}

static void begin_again(const char *after)
{
	char command[256];

	history_close(lab.history);
	snprintf(command, sizeof(command), "cd %s && %s", lab.state, after);
	cr_assert_eq(system(command), 0);
	lab_begin();
}

Test(history_gateway, a_directory_keeps_its_name)
{
	static const char *const after[] = {
		"true", "rm history.head", "echo '{' >history.head", "rm history.index || true", "rm history.jsonl",
	};
	char first[GATEWAY_TEXT], now[GATEWAY_TEXT];

	expect_name("new", first);
	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		begin_again(after[i]);
		expect_name(after[i], now);
		cr_expect_str_eq(now, first, "%s", after[i]);
	}
}

Test(history_gateway, gateways_that_begin_in_the_same_second_have_names_of_their_own)
{
	char one[GATEWAY_TEXT], other[GATEWAY_TEXT];

	expect_name("one", one);
	lab_teardown();
	lab_setup();
	expect_name("other", other);
	cr_expect_str_neq(one, other);
}

Test(history_gateway, a_history_of_an_earlier_version_gets_a_name_with_its_next_start)
{
	char name[GATEWAY_TEXT], command[512];

	history_close(lab.history);
	snprintf(command, sizeof(command), "rm %s/* && cp tests/samples/1.0/history/history.* %s", lab.state,
		 lab.state);
	cr_assert_eq(system(command), 0);
	lab.now += 20LL * 365 * 86400;
	lab_begin();
	expect_name("of 1.0", name);
}
