// SPDX-License-Identifier: BSD-2-Clause
/* The numbers of peers, kept in a pinned map from one agent to the next. */
#include <criterion/criterion.h>

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "peers/peer_numbers.h"

static char pins[] = "/tmp/detnat-peers-XXXXXX";

/* In a mount namespace of the test's own. */
static void set_up(void)
{
	cr_assert(mkdtemp(pins));
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", pins, "bpf", 0, NULL)) {
		rmdir(pins);
		cr_skip("a bpffs needs root");
	}
}

static void tear_down(void)
{
	umount2(pins, MNT_DETACH);
	rmdir(pins);
}

TestSuite(peer_numbers, .init = set_up, .fini = tear_down);

/* Peers of these last octets; their numbers. */
static const char *numbers_of(const char *octets, struct peer_number *ret)
{
	static char text[REPLICATION_MAX_PEERS + 1];
	struct config_replication c = { 0 };

	for (; octets[c.n_peers]; c.n_peers++)
		c.peers[c.n_peers] = (struct endpoint){ 0x0a000000 + (uint32_t)octets[c.n_peers], 4787 };
	cr_assert_eq(peer_numbers(pins, &c, ret), 0);
	for (uint32_t i = 0; i < c.n_peers; i++)
		text[i] = (char)('0' + ret[i].number);
	text[c.n_peers] = '\0';
	return text;
}

Test(peer_numbers, a_peer_keeps_its_number_and_a_new_one_has_that_of_none_that_is_left)
{
	static const struct {
		const char *peers, *numbers;
	} rows[] = {
		{ "ab", "12" },		  { "ba", "21" },	    { "bca", "231" },	{ "d", "4" },
		{ "ad", "14" },		  { "adefg", "14567" },	    { "ghij", "7123" }, { "ab", "12" },
		{ "ghijklm", "7123456" }, { "ghijkln", "7123456" },
	};
	struct peer_number ret[REPLICATION_MAX_PEERS];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(numbers_of(rows[i].peers, ret), rows[i].numbers, "row %zu: %s", i,
				 numbers_of(rows[i].peers, ret));
}

Test(peer_numbers, notes_about_a_peers_tables_last_until_another_peer_has_its_place)
{
	struct peer_number ret[REPLICATION_MAX_PEERS];

	numbers_of("ab", ret);
	cr_expect_eq(ret[1].tables, 0);
	cr_assert_eq(peer_numbers_note(pins, 2, 77), 0);
	numbers_of("b", ret);
	cr_expect_eq(ret[0].number, 2);
	cr_expect_eq(ret[0].tables, 77);
	cr_expect_str_eq(numbers_of("acdefgh", ret), "1345672");
	for (int i = 0; i < 7; i++)
		cr_expect_eq(ret[i].tables, 0);
}

Test(peer_numbers, the_next_agent_knows_for_which_peers_this_one_spoke)
{
	struct peer_number ret[REPLICATION_MAX_PEERS];

	numbers_of("abc", ret);
	for (int i = 0; i < 3; i++)
		cr_expect_not(ret[i].spoken);
	cr_assert_eq(peer_numbers_speak(pins, 1U << 1 | 1U << 3), 0);
	numbers_of("cab", ret);
	cr_expect(ret[0].spoken);
	cr_expect(ret[1].spoken);
	cr_expect_not(ret[2].spoken);
	/* Another peer that has got the place of one is not spoken for. */
	cr_expect_str_eq(numbers_of("bdefghi", ret), "2456713");
	for (int i = 0; i < 7; i++)
		cr_expect_not(ret[i].spoken, "%d", i);
	cr_assert_eq(peer_numbers_speak(pins, 0), 0);
	numbers_of("bdefghi", ret);
	for (int i = 0; i < 7; i++)
		cr_expect_not(ret[i].spoken);
}
