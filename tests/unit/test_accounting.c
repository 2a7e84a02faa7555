/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of accounting as they come, and the lines that they become: when, of which server, at which addresses. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "leases/accounting_servers.h"

#define NOW 1795690800

static struct accounting_servers servers;
static char lines[1024];

static void end(void)
{
	accounting_servers_free(&servers);
}

TestSuite(accounting, .fini = end);

/* "+60..+62 start 10.0.0.1 a/1;": from `early` to `time`, or from `time` to `late`. */
static int note(void *arg, const struct lease_line *l)
{
	size_t n = strlen(lines);
	char addr[LEASE_ADDR_TEXT];

	(void)arg;
	if (l->early != TIME_NONE)
		n += (size_t)snprintf(lines + n, sizeof(lines) - n, "%+lld..", (long long)(l->early - NOW));
	n += (size_t)snprintf(lines + n, sizeof(lines) - n, "%+lld", (long long)(l->time - NOW));
	if (l->late != TIME_NONE)
		n += (size_t)snprintf(lines + n, sizeof(lines) - n, "..%+lld", (long long)(l->late - NOW));
	snprintf(lines + n, sizeof(lines) - n, " %s %s%s%s;", lease_event_word(l->event),
		 l->addr.plen ? lease_addr_format(&l->addr, addr) : "", l->addr.plen ? " " : "", l->session);
	return 0;
}

static void take(struct accounting *a, int64_t received)
{
	unsigned n;

	lines[0] = '\0';
	accounting_date(&servers, a, NOW + received);
	cr_assert_eq(accounting_lines(a, note, NULL, &n), 0);
}

/* A record in words: "start event=10 delay=3 ip=a id=b from=c addr=10.0.0.1 addr=... session=1". */
static const char *given(int64_t received, const char *words)
{
	static const char *const names[][2] = { { "ip", "NAS-IP-Address" },	  { "id", "NAS-Identifier" },
						{ "ip6", "NAS-IPv6-Address" },	  { "from", "Client-IP-Address" },
						{ "addr", "Framed-IP-Address" },  { "prefix", "Framed-IPv6-Prefix" },
						{ "session", "Acct-Session-Id" }, { "delay", "Acct-Delay-Time" },
						{ "lasted", "Acct-Session-Time" } };
	static const char *const events[][2] = {
		{ "start", "Start" }, { "stop", "Stop" }, { "alive", "Interim-Update" }, { "off", "Accounting-Off" }
	};
	struct accounting a = { 0 };
	char text[256], *save, *word;

	snprintf(text, sizeof(text), "%s", words);
	word = strtok_r(text, " ", &save);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (!strcmp(word, events[i][0]))
			accounting_take_text(&a, "Acct-Status-Type", events[i][1], strlen(events[i][1]));
	while ((word = strtok_r(NULL, " ", &save))) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		if (!strcmp(word, "event"))
			a.event = NOW + strtoll(value, NULL, 10);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (!strcmp(word, names[i][0]))
				accounting_take_text(&a, names[i][1], value, strlen(value));
	}
	take(&a, received);
	return lines;
}

#define SESSION " ip=a addr=10.0.0.1 session=1"

struct row {
	const char *what;
	int64_t received;
	const char *words, *lines;
};

static void expect_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cr_expect_str_eq(given(rows[i].received, rows[i].words), rows[i].lines, "%s: %s", rows[i].what, lines);
}

Test(accounting, a_record_is_dated_to_its_event)
{
	static const struct row rows[] = {
		{ "as it comes", 0, "start" SESSION, "+0 start 10.0.0.1 a/1;" },
		{ "by its delay, which has whole seconds", 10, "start delay=7" SESSION, "+2..+3 start 10.0.0.1 a/1;" },
		{ "by its delay, which its clock confirms", 10, "start delay=7 event=3" SESSION,
		  "+3 start 10.0.0.1 a/1;" },
		{ "at once, by a clock that is right", 20, "alive event=20" SESSION, "+20 interim 10.0.0.1 a/1;" },
		{ "a second under way", 31, "alive event=30" SESSION, "+30..+31 interim 10.0.0.1 a/1;" },
		{ "held by a proxy", 700, "stop event=100" SESSION, "+100..+700 stop 10.0.0.1 a/1;" },
		{ "nothing is later than its arrival", 710, "alive event=760" SESSION, "+710 interim 10.0.0.1 a/1;" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(accounting, a_clock_that_is_not_known_says_between_which_moments_an_event_was)
{
	static const struct row rows[] = {
		{ "late, or slow", 0, "start event=-600" SESSION, "-600..+0 start 10.0.0.1 a/1;" },
		{ "from a clock of 1970", 1, "alive event=-1795690000 ip=b addr=10.0.0.2",
		  "-86399..+1 interim 10.0.0.2 b/;" },
		{ "a delay that nobody has", 2, "alive delay=100000" SESSION, "-86398..+2 interim 10.0.0.1 a/1;" },
		{ "a few seconds late, or slow", 3, "start event=-1 ip=c addr=10.0.0.3 session=2",
		  "-1..+3 start 10.0.0.3 c/2;" },
		{ "the same distance", 59, "alive event=-541" SESSION, "-541..+59 interim 10.0.0.1 a/1;" },
		/* In the next minute, too: it is ten minutes slow. */
		{ "a slow clock", 60, "alive event=-540" SESSION, "+60 interim 10.0.0.1 a/1;" },
		{ "and again", 390, "alive event=-210" SESSION, "+390 interim 10.0.0.1 a/1;" },
		{ "held, by a slow clock", 400, "stop event=-400" SESSION, "+200..+400 stop 10.0.0.1 a/1;" },
		{ "a clock that was mended", 401, "alive event=401" SESSION, "+401 interim 10.0.0.1 a/1;" },
		{ "held since", 500, "alive event=402" SESSION, "+402..+500 interim 10.0.0.1 a/1;" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(accounting, a_clock_that_was_set_is_learned_again)
{
	given(0, "start event=0" SESSION);
	accounting_servers_clock_set(&servers, (struct clock_step){ NOW, 3600 });
	cr_expect_str_eq(given(3600, "alive event=1" SESSION), "+1..+3600 interim 10.0.0.1 a/1;", "%s", lines);
	/* A server's clock that is set back shows by the distance, which stays. */
	accounting_servers_free(&servers);
	given(0, "start event=0" SESSION);
	/* Two minutes of it may have waited as long by chance. */
	cr_expect_str_eq(given(60, "alive event=-240" SESSION), "-240..+60 interim 10.0.0.1 a/1;", "%s", lines);
	cr_expect_str_eq(given(120, "stop event=-180" SESSION), "-180..+120 stop 10.0.0.1 a/1;", "%s", lines);
	cr_expect_str_eq(given(180, "alive event=-120" SESSION), "+180 interim 10.0.0.1 a/1;", "%s", lines);
}

Test(accounting, what_waited_while_the_clock_was_set_is_of_the_clock_as_it_was)
{
	static const struct row back[] = {
		{ "sent before the clock was set back", 20, "stop delay=72" SESSION, "+7..+8 stop 10.0.0.1 a/1;" },
		{ "sent after it", 90, "alive delay=70" SESSION, "+19..+20 interim 10.0.0.1 a/1;" },
		{ "about when it was set", 11, "alive delay=1" SESSION, "+9..+11 interim 10.0.0.1 a/1;" },
		{ "when it read what it reads now", 30, "alive delay=25" SESSION, "+29..+30 interim 10.0.0.1 a/1;" },
	};
	static const struct row twice[] = {
		{ "between two steps", 5010, "alive delay=20" SESSION, "+989..+990 interim 10.0.0.1 a/1;" },
		{ "before both", 5010, "stop delay=1010" SESSION, "+59..+60 stop 10.0.0.1 a/1;" },
	};

	accounting_servers_clock_set(&servers, (struct clock_step){ NOW + 10, -60 });
	expect_rows(back, ARRAY_SIZE(back));
	accounting_servers_clock_set(&servers, (struct clock_step){ NOW + 5000, 4000 });
	expect_rows(twice, ARRAY_SIZE(twice));
}

/* As a program that ends and begins again does. */
static void write_and_read(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	cJSON *json;

	accounting_servers_write(&servers, out);
	fclose(out);
	accounting_servers_free(&servers);
	json = cJSON_Parse(text);
	cr_assert(json, "%s", text);
	accounting_servers_read(&servers, json);
	cJSON_Delete(json);
	free(text);
}

Test(accounting, names_and_clocks_of_servers_outlive_a_restart)
{
	given(0, "start event=-600 ip=a id=n from=f addr=10.0.0.1 session=1");
	given(60, "alive event=-540 ip=a id=n from=f addr=10.0.0.1 session=1");
	cr_expect(servers.news);
	write_and_read();
	cr_expect_str_eq(given(400, "alive event=-200 id=n from=f addr=10.0.0.1 session=1"),
			 "+400 interim 10.0.0.1 a/1;", "%s", lines);
	cr_expect_not(servers.news, "nothing is new");
	write_and_read();
	cr_expect_str_eq(given(401, "off id=n from=f"), "+401 off a/;", "%s", lines);
}

Test(accounting, servers_that_are_written_down_wrongly_are_none)
{
	static const char *const texts[] = { "[1,null,[]]", "{}", "\"x\"", "[{\"behind\":\"x\",\"ipv4\":7}]",
					     "[{\"behind\":1e300}]" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cJSON *json = cJSON_Parse(texts[i]);

		accounting_servers_read(&servers, json);
		cJSON_Delete(json);
		cr_expect_str_eq(given(0, "start event=0" SESSION), "+0 start 10.0.0.1 a/1;", "%s", texts[i]);
		accounting_servers_free(&servers);
	}
	accounting_servers_read(&servers, NULL);
	cr_expect_eq(servers.n, 0);
}

Test(accounting, what_is_sent_again_after_more_than_a_day_is_no_line)
{
	given(0, "start event=0" SESSION);
	cr_expect_str_eq(given(86400, "stop event=86400" SESSION), "+86400 stop 10.0.0.1 a/1;");
	cr_expect_str_eq(given(86500, "start event=0" SESSION), "");
	cr_expect_str_eq(given(86500, "start event=200" SESSION), "+200..+86500 start 10.0.0.1 a/1;");
}

Test(accounting, a_server_is_the_same_by_each_of_its_names)
{
	static const struct row rows[] = {
		{ "both names", 0, "start ip=a id=n from=f addr=10.0.0.1 session=1", "+0 start 10.0.0.1 a/1;" },
		{ "the other one", 1, "off id=n from=f", "+1 off a/;" },
		{ "that name from elsewhere", 2, "off id=n from=g", "+2 off n/;" },
		{ "another server at the same proxy", 3, "start ip=b id=m from=f addr=10.0.0.2 session=1",
		  "+3 start 10.0.0.2 b/1;" },
		{ "and its name", 4, "off id=m from=f", "+4 off b/;" },
		{ "a name that two have", 5, "start ip=b id=n from=f addr=10.0.0.2 session=1",
		  "+5 start 10.0.0.2 b/1;" },
		{ "is of neither", 6, "off id=n from=f", "+6 off n/;" },
		{ "IPv6 alone", 7, "start ip6=v6 from=h addr=10.0.0.3 session=1", "+7 start 10.0.0.3 v6/1;" },
		{ "with IPv4 later", 8, "alive ip=c ip6=v6 from=h addr=10.0.0.3 session=1",
		  "+8 interim 10.0.0.3 c/1;" },
		{ "ends all that it was", 9, "off ip6=v6 from=h", "+9 off c/;+9 off v6/;" },
		{ "no name", 10, "start from=d addr=10.0.0.4 session=1", "+10 start 10.0.0.4 d/1;" },
		{ "a name of who sends for itself", 11, "off id=q from=d", "+11 off d/;" },
		{ "nothing at all", 12, "start addr=10.0.0.4 session=1", "+12 start 10.0.0.4 /1;" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(accounting, a_session_has_any_number_of_addresses)
{
	static const struct row rows[] = {
		{ "one twice", 0, "start ip=a session=1 addr=10.0.0.1 addr=10.0.0.1", "+0 start 10.0.0.1 a/1;" },
		{ "two", 0, "start ip=a session=1 addr=10.0.0.1 prefix=2001:db8::/64 prefix=2001:db8:1::/64",
		  "+0 start 10.0.0.1 a/1;+0 start 2001:db8::/64 a/1;+0 start 2001:db8:1::/64 a/1;" },
		{ "none", 0, "start ip=a session=1 addr=0.0.0.0 addr=255.255.255.254 addr=x", "" },
		{ "none at its end", 5, "stop ip=a session=1 lasted=5", "+5 stop a/1;" },
		{ "neither address nor number", 5, "stop ip=a", "" },
	};

	expect_rows(rows, ARRAY_SIZE(rows));
}

Test(accounting, servers_without_number_give_way_to_each_other)
{
	for (unsigned i = 0; i < 2 * ACCOUNTING_SERVERS; i++) {
		char words[64];

		snprintf(words, sizeof(words), "start ip=%u id=i%u from=f addr=10.0.0.1", i, i);
		given(i, words);
	}
	cr_expect_eq(servers.n, ACCOUNTING_SERVERS);
	cr_expect_str_eq(given(9000, "alive id=i2047 from=f addr=10.0.0.1"), "+9000 interim 10.0.0.1 2047/;");
	cr_expect_str_eq(given(9000, "alive id=i7 from=f addr=10.0.0.1"), "+9000 interim 10.0.0.1 i7/;");
}
