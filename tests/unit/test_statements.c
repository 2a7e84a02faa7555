// SPDX-License-Identifier: BSD-2-Clause
/*
 * What statements say of a second, in a small language. Lines: SECOND EVENT ... as in `lines`; answers: "alice" is
 * certain, "alice?gap" is not, "-" nobody, "?gap" not known; several in order of time.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "statements_told.h"

static struct statements *book;

static void tell(const char *lines)
{
	book = statements_told(lines);
}

static const char *answer(const char *tenant, int64_t t)
{
	static char text[512];
	struct lease_answer a;
	size_t n = 0;

	statements_ask(book, tenant, t, &a);
	text[0] = '\0';
	for (unsigned i = 0; i < a.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s", i ? " " : "", a.holder[i].id,
				      a.holder[i].certain ? "" : "?", lease_doubt_word(a.holder[i].doubt));
	if (!a.n)
		snprintf(text, sizeof(text), "%s%s", a.certain ? "-" : "?", lease_doubt_word(a.doubt));
	cr_assert_eq(a.certain, !strchr(text, '?'), "%s", text);
	return text;
}

struct asked {
	int64_t t;
	const char *answer;
};

static void expect(const char *what, const char *lines, const struct asked *asked)
{
	tell(lines);
	for (; asked->answer; asked++)
		cr_expect_str_eq(answer(NULL, asked->t), asked->answer, "%s: at %d %s, not %s", what, (int)asked->t,
				 answer(NULL, asked->t), asked->answer);
	statements_free(book);
}

#define EXPECT(what, lines, ...) expect(what, lines, (const struct asked[]){ __VA_ARGS__, { 0, NULL } })

Test(statements, a_session_is_certain_between_its_statements)
{
	EXPECT("start, interim, stop",
	       "100 start alice nas/1\n200 interim alice nas/1 from=100\n300 stop alice nas/1 from=100\n500 mark",
	       { 99, "?before-record" }, { 100, "alice" }, { 150, "alice" }, { 200, "alice" }, { 250, "alice" },
	       { 300, "alice" }, { 301, "-" }, { 500, "-" }, { 501, "?after-record" });
	EXPECT("not heard of since", "100 start alice nas/1\n200 interim alice nas/1 from=100\n500 mark",
	       { 150, "alice" }, { 200, "alice" }, { 201, "alice?unheard" }, { 500, "alice?unheard" },
	       { 501, "alice?after-record" });
	EXPECT("its beginning was not heard", "50 mark\n200 interim alice nas/1\n300 stop alice nas/1",
	       { 100, "alice?begin" }, { 250, "alice" });
	EXPECT("the same, and when it began is said", "50 mark\n200 interim alice nas/1 from=100\n300 stop alice nas/1",
	       { 98, "?before-record" }, { 99, "alice?begin" }, { 250, "alice" });
}

Test(statements, a_change_of_hands_leaves_nobody_out)
{
	EXPECT("an end in the second of a beginning",
	       "100 start alice nas/1\n200 stop alice nas/1\n200 start bob nas/2\n300 interim bob nas/2 from=200",
	       { 199, "alice" }, { 200, "alice?another bob?another" }, { 201, "bob" });
	EXPECT("an end that was lost",
	       "100 start alice nas/1\n150 interim alice nas/1\n200 start bob nas/2\n300 stop bob nas/2",
	       { 125, "alice" }, { 151, "alice?unheard" }, { 199, "alice?unheard" },
	       { 200, "alice?unheard bob?another" }, { 201, "bob" }, { 301, "?after-record" });
	EXPECT("a beginning that was lost",
	       "100 start alice nas/1\n200 stop alice nas/1\n300 interim bob nas/2 from=150\n400 stop bob nas/2",
	       { 150, "alice" }, { 201, "bob?begin" }, { 299, "bob?begin" }, { 300, "bob" });
	EXPECT("the same in one second, as an age has whole seconds",
	       "100 start alice nas/1\n200 stop alice nas/1\n300 interim bob nas/2 from=201\n400 stop bob nas/2",
	       { 199, "alice" }, { 200, "alice?another bob?begin" }, { 201, "bob?begin" }, { 300, "bob" });
	EXPECT("the same, and the clock was set between",
	       "100 start alice nas/1\n200 stop alice nas/1\n1000 lost from=300 to=1000\n1200 stop bob nas/2 from=900",
	       { 199, "alice" }, { 200, "alice?another bob?begin" }, { 250, "bob?begin" }, { 1200, "bob" });
	EXPECT("two say that they have it",
	       "100 start alice nas/1\n200 start bob nas/2\n300 interim bob nas/2\n400 interim alice nas/1 from=100",
	       { 150, "alice?another" }, { 250, "alice?another bob?another" }, { 350, "alice?another bob?unheard" });
}

Test(statements, a_number_that_is_used_again_is_another_session)
{
	EXPECT("the end was lost, and the server restarted",
	       "0 mark\n100 start alice nas/1\n600 off nas/\n660 start bob nas/1\n800 interim bob nas/1\n900 mark",
	       { 105, "alice?unheard" }, { 599, "alice?unheard" }, { 601, "-" }, { 659, "-" }, { 700, "bob" });
	EXPECT("nothing tells of the end",
	       "100 start alice nas/1\n200 interim alice nas/1 from=100\n660 start bob nas/1\n900 mark",
	       { 150, "alice" }, { 300, "alice?unheard" }, { 659, "alice?unheard" }, { 661, "bob?unheard" });
	EXPECT("the same customer",
	       "100 start alice nas/1\n200 interim alice nas/1 from=100\n700 interim alice nas/1 from=500\n900 mark",
	       { 150, "alice" }, { 300, "alice?unheard" }, { 550, "alice?begin" }, { 800, "alice?unheard" });
	EXPECT("by another customer, and then by the first",
	       "100 start alice nas/1\n200 interim alice nas/1\n400 start bob nas/1\n500 interim bob nas/1\n"
	       "900 interim alice nas/1\n1000 mark",
	       { 150, "alice" }, { 300, "alice?unheard" }, { 450, "bob" }, { 600, "bob?unheard alice?begin" },
	       { 950, "alice?unheard" });
	EXPECT("after an end that named no address",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n100 start alice nas/1 at=10.0.0.2\n200 stop alice nas/1 "
	       "at=none\n"
	       "500 start alice nas/1\n600 interim alice nas/1\n900 mark",
	       { 300, "-" }, { 499, "-" }, { 550, "alice" });
	EXPECT("the end comes after the new beginning",
	       "100 start alice nas/1\n200 start bob nas/1\n200 stop alice nas/1 from=100 early=199\n"
	       "300 interim bob nas/1 from=200\n400 mark",
	       { 150, "alice" }, { 250, "bob" }, { 350, "bob?unheard" });
	EXPECT("the end comes twice",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n200 start bob nas/1\n"
	       "201 stop alice nas/1 from=100 early=200\n400 mark",
	       { 150, "alice" }, { 300, "bob?unheard" });
	EXPECT("the end of before comes in the second of the beginning, after a gap",
	       "100 start alice nas/1\n190 begin from=150\n200 start bob nas/1 early=199\n"
	       "200 stop alice nas/1 from=100 early=199\n400 mark",
	       { 300, "bob?unheard" });
	EXPECT("the server restarted in the second of the beginning",
	       "100 start bob nas/1\n101 off nas/ early=100\n200 interim bob nas/1 from=100\n300 mark", { 150, "bob" },
	       { 250, "bob?unheard" });
	EXPECT("a customer whose lines have no id",
	       "100 start nas/1 mac=a\n200 stop nas/1 mac=a\n300 start nas/1 mac=b\n400 stop nas/1 mac=b", { 150, "" },
	       { 250, "-" }, { 350, "" });
}

Test(statements, what_is_heard_too_late_opens_nothing)
{
	EXPECT("an interim record after the end",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n250 interim alice nas/1 from=100\n900 mark",
	       { 150, "alice" }, { 220, "alice?unheard" }, { 300, "-" });
	EXPECT("one that does not say since when",
	       "100 start alice nas/1\n200 stop alice nas/1\n250 interim alice nas/1\n900 mark", { 150, "alice" },
	       { 220, "alice?begin" }, { 300, "alice?unheard" });
	EXPECT("an end twice", "100 start alice nas/1\n200 stop alice nas/1\n201 stop alice nas/1\n900 mark",
	       { 150, "alice" }, { 201, "alice" }, { 202, "-" });
	EXPECT("a beginning from two sources",
	       "100 start alice nas/1\n101 start alice nas/1\n300 stop alice nas/1\n400 mark", { 200, "alice" },
	       { 350, "-" });
	EXPECT("a beginning and an end again, from a recording, of a server whose clock is not known",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n300 start alice nas/1 early=100\n"
	       "310 stop alice nas/1 early=200\n400 start bob nas/2\n500 stop bob nas/2\n900 mark",
	       { 150, "alice" }, { 250, "-" }, { 350, "-" }, { 450, "bob" }, { 600, "-" });
	EXPECT("statements whose moment is not certain",
	       "100 start alice nas/1\n200 interim alice nas/1 early=150\n300 stop alice nas/1 early=250\n400 mark",
	       { 150, "alice" }, { 175, "alice" }, { 240, "alice" }, { 260, "alice?unheard" }, { 301, "-" });
}

Test(statements, what_has_waited_is_of_its_event_or_of_its_arrival)
{
	EXPECT("a session whose start and end have waited, or whose server's clock was set back",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n100 start alice nas/1 late=180\n"
	       "500 interim alice nas/1\n800 stop alice nas/1 late=880\n999 mark",
	       { 99, "-" }, { 100, "alice?begin" }, { 179, "alice?begin" }, { 180, "alice" }, { 800, "alice" },
	       { 801, "alice?unheard" }, { 880, "alice?unheard" }, { 881, "-" });
	EXPECT("lengths that were told say that they have waited",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n100 start alice nas/1 late=180\n"
	       "500 interim alice nas/1 from=100 late=550\n600 stop alice nas/1 from=100\n"
	       "700 start bob nas/2\n800 stop bob nas/2 from=700 late=880\n999 mark",
	       { 99, "-" }, { 100, "alice" }, { 520, "alice" }, { 601, "-" }, { 750, "bob" }, { 801, "-" });
	EXPECT("lengths that were told say that the clock was set back",
	       "100 start alice nas/1\n500 interim alice nas/1 from=60 late=540\n600 stop alice nas/1 from=60 "
	       "late=640\n"
	       "999 mark",
	       { 300, "alice?unheard" }, { 620, "alice?unheard" }, { 640, "alice?unheard" }, { 641, "-" });
	EXPECT("a restart that has waited, and who came meanwhile",
	       "100 start alice nas/1\n300 off nas/ late=400\n350 start bob nas/2\n600 interim bob nas/2 from=350\n"
	       "999 mark",
	       { 200, "alice?unheard" }, { 320, "alice?unheard" }, { 500, "bob" });
}

Test(statements, gaps_leave_nothing_certain)
{
	EXPECT("records were lost",
	       "100 start alice nas/1\n400 interim alice nas/1 from=100\n200 lost from=150 to=200\n500 stop alice "
	       "nas/1",
	       { 120, "alice?gap" }, { 180, "alice?gap" }, { 300, "alice?gap" }, { 450, "alice" });
	EXPECT("after an end",
	       "100 start alice nas/1\n150 stop alice nas/1\n200 lost from=160 to=200\n400 start bob nas/2\n500 stop "
	       "bob nas/2",
	       { 155, "-" }, { 170, "?gap" }, { 300, "?gap" }, { 450, "bob" });
	EXPECT("the first recording", "50 mark\n100 begin\n200 interim alice nas/1 from=20\n300 stop alice nas/1",
	       { 30, "alice?begin" }, { 250, "alice" });
	EXPECT("recording goes on after a pause", "100 start alice nas/1\n300 begin from=200\n400 stop alice nas/1",
	       { 150, "alice?gap" }, { 350, "alice?gap" });
	EXPECT("recording goes on within the second", "100 start alice nas/1\n300 begin from=300\n400 stop alice nas/1",
	       { 150, "alice?gap" }, { 350, "alice?gap" });
	EXPECT("a source is added",
	       "100 start alice nas/1\n200 stop alice nas/1\n300 begin from=0\n400 start bob nas/2\n500 stop bob "
	       "nas/2\n600 mark",
	       { 150, "alice" }, { 250, "?gap" }, { 350, "?gap" }, { 450, "bob" }, { 550, "-" });
	EXPECT("imported lines come before a recording",
	       "100 start alice nas/1\n200 stop alice nas/1\n300 begin\n400 mark", { 150, "alice" }, { 250, "?gap" },
	       { 350, "?gap" });
	EXPECT("at midnight, and nothing is missing",
	       "1000 open alice nas/1 from=100 seen=400\n1400 interim alice nas/1 from=100", { 500, "alice" },
	       { 1200, "alice" });
	EXPECT("at midnight, and something is",
	       "1000 open alice nas/1 from=100 seen=400 broken\n1400 interim alice nas/1 from=100",
	       { 500, "alice?gap" }, { 1200, "alice?gap" });
}

Test(statements, a_clock_that_was_set_leaves_nothing_certain)
{
	EXPECT("back: both sessions may have been in those seconds",
	       "100 start alice nas/1\n250 interim alice nas/1\n300 step from=300 to=200\n210 start bob nas/2\n400 "
	       "interim bob nas/2\n500 stop bob nas/2",
	       { 150, "alice?clock" }, { 220, "alice?clock bob?clock" }, { 280, "alice?clock bob?clock" },
	       { 450, "bob" });
	EXPECT("forward",
	       "100 start alice nas/1\n300 step from=200 to=300\n400 interim alice nas/1 from=100\n500 stop alice "
	       "nas/1",
	       { 150, "alice?clock" }, { 350, "alice?clock" }, { 450, "alice" });
	EXPECT("back twice: seconds that are in both",
	       "190 start carol nas/3\n205 stop carol nas/3\n300 step from=300 to=200\n320 start bob nas/2\n"
	       "350 step from=350 to=250\n400 interim bob nas/2\n500 stop bob nas/2",
	       { 220, "carol?clock" }, { 270, "carol?clock bob?clock" }, { 330, "bob?clock" }, { 450, "bob" });
}

Test(statements, a_term_is_a_promise)
{
	EXPECT("an end whose moment is not certain",
	       "100 start alice to=200\n150 stop alice early=140 to=150\n300 mark", { 140, "alice" },
	       { 141, "alice?unheard" }, { 149, "alice?unheard" }, { 151, "-" });
	EXPECT("within the term", "100 start alice to=400\n300 start alice to=600\n700 mark", { 150, "alice" },
	       { 350, "alice" }, { 600, "alice" }, { 650, "alice?term" });
	EXPECT("renewed, and the end counts from the renewal",
	       "100 start alice to=400\n300 start alice to=600\n800 stop alice from=300\n900 mark", { 250, "alice" },
	       { 700, "alice" }, { 801, "-" });
	EXPECT("given to another before the end",
	       "100 start alice to=1000\n300 start bob to=500\n600 start alice to=1600\n2000 mark", { 200, "alice" },
	       { 400, "bob" }, { 550, "bob?term" }, { 700, "alice" });
	EXPECT("released", "100 start alice to=1000\n300 stop alice to=300\n900 mark", { 200, "alice" }, { 400, "-" });
	EXPECT("records were lost within it", "100 start alice to=1000\n300 lost from=200 to=300\n900 mark",
	       { 150, "alice" }, { 250, "alice?gap" }, { 500, "alice?gap" });
	EXPECT("without an end", "100 start alice\n900 mark", { 500, "alice?unheard" });
}

Test(statements, a_session_without_a_number_is_another_once_it_is_younger)
{
	EXPECT("shown three times, and begun anew between",
	       "0 mark\n100 interim alice from=50\n200 interim alice from=50\n500 interim alice from=440\n"
	       "600 interim alice from=440\n900 mark",
	       { 150, "alice" }, { 300, "alice?unheard" }, { 470, "alice?begin" }, { 550, "alice" },
	       { 700, "alice?unheard" });
}

Test(statements, an_address_that_is_declined_is_a_strangers)
{
	EXPECT("declined", "100 start alice to=1000\n300 start alice to=1300\n400 stop\n900 mark",
	       { 99, "?before-record" }, { 200, "alice" }, { 300, "alice?another" }, { 350, "alice?another" },
	       { 400, "alice?another" }, { 401, "?another" }, { 900, "?another" });
	EXPECT("at some moment since it was given", "100 start alice to=1000\n400 stop early=100\n900 mark",
	       { 100, "alice?another" }, { 300, "alice?another" }, { 401, "?another" });
	EXPECT("and given to another later, before that is known",
	       "100 start alice to=1000\n300 start bob to=800\n400 stop early=100\n500 start bob to=1000\n900 mark",
	       { 150, "alice?another" }, { 350, "bob" }, { 450, "bob" }, { 900, "bob" });
	EXPECT("after an end",
	       "100 start alice to=1000\n200 stop alice to=200\n400 stop\n500 start bob to=900\n900 mark",
	       { 150, "alice" }, { 300, "-" }, { 401, "?another" }, { 499, "?another" }, { 600, "bob" });
	EXPECT("which says nothing of sessions", "100 start alice nas/1\n400 stop\n600 stop alice nas/1\n900 mark",
	       { 300, "alice" }, { 500, "alice" }, { 700, "-" });
	EXPECT("nor of another tenant's leases", "100 start alice to=1000 tenant=a\n400 stop tenant=b\n900 mark",
	       { 300, "alice" }, { 500, "alice" });
}

#define M " mac=02:00:00:00:00:0a"

Test(statements, a_name_and_a_mac_are_one_customer)
{
	EXPECT("a session, and a lease by DHCP with a client identifier",
	       "100 start alice nas/1" M "\n100 start 01:02:00:00:00:00:0a to=400" M "\n"
	       "300 start 01:02:00:00:00:00:0a to=600" M "\n500 stop alice nas/1" M "\n900 mark",
	       { 100, "alice" }, { 200, "alice" }, { 300, "alice" }, { 450, "alice" }, { 600, "-" });
	EXPECT("by the MAC alone, while nothing is heard of the session",
	       "100 start alice nas/1" M "\n100 start 02:00:00:00:00:0a to=400" M "\n900 mark",
	       { 200, "02:00:00:00:00:0a" }, { 500, "alice?unheard" });
	EXPECT("of another MAC",
	       "100 start alice nas/1" M
	       "\n200 start 02:00:00:00:00:0b to=400 mac=02:00:00:00:00:0b\n500 stop alice nas/1" M,
	       { 300, "alice?another 02:00:00:00:00:0b?another" });
	EXPECT("another name of the same MAC",
	       "100 start alice nas/1" M "\n200 start bob nas/2" M "\n300 stop bob nas/2" M "\n500 stop alice nas/1" M,
	       { 250, "alice?another bob?another" });
	EXPECT("of another tenant",
	       "100 start alice nas/1 tenant=a" M "\n200 start 02:00:00:00:00:0a to=400 tenant=b" M "\n"
	       "500 stop alice nas/1 tenant=a" M,
	       { 300, "alice?another 02:00:00:00:00:0a?another" });
}

Test(statements, who_shares_a_name_is_told_by_it_alone)
{
	struct lease_answer a;

	tell("100 start guest nas/1" M "\n200 start guest nas/2 mac=02:00:00:00:00:0b\n"
	     "400 interim guest nas/2 mac=02:00:00:00:00:0b\n500 stop guest nas/1" M "\n900 mark");
	statements_ask(book, NULL, 150, &a);
	cr_expect(a.certain && !strcmp(a.holder[0].mac, "02:00:00:00:00:0a"), "%s", a.holder[0].mac);
	statements_ask(book, NULL, 300, &a);
	cr_expect(a.certain && a.n == 1 && !strcmp(a.holder[0].id, "guest"));
	cr_expect_str_eq(a.holder[0].mac, "");
	statements_free(book);
}

Test(statements, a_stranger_is_somebody_of_whom_no_record_is_there)
{
	struct lease_answer a;

	tell("100 start alice to=1000\n400 stop\n900 mark");
	for (int64_t t = 150; t < 900; t += 500) {
		statements_ask(book, NULL, t, &a);
		cr_expect(a.others, "at %d", (int)t);
	}
	statements_free(book);
}

Test(statements, a_length_that_contradicts_leaves_the_time_between_in_doubt)
{
	EXPECT("a start that is misdated late",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n180 start alice nas/1 early=175\n"
	       "700 interim alice nas/1 from=100\n800 stop alice nas/1 from=101\n900 mark",
	       { 60, "-" }, { 98, "-" }, { 99, "alice?begin" }, { 150, "alice?begin" }, { 180, "alice?unheard" },
	       { 750, "alice" }, { 801, "-" });
	EXPECT("the same by a few seconds",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n104 start alice nas/1\n700 interim alice nas/1 from=100\n"
	       "800 stop alice nas/1 from=100",
	       { 98, "-" }, { 99, "alice?begin" }, { 103, "alice?begin" }, { 104, "alice" }, { 750, "alice" });
	EXPECT("the same, and records are missing since, or the clock was set",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n180 start alice nas/1\n300 lost from=200 to=300\n"
	       "700 interim alice nas/1 from=100\n800 stop alice nas/1 from=100\n900 mark",
	       { 99, "alice?begin" }, { 150, "alice?begin" }, { 750, "alice" }, { 850, "-" });
	EXPECT("the same, and it is the end that says so",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n180 start alice nas/1\n200 stop alice nas/1 from=100\n900 mark",
	       { 98, "-" }, { 150, "alice?begin" }, { 190, "alice?unheard" }, { 800, "-" });
	EXPECT("an end that is misdated early, or a start late",
	       "100 start alice nas/1\n200 stop alice nas/1 from=40\n900 mark", { 38, "?before-record" },
	       { 50, "alice?begin" }, { 150, "alice?unheard" }, { 230, "alice?unheard" }, { 260, "alice?unheard" },
	       { 261, "-" });
	EXPECT("an end that is misdated late, or a start early",
	       "100 start alice nas/1\n200 stop alice nas/1 from=160\n900 mark", { 99, "?before-record" },
	       { 120, "alice?unheard" }, { 180, "alice?begin" }, { 201, "-" });
	EXPECT("two statements of another one stand against a length",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n300 start bob nas/2\n"
	       "400 interim bob nas/2 from=150\n500 stop bob nas/2 from=150",
	       { 170, "alice" }, { 201, "bob?begin" }, { 299, "bob?begin" }, { 450, "bob" });
	EXPECT("a number that is used again by the same customer",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n500 start alice nas/1\n"
	       "600 stop alice nas/1 from=500\n900 mark",
	       { 150, "alice" }, { 300, "-" }, { 499, "-" }, { 550, "alice" }, { 700, "-" });
}

Test(statements, what_contradicts_a_recorded_end_leaves_it_in_doubt)
{
	EXPECT("a session that goes on by its length, after its end",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n250 interim alice nas/1 from=100\n900 mark",
	       { 150, "alice" }, { 220, "alice?unheard" }, { 250, "alice?unheard" }, { 251, "-" });
	EXPECT("two ends",
	       "100 start alice nas/1\n200 stop alice nas/1 from=100\n300 stop alice nas/1 from=100\n900 mark",
	       { 150, "alice" }, { 250, "alice?unheard" }, { 301, "-" });
	EXPECT("a restart, and the session goes on",
	       "100 start alice nas/1\n300 off nas/\n600 interim alice nas/1 from=100\n900 mark", { 200, "alice" },
	       { 400, "alice" }, { 700, "alice?unheard" });
	EXPECT("the same, and it ends then",
	       "100 start alice nas/1\n300 off nas/\n600 stop alice nas/1 from=100\n650 interim alice nas/1 from=100\n"
	       "900 mark",
	       { 400, "alice" }, { 620, "alice?unheard" }, { 700, "-" });
	EXPECT("a restart, and what was under way since before it",
	       "100 start alice nas/1\n300 off nas/\n310 interim alice nas/1 from=100 early=290\n900 mark",
	       { 295, "alice?unheard" }, { 305, "-" }, { 500, "-" });
	EXPECT("a restart that is dated late, and a session that began meanwhile",
	       "50 start bob nas/7\n100 stop bob nas/7 from=50\n150 start alice nas/1\n200 off nas/\n"
	       "750 interim alice nas/1 from=150\n900 mark",
	       { 120, "-" }, { 180, "alice" }, { 500, "alice" }, { 800, "alice?unheard" });
}

Test(statements, a_session_may_move)
{
	EXPECT("to another address",
	       "100 start alice nas/1\n200 interim alice nas/1\n300 interim alice nas/1 at=10.0.0.2\n900 mark",
	       { 150, "alice" }, { 250, "alice?unheard" }, { 301, "-" });
	EXPECT("and back",
	       "100 start alice nas/1\n300 interim alice nas/1 from=100 at=10.0.0.2\n400 interim alice nas/1 "
	       "from=100\n500 stop alice nas/1",
	       { 250, "alice?unheard" }, { 301, "alice?begin" }, { 450, "alice" });
	EXPECT("to have two at a time, until its end",
	       "100 start alice nas/1\n100 start alice nas/1 at=10.0.0.2\n200 interim alice nas/1 at=10.0.0.2\n"
	       "200 interim alice nas/1\n300 stop alice nas/1\n300 stop alice nas/1 at=10.0.0.2\n900 mark",
	       { 150, "alice" }, { 250, "alice" }, { 301, "-" });
	EXPECT("to have two at a time, of which the beginning was not recorded",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n400 interim alice nas/1 from=100 at=10.0.0.2\n"
	       "400 interim alice nas/1 from=100\n500 stop alice nas/1 from=100",
	       { 60, "-" }, { 150, "alice?begin" }, { 450, "alice" });
	EXPECT("and ends where no address is said",
	       "100 start alice nas/1\n300 stop alice nas/1 at=none\n350 interim alice nas/1 from=100\n"
	       "400 start bob nas/2\n500 stop carol nas/2 at=none\n600 interim bob nas/2 from=400\n900 mark",
	       { 200, "alice?unheard" }, { 301, "alice?unheard" }, { 380, "-" }, { 450, "bob" }, { 550, "bob" });
	EXPECT("which proves nothing where another customer was heard of meanwhile",
	       "100 start alice nas/1\n300 start bob nas/2\n400 stop bob nas/2\n550 lost from=500 to=550\n"
	       "700 interim alice nas/1 at=10.0.0.2\n900 mark",
	       { 350, "bob" }, { 450, "-" }, { 800, "?gap" });
	EXPECT("which another customer has, whose server gives all sessions one number",
	       "10 start zoe nas/9\n50 stop zoe nas/9\n90 interim carol nas/1 at=10.0.0.2\n100 interim alice nas/1\n"
	       "200 stop alice nas/1",
	       { 49, "zoe" }, { 70, "alice?begin" }, { 150, "alice" });
	EXPECT("it came from another",
	       "100 start alice nas/1 at=10.0.0.2\n400 interim alice nas/1 from=100\n500 stop alice nas/1",
	       { 99, "?before-record" }, { 200, "alice?begin" }, { 450, "alice" });
}

Test(statements, tenants_and_customers_are_told_apart)
{
	struct lease_answer a;

	tell("100 start alice nas/1 tenant=a\n100 start bob nas/1 tenant=b\n300 stop alice nas/1 tenant=a\n300 stop "
	     "bob nas/1 tenant=b\n400 mark");
	cr_expect_str_eq(answer("a", 200), "alice");
	cr_expect_str_eq(answer("b", 200), "bob");
	cr_expect_str_eq(answer("c", 200), "?before-record");
	cr_expect_str_eq(answer(NULL, 200), "alice?another bob?another");
	statements_ask(book, "a", 200, &a);
	cr_expect(statements_same(book, "a", 101, 300, &a));
	cr_expect_not(statements_same(book, "a", 99, 300, &a));
	cr_expect_not(statements_same(book, "a", 101, 301, &a));
	statements_free(book);
	tell("100 start alice nas/1\n200 start bob nas/2 at=10.0.0.2\n900 mark\n950 off nas/\n999 mark");
	cr_expect_str_eq(answer(NULL, 500), "alice?unheard");
	cr_expect_str_eq(answer(NULL, 960), "-");
	statements_free(book);
}
