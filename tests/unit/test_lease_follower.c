/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of DHCP servers are followed: what is appended, replaced, truncated, or written while it is read. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/base.h"
#include "lease_follower.h"
#include "retention.h"
#include "leases/lease_files.h"

#define NOW 1795690800 /* 2026-11-26T11:00:00Z */

static char directory[] = "/tmp/detnat-follow-XXXXXX";
static char path[128];
static struct lease_writer writer;
static struct identity_figures figures;
static struct lease_follower *follower;

static void begin(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	lease_writer_init(&writer, directory);
}

static void end(void)
{
	char command[128];

	lease_follower_free(follower);
	lease_writer_free(&writer);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(lease_follower, .init = begin, .fini = end);
TestSuite(retention, .init = begin, .fini = end);

static void follow(enum lease_source_type type)
{
	struct config_lease_source rules = { .type = type };

	lease_follower_free(follower);
	snprintf(rules.path, sizeof(rules.path), "%s", path);
	cr_assert_eq(lease_follower_new(&rules, &follower), 0);
}

/* Writes or appends a text; the file's time is then a second of NOW. */
static void put(const char *name, int flags, const char *text, int second)
{
	const struct timeval times[2] = { { NOW + second, 0 }, { NOW + second, 0 } };
	int fd = open(name, O_WRONLY | O_CREAT | flags, 0600);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(futimes(fd, times), 0);
	close(fd);
}

static void look(int second)
{
	while (lease_follower_look(follower, &writer, NOW + second, &figures))
		;
	cr_assert_eq(writer.lines ? lease_writer_write(&writer, NOW + second, 0) : 0, 0, "%s", writer.error.text);
}

/* The lines that are there: "start 10.0.0.1 id;". */
static char text[8192];
static struct lease_line last;

static int add_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	char addr[LEASE_ADDR_TEXT];
	struct lease_line l;

	cr_assert_eq(lease_line_read(line, size, &l, NULL), 0);
	last = l;
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %s %+d;", lease_event_word(l.event),
		 lease_addr_format(&l.addr, addr), l.id, (int)(l.time - NOW));
	return 0;
}

static int64_t early;
static unsigned n_early;

static int count_stop(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct lease_line l;

	cr_assert_eq(lease_line_read(line, size, &l, NULL), 0);
	n_early += l.event == LEASE_STOP && l.early == early;
	return 0;
}

/* How many ends are told as having been since a moment. */
static unsigned stops(int64_t since)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY);
	struct ledger_names names = { 0 };
	size_t torn;

	early = since;
	n_early = 0;
	cr_assert_eq(ledger_files_list(directory, LEDGER_LEASES, &names, NULL), 0);
	for (size_t i = 0; i < names.n; i++)
		cr_assert_eq(chain_read(fd, names.name[i], count_stop, NULL, &torn), 0);
	free(names.name);
	return n_early;
}

static void expect_lines(const char *wanted)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY);
	struct ledger_names names = { 0 };
	size_t torn;

	text[0] = '\0';
	cr_assert_eq(ledger_files_list(directory, LEDGER_LEASES, &names, NULL), 0);
	for (size_t i = 0; i < names.n; i++)
		cr_assert_eq(chain_read(fd, names.name[i], add_line, NULL, &torn), 0);
	free(names.name);
	cr_expect_str_eq(text, wanted);
}

#define KEA_HEADER \
	"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
/* A row of 100 s that began at a second of NOW. */
#define KEA(host, id, expire, state) "10.0.0." host ",02:00:00:00:00:01," id ",100," expire ",1,0,0,," state ",\n"

#define ACCEL_HEADER		    " ifname | username | ip | uptime\n--------+---\n"
#define ACCEL(username, ip, uptime) " ppp0 | " username " | " ip " | " uptime "\n"

/* What a command prints each minute says nothing of the time between. */
Test(lease_follower, sessions_that_are_printed_from_time_to_time_are_certain_at_these_moments)
{
	follow(SOURCE_ACCEL_PPP);
	put(path, 0, ACCEL_HEADER ACCEL("alice", "10.0.0.1", "01:00:00") ACCEL("carol", "10.0.0.2", "01:00:00"), 0);
	look(0);
	look(59);
	expect_lines("interim 10.0.0.1 alice +0;interim 10.0.0.2 carol +0;");
	/* Another customer has the address, and another session of the same one. */
	put(path, O_TRUNC, ACCEL_HEADER ACCEL("bob", "10.0.0.1", "00:00:29") ACCEL("carol", "10.0.0.2", "00:00:10"),
	    60);
	look(60);
	expect_lines("interim 10.0.0.1 alice +0;interim 10.0.0.2 carol +0;stop 10.0.0.1 alice +60;"
		     "interim 10.0.0.1 bob +60;stop 10.0.0.2 carol +60;interim 10.0.0.2 carol +60;");
	cr_expect_eq(last.from, NOW + 50);
	/* Neither is there. */
	look(119);
	put(path, O_TRUNC, ACCEL_HEADER, 120);
	look(120);
	look(121);
	cr_expect_eq(stops(NOW), 2);
	cr_expect_eq(stops(NOW + 60), 2);
}

Test(lease_follower, rows_of_kea_are_taken_as_they_are_appended)
{
	follow(SOURCE_KEA);
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0") "10.0.0.2,02:00", 0);
	look(0);
	expect_lines("start 10.0.0.1 aa +0;");
	put(path, O_APPEND, ":00:00:00:02,bb,100,1795690901,1,0,0,,0,\n", 1);
	look(1);
	expect_lines("start 10.0.0.1 aa +0;start 10.0.0.2 bb +1;");
	/* Released: seen to be. */
	put(path, O_APPEND, KEA("1", "aa", "1795690900", "3"), 9);
	look(9);
	look(10);
	expect_lines("start 10.0.0.1 aa +0;start 10.0.0.2 bb +1;stop 10.0.0.1 aa +9;");
}

Test(lease_follower, kea_cleans_its_file_and_nothing_is_missed_or_told_twice)
{
	char other[160];

	snprintf(other, sizeof(other), "%s.2", path);
	put(other, 0, KEA_HEADER KEA("3", "cc", "1795690850", "0"), 0);
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0"), 0);
	follow(SOURCE_KEA);
	look(0);
	expect_lines("start 10.0.0.3 cc -50;start 10.0.0.1 aa +0;");
	/* A row is appended, and then the file is moved away, between two looks. */
	put(path, O_APPEND, KEA("2", "bb", "1795690901", "0"), 1);
	snprintf(other, sizeof(other), "%s.1", path);
	cr_assert_eq(rename(path, other), 0);
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0") KEA("4", "dd", "1795690902", "0"), 2);
	look(2);
	expect_lines("start 10.0.0.3 cc -50;start 10.0.0.1 aa +0;start 10.0.0.4 dd +2;start 10.0.0.2 bb +1;");
	/* A next agent reads it all again. */
	follow(SOURCE_KEA);
	look(3);
	expect_lines("start 10.0.0.3 cc -50;start 10.0.0.1 aa +0;start 10.0.0.4 dd +2;start 10.0.0.2 bb +1;");
}

Test(lease_follower, a_file_that_was_truncated_is_read_from_its_front)
{
	follow(SOURCE_KEA);
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0") KEA("2", "bb", "1795690900", "0"), 0);
	look(0);
	put(path, O_TRUNC, KEA_HEADER KEA("3", "cc", "1795690901", "0"), 1);
	look(1);
	/* It may have grown beyond its former size meanwhile. */
	put(path, O_TRUNC,
	    KEA_HEADER KEA("4", "dd", "1795690902", "0") KEA("4", "dd", "1795690903", "0")
		    KEA("5", "ee", "1795690902", "0"),
	    2);
	look(2);
	expect_lines("start 10.0.0.1 aa +0;start 10.0.0.2 bb +0;start 10.0.0.3 cc +1;start 10.0.0.4 dd +2;"
		     "start 10.0.0.4 dd +3;start 10.0.0.5 ee +2;");
}

Test(lease_follower, what_ends_has_ended_since_the_last_look)
{
	const char *both = "1795690900 02:00:00:00:00:01 10.0.0.1 * aa\n1795690900 02:00:00:00:00:02 10.0.0.2 * bb\n";

	follow(SOURCE_DNSMASQ);
	put(path, O_TRUNC, both, 0);
	look(1);
	look(5);
	put(path, O_TRUNC, "1795690900 02:00:00:00:00:02 10.0.0.2 * bb\n", 8);
	look(9);
	look(10);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;stop 10.0.0.1 aa +8;");
	cr_expect_eq(last.early, NOW + 5);
	put(path, O_TRUNC, both, 12);
	look(13);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;stop 10.0.0.1 aa +8;start 10.0.0.1 aa +12;");
	cr_expect_eq(last.early, NOW + 10);
}

Test(lease_follower, what_kea_deletes_has_ended_since_the_last_look)
{
	follow(SOURCE_KEA);
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0"), 0);
	look(0);
	look(5);
	put(path, O_APPEND, "10.0.0.1,02:00:00:00:00:01,aa,0,1795690800,1,0,0,,0,\n", 8);
	look(9);
	expect_lines("start 10.0.0.1 aa +0;stop 10.0.0.1 aa +8;");
	cr_expect_eq(last.early, NOW + 5);
}

Test(lease_follower, a_file_that_is_not_there_is_waited_for)
{
	follow(SOURCE_KEA);
	look(0);
	cr_expect(strstr(follower->trouble.text, "it is read once it is there"));
	put(path, 0, KEA_HEADER KEA("1", "aa", "1795690900", "0"), 1);
	look(1);
	cr_expect_str_eq(follower->trouble.text, "");
	unlink(path);
	look(2);
	cr_expect(strstr(follower->trouble.text, "is gone"), "%s", follower->trouble.text);
	expect_lines("start 10.0.0.1 aa +0;");
}

Test(lease_follower, malformed_rows_are_counted_and_the_others_taken)
{
	follow(SOURCE_KEA);
	figures.unread = 0;
	put(path, 0,
	    KEA_HEADER "nonsense\n\1\2\3\n" KEA("1", "aa", "1795690900", "0") KEA("x", "bb", "1795690900", "0"), 0);
	look(0);
	expect_lines("start 10.0.0.1 aa +0;");
	cr_expect_eq(figures.unread, 3);
	put(path, O_TRUNC, "a,b,c\n1,2,3\n", 1);
	look(1);
	cr_expect(strstr(follower->trouble.text, "does not begin as a file of kea-csv does"));
}

#define DNSMASQ(expiry, host, id) expiry " 02:00:00:00:00:0" host " 10.0.0." host " * " id "\n"

Test(lease_follower, what_cannot_be_read_ends_nobody)
{
	follow(SOURCE_DNSMASQ);
	put(path, 0, DNSMASQ("1795694400", "1", "aa") DNSMASQ("1795694400", "2", "bb"), 0);
	look(0);
	put(path, O_TRUNC, DNSMASQ("1795694400", "1", "aa") "nonsense\n", 1);
	look(1);
	look(2);
	put(path, O_TRUNC, DNSMASQ("1795694400", "1", "aa"), 3);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;");
	look(3);
	look(4);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;stop 10.0.0.2 bb +3;");
}

#define ISC(host, state)                                                                             \
	"lease 10.0.0." host                                                                         \
	" {\n  starts 4 2026/11/26 11:00:01;\n  ends 4 2026/11/26 11:10:00;\n  binding state " state \
	";\n  hardware ethernet 02:00:00:00:00:01;\n}\n"

Test(lease_follower, blocks_of_isc_dhcpd_are_taken_once_they_are_whole)
{
	follow(SOURCE_ISC_DHCPD);
	put(path, 0, "# dhcpd.leases\n" ISC("1", "active") "lease 10.0.0.2 {\n  starts 4 2026/11/26 11:00:02;\n", 2);
	look(2);
	expect_lines("start 10.0.0.1 02:00:00:00:00:01 +1;");
	put(path, O_APPEND, "  ends 4 2026/11/26 11:10:00;\n  binding state active;\n  uid \"two\";\n}\n", 3);
	look(3);
	expect_lines("start 10.0.0.1 02:00:00:00:00:01 +1;start 10.0.0.2 two +2;");
}

Test(lease_follower, changes_of_what_dnsmasq_shows_become_lines)
{
	follow(SOURCE_DNSMASQ);
	put(path, 0, DNSMASQ("1795694400", "1", "aa") DNSMASQ("1795694400", "2", "bb"), 0);
	look(0);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;");
	put(path, O_TRUNC,
	    DNSMASQ("1795694400", "1", "aa") DNSMASQ("1795694410", "2", "bb") DNSMASQ("1795694410", "3", "cc"), 10);
	look(10);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;interim 10.0.0.2 bb +10;start 10.0.0.3 cc +10;");
	text[0] = '\0';
	put(path, O_TRUNC, DNSMASQ("1795694420", "1", "dd") DNSMASQ("1795694410", "2", "bb"), 20);
	look(20);
	look(21);
	look(22);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;interim 10.0.0.2 bb +10;start 10.0.0.3 cc +10;"
		     "stop 10.0.0.1 aa +20;start 10.0.0.1 dd +20;stop 10.0.0.3 cc +20;");
}

Test(lease_follower, a_lease_that_a_file_lacks_for_a_moment_goes_on)
{
	follow(SOURCE_DNSMASQ);
	put(path, 0, DNSMASQ("1795694400", "1", "aa") DNSMASQ("1795694400", "2", "bb"), 0);
	look(0);
	put(path, O_TRUNC, "", 1);
	look(1);
	put(path, O_TRUNC, DNSMASQ("1795694400", "1", "aa") "1795694400 02:00:00:00:00:02 10.0", 2);
	look(2);
	put(path, O_TRUNC, DNSMASQ("1795694400", "1", "aa") DNSMASQ("1795694400", "2", "bb"), 3);
	look(3);
	look(4);
	unlink(path);
	look(5);
	look(6);
	expect_lines("interim 10.0.0.1 aa +0;interim 10.0.0.2 bb +0;");
}

Test(lease_follower, recording_begins_after_the_last_line_and_is_marked_each_minute)
{
	struct lease_line l;

	lease_line_init(&l, NOW - 500, LEASE_MARK);
	lease_writer_add(&writer, &l);
	cr_assert_eq(lease_writer_write(&writer, NOW, 0), 0);
	cr_assert_eq(lease_writer_last(&writer), NOW - 500);
	cr_assert_eq(lease_writer_begin(&writer, NOW, "radius 192.0.2.1:1813", NOW - 500), 0);
	for (int second = 0; second < 125; second++) {
		lease_writer_mark(&writer, NOW + second);
		if (writer.lines)
			cr_assert_eq(lease_writer_write(&writer, NOW + second, 0), 0);
	}
	lease_writer_lose(&writer, NOW + 130);
	lease_writer_lose(&writer, NOW + 128);
	lease_writer_mark(&writer, NOW + 135);
	cr_assert_eq(lease_writer_write(&writer, NOW + 135, 0), 0);
	cr_expect_eq(writer.lost, 1);
	text[0] = '\0';
	expect_lines("mark ::/0  -500;begin ::/0  +0;mark ::/0  +60;mark ::/0  +120;lost ::/0  +135;");
}

Test(lease_follower, a_clock_that_was_set_back_while_nothing_was_recorded_is_said)
{
	cr_assert_eq(lease_writer_begin(&writer, NOW, "radius 192.0.2.1:1813", NOW + 500), 0);
	cr_assert_eq(lease_writer_write(&writer, NOW, 0), 0);
	text[0] = '\0';
	expect_lines("step ::/0  +0;begin ::/0  +0;");
}

static void make_days(void)
{
	struct lease_line l;

	for (int day = 0; day < 4; day++) {
		lease_line_init(&l, NOW - day * DAY_S, LEASE_MARK);
		lease_writer_add(&writer, &l);
	}
	cr_assert_eq(lease_writer_write(&writer, NOW, 0), 0);
}

Test(retention, files_of_days_that_are_over_for_long_enough_are_removed_once_a_day)
{
	struct expiry_day r = { 0 };
	struct chain_tip tip;
	unsigned removed = 99;
	struct error err;

	make_days();
	cr_assert_eq(retention_tick(&r, directory, 2, NOW, 1000, &tip, &removed, &err), 1);
	cr_expect_eq(removed, 1);
	cr_expect_eq(tip.line, 5);
	cr_expect_eq(retention_tick(&r, directory, 2, NOW + 1, 1001, &tip, &removed, &err), 0);
	cr_expect_eq(retention_tick(&r, directory, 2, NOW + DAY_S, 1000 + DAY_S, &tip, &removed, &err), 1);
	cr_expect_eq(removed, 1);
	cr_expect_eq(retention_tick(&r, directory, 0, NOW + 3 * DAY_S, 1000 + 3 * DAY_S, &tip, &removed, &err), 1);
	cr_expect_eq(removed, 0);
}

Test(retention, a_clock_that_leaps_removes_nothing_for_an_hour)
{
	struct expiry_day r = { 0 };
	struct chain_tip tip;
	unsigned removed = 0;
	struct error err;

	make_days();
	cr_assert_eq(retention_tick(&r, directory, 100, NOW, 1000, &tip, &removed, &err), 1);
	cr_expect_eq(retention_tick(&r, directory, 100, NOW + 1000 * DAY_S, 1001, &tip, &removed, &err), 0);
	cr_expect_eq(retention_tick(&r, directory, 100, NOW + 2, 1002, &tip, &removed, &err), 0);
	cr_expect_eq(retention_tick(&r, directory, 100, NOW + 1000 * DAY_S, 1003, &tip, &removed, &err), 0);
	cr_expect_eq(retention_tick(&r, directory, 100, NOW + 1000 * DAY_S + 3601, 4604, &tip, &removed, &err), 1);
	cr_expect_eq(removed, 4);
}
