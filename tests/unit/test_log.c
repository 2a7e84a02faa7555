/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: a line a message, with its level, and nothing in it that forges another. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/log.h"

static void setup(void)
{
	cr_redirect_stderr();
	unsetenv("JOURNAL_STREAM");
}

TestSuite(log, .init = setup);

static void expect_log(const char *wanted)
{
	char text[1024] = "";

	fflush(stderr);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr()), 0);
	cr_expect_str_eq(text, wanted, "%s", text);
}

Test(log, levels_in_words)
{
	log_error("a %d", 1);
	log_warning("b");
	log_info("c");
	log_debug("left out");
	expect_log("detnat-agent: error: a 1\ndetnat-agent: warning: b\ndetnat-agent: c\n");
}

Test(log, each_program_has_its_name)
{
	log_set_program("detnat-desk");
	log_warning("b");
	expect_log("detnat-desk: warning: b\n");
}

Test(log, the_level_can_be_changed)
{
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("left out");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d");
	expect_log("detnat-agent: debug: d\n");
}

Test(log, a_message_is_one_line_and_control_characters_are_harmless)
{
	log_error("one\n\ntwo\r\x1b[2J\x7f\tend\n\n");
	expect_log("detnat-agent: error: one\\x0a\\x0atwo\\x0d\\x1b[2J\\x7f\\x09end\n");
}

Test(log, lines_of_a_text_have_its_level)
{
	log_lines(LOG_LEVEL_ERROR, "one\n\ntwo\r\nthree");
	expect_log("detnat-agent: error: one\ndetnat-agent: error: two\\x0d\ndetnat-agent: error: three\n");
}

Test(log, long_messages_are_not_cut)
{
	char text[900];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);

	char wanted[1000];

	snprintf(wanted, sizeof(wanted), "detnat-agent: %s\n", text);
	expect_log(wanted);
}

Test(log, the_journal_gets_priorities)
{
	char stream[64];
	struct stat st;

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_warning("w");
	log_info("i");
	expect_log("<4>w\n<6>i\n");
}

Test(log, a_journal_that_reads_another_stream_does_not_count)
{
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_warning("w");
	expect_log("detnat-agent: warning: w\n");
}
