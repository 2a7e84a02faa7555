/* SPDX-License-Identifier: BSD-2-Clause */
/* Text to a pipe that is read, that is not read, and that has no reader. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/base.h"
#include "base/output.h"

static int ends[2];
static struct output *output;

static void tell(uint64_t lines, char *text, size_t size)
{
	snprintf(text, size, "%llu lost\n", (unsigned long long)lines);
}

static void begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(output_new(ends[1], tell, &output), 0);
}

TestSuite(output, .init = begin, .timeout = 300);

static void put(const char *text)
{
	output_write(output, text, strlen(text));
}

static size_t take(char *text, size_t size)
{
	ssize_t n = read(ends[0], text, size - 1);

	cr_assert_geq(n, 0);
	text[n] = '\0';
	return (size_t)n;
}

/* Often, as the thread that writes may be the quicker one by chance. */
Test(output, output_that_is_read_is_written_when_the_call_returns)
{
	char text[64];

	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 1000; i++) {
		put("a\n");
		put("b\n");
		take(text, sizeof(text));
		cr_assert_str_eq(text, "a\nb\n");
	}
	output_free(output, 1000);
}

Test(output, output_that_is_not_read_holds_nobody_up_and_its_loss_is_told_in_its_place)
{
	static char line[1025], text[1 << 20];
	bool waiting;
	size_t size = 0;
	uint64_t begun;

	memset(line, 'x', sizeof(line) - 1);
	line[1023] = '\n';
	line[1024] = '\0';
	put(line);
	for (int i = 0; i < 600; i++)
		put(line);
	begun = monotonic_us();
	put("the last one\n");
	cr_expect_lt(monotonic_us() - begun, 1000000);
	cr_expect_gt(output_lost(output, &waiting), 200);
	cr_expect(waiting);
	cr_expect_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	/* Something stands behind the loss before all is read. */
	while (!strstr(text, " lost\n"))
		size += take(text + size, sizeof(text) - size);
	put("after\n");
	while (!strstr(text, "after\n"))
		size += take(text + size, sizeof(text) - size);
	cr_expect_null(strstr(text, "the last one"));
	cr_expect_lt(strstr(text, " lost\n"), strstr(text, "after\n"));
	output_lost(output, &waiting);
	output_free(output, 1000);
}

Test(output, lines_that_nobody_can_ever_read_are_counted)
{
	bool waiting;

	close(ends[0]);
	put("a\nb\n");
	cr_expect_eq(output_lost(output, &waiting), 2);
	cr_expect_not(waiting);
	output_free(output, 1000);
}

Test(output, a_descriptor_that_others_made_non_blocking_loses_nothing)
{
	static char line[4097], text[1 << 18];
	size_t size = 0;
	bool waiting;

	cr_assert_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	memset(line, 'x', 4095);
	line[4095] = '\n';
	for (int i = 0; i < 40; i++)
		put(line);
	put("end\n");
	while (!strstr(text, "end\n"))
		size += take(text + size, sizeof(text) - size);
	cr_expect_eq(size, 40 * 4096 + 4);
	cr_expect_eq(output_lost(output, &waiting), 0);
	output_free(output, 1000);
}

Test(output, an_end_does_not_wait_for_ever)
{
	static char text[100001];

	memset(text, 'x', sizeof(text) - 1);
	put(text);
	output_free(output, 10);
}
