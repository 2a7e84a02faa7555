/* SPDX-License-Identifier: BSD-2-Clause */
/* Each line of a change says who made it. */
#include <criterion/criterion.h>
#include <string.h>

#include "history_fixture.h"
#include "history/history_read.h"
#include "history/history_who.h"

TestSuite(history_by, .init = lab_setup, .fini = lab_teardown);

static char *lines_of(const char *event)
{
	static char text[8192];
	struct history_files f;
	struct error err = { 0 };
	char word[32];

	text[0] = '\0';
	snprintf(word, sizeof(word), "\"event\":\"%s\"", event);
	cr_assert_eq(history_files_read(lab.state, &f, &err), 0, "%s", err.text);
	/* The text of a history has no NUL behind it. */
	for (char *at = f.text, *end = f.text + f.size, *newline; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline)
			break;
		if (memmem(at, (size_t)(newline - at), word, strlen(word)))
			strncat(text, at,
				(size_t)(newline - at) < sizeof(text) - strlen(text) - 1
					? (size_t)(newline - at)
					: sizeof(text) - strlen(text) - 1);
	}
	history_files_free(&f);
	return text;
}

Test(history_by, a_user_is_named_with_the_command_and_every_word_is_quoted)
{
	struct history_by by = {
		.what = "mapping add", .person = true, .uid = 1000, .user = "a\",\"uid\":0,\n\x1b[2J"
	};
	struct history_record read;
	struct error err = { 0 };
	char text[BY_TEXT], *line;

	lab.by = by;
	lab_add("10.0.0.0/24", "1.1.1.0/32");
	line = lines_of("add");
	cr_assert(strstr(line, "\"by\":{\"what\":\"mapping add\",\"uid\":1000,\"user\":\"a\\\",\\\"uid\\\":0,"), "%s",
		  line);
	cr_assert(!strchr(line, '\x1b'), "%s", line);
	cr_assert_eq(history_record_read(line, strlen(line), &read, &err), 0, "%s", err.text);
	cr_expect(read.by.person && read.by.uid == 1000);
	cr_expect_str_eq(read.by.what, "mapping add");
	history_by_text(&read.by, text);
	cr_expect(!strpbrk(text, "\n\x1b") && strstr(text, "mapping add of \"a"), "%s", text);
	cr_expect(!strstr(lines_of("confirm"), "\"by\""), "only a change is someone's");
}

Test(history_by, what_the_agent_finds_in_the_tables_was_not_done_by_the_last_user)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");
	struct history_by by = history_by_user("portmap add", 0);
	struct error err = { 0 };
	struct history_drain d = { .in = m.in, .out = m.out, .of = m.in, .from = TIME_NONE };

	lab.by = by;
	lab_add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(history_present(lab.history, FACT_DRAIN, &d, 1), 0);
	cr_assert_eq(history_reconcile(lab.history, &m, 1, lab_clock().steady_ns, &err), 0, "%s", err.text);
	cr_expect(strstr(lines_of("retire"), "\"by\":{\"what\":\"tables\"}"), "%s", lines_of("retire"));
}

Test(history_by, a_grant_is_of_growth_or_of_another_gateway)
{
	struct history_grant g[] = {
		{ .in = 0x0a000001, .out = 0x01010100, .port_lo = 512, .ports = 64 },
		{ .in = 0x0a000002, .out = 0x01010100, .port_lo = 576, .ports = 64, .replicated = true }
	};
	const struct history_change c = { .add[FACT_GRANT] = { g, 2 } };
	struct error err = { 0 };
	char *lines;

	lab_add("10.0.0.0/24", "1.1.1.0/32");
	cr_assert_eq(history_change(lab.history, &c, &err), 0, "%s", err.text);
	lines = lines_of("grant");
	cr_expect(strstr(lines, "\"by\":{\"what\":\"growth\"}"), "%s", lines);
	cr_expect(strstr(lines, "\"by\":{\"what\":\"replication\"}"), "%s", lines);
}

Test(history_by, malformed_words_are_not_recorded_and_refuse_no_line)
{
	static const char *const odd[] = {
		"3", "null", "[]", "{\"what\":4}", "{\"what\":\"x\",\"uid\":-1}", "{\"what\":\"x\",\"uid\":1e12}"
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct history_by by;
		cJSON *json;
		char text[128];

		snprintf(text, sizeof(text), "{\"by\":%s}", odd[i]);
		json = cJSON_Parse(text);
		history_by_read(json, &by);
		cr_expect(!by.person, "%s", odd[i]);
		cJSON_Delete(json);
	}
}

static enum who_result ask(uint16_t port, int64_t t)
{
	struct history_files f;
	struct who_answer answer;
	struct who *w;
	struct error why = { 0 };
	enum who_result r;

	cr_assert_eq(history_files_read_cached(lab.state, &f, &why), 0, "%s", why.text);
	cr_assert_eq(who_new(&f.index, &w), 0);
	r = who_ask(w, (struct endpoint){ 0x01010100, port }, t, &answer, &why);
	who_free(w);
	history_files_free(&f);
	return r;
}

/* The mapping's own blocks are from 2048 on, its shared range is below. */
static void begin_growing(bool replicated)
{
	struct history_mapping m = lab_mapping("10.0.0.0/24", "1.1.1.0/32");
	struct history_grant g = { 0x0a000001, 0x01010100, 1024, 64, replicated, TIME_NONE };
	const struct history_change c = { .add[FACT_GRANT] = { &g, 1 } };
	struct error err = { 0 };

	m.blocks = (struct plan_blocks){ .ratio = 256, .first_port = 2048, .pitch = 200, .ports_per_host = 200 };
	cr_assert_eq(lab_change(lab.history, NULL, 0, &m, 1, &lab_no_portmaps, NULL, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 100;
	cr_assert_eq(history_change(lab.history, &c, &err), 0, "%s", err.text);
	lab_confirm();
	lab.now += 100;
	cr_assert_eq(history_tick(lab.history, &err), 0, "%s", err.text);
}

Test(history_by, of_ports_that_other_gateways_grant_too_no_record_is_not_nobody)
{
	begin_growing(true);
	cr_expect_eq(ask(1024, NOON + 150), WHO_FOUND);
	cr_expect_eq(ask(1024, NOON + 50), WHO_NO_RECORD, "it may have been granted before this gateway was told");
	cr_expect_eq(ask(1152, NOON + 150), WHO_NO_RECORD, "a block that this gateway was told nothing of");
	cr_expect_eq(ask(2048, NOON + 150), WHO_FOUND, "the mapping's own blocks are certain");
	cr_expect_eq(ask(80, NOON + 150), WHO_NOBODY, "and so is what nobody can be granted");
}

Test(history_by, a_gateway_that_grants_alone_knows_that_nobody_had_a_port)
{
	begin_growing(false);
	cr_expect_eq(ask(1024, NOON + 50), WHO_NOBODY);
	cr_expect_eq(ask(1152, NOON + 150), WHO_NOBODY);
}
