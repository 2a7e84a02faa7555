// SPDX-License-Identifier: BSD-2-Clause
/* Claims of earlier NATs: written, read, and asked. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "history/history_claims.h"

#define JUNE 1780272000LL
#define JULY 1782864000LL

static char dir[] = "/tmp/detnat-claims.XXXXXX";

static void remove_directory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/" CLAIMS_FILE, dir);
	unlink(path);
	rmdir(dir);
}

static void make_directory(void)
{
	cr_assert(mkdtemp(dir));
}

TestSuite(history_claims, .init = make_directory, .fini = remove_directory);

static struct claim_origin origin(int64_t from, const char *source)
{
	struct claim_origin o = { .from = from, .time = JULY + 86400 };

	snprintf(o.source, sizeof(o.source), "%s", source);
	memset(o.sha256, 'a', HASH_TEXT - 1);
	return o;
}

static struct plan_mapping mapping(const char *in, const char *out, uint32_t ratio, uint32_t ports)
{
	struct plan_mapping m = PLAN_MAPPING;
	struct error err;

	cr_assert_eq(plan_addresses_read(in, &m.in, &err), 0, "%s", err.text);
	if (out)
		cr_assert_eq(plan_addresses_read(out, &m.out, &err), 0, "%s", err.text);
	m.subscribers_per_address = ratio;
	m.ports_per_host = ports;
	return m;
}

static uint64_t append(const struct claim_origin *o, struct plan_mapping *m, size_t n, const struct claim_block *b,
		       size_t n_blocks)
{
	struct error err = { "" };
	uint64_t lines = 0;

	cr_assert_eq(history_claims_append(dir, o, &(struct claim_plan){ m, n, b, n_blocks }, &lines, &err), 0, "%s",
		     err.text);
	for (size_t i = 0; i < n; i++)
		plan_mapping_free(&m[i]);
	return lines;
}

static void read_claims(struct history_claims *ret)
{
	struct error err = { "" };

	cr_assert_eq(history_claims_read(dir, ret, &err), 0, "%s", err.text);
}

/* "100.64.0.1 of mx.conf", "nobody of mx.conf" or "none". */
static const char *ask(struct history_claims *c, const char *endpoint, int64_t t)
{
	static char text[192];
	char addr[ADDR_TEXT];
	struct claim_answer a;
	struct endpoint out;

	cr_assert_eq(endpoint_parse(endpoint, &out), 0);
	if (history_claims_ask(c, out, t, &a))
		return "none";
	snprintf(text, sizeof(text), "%s of %s", a.held ? addr_format(a.in_addr, addr) : "nobody",
		 a.claim->origin.source);
	return text;
}

Test(history_claims, a_range_is_claimed_from_its_time_on)
{
	_cleanup_claims_ struct history_claims c = { 0 };
	struct claim_origin o = origin(JUNE, "mx.conf");
	struct plan_mapping m = mapping("100.64.56.1-100.64.63.254", "143.208.72.193-143.208.72.254", 33, 1954);

	cr_assert_eq(append(&o, &m, 1, NULL, 0), 1);
	read_claims(&c);
	cr_assert_eq(c.damaged, 0);
	cr_expect_str_eq(ask(&c, "143.208.72.193:65505", JUNE), "100.64.56.33 of mx.conf");
	cr_expect_str_eq(ask(&c, "143.208.72.194:1024", JULY), "100.64.56.34 of mx.conf");
	cr_expect_str_eq(ask(&c, "143.208.72.193:65506", JULY), "nobody of mx.conf");
	cr_expect_str_eq(ask(&c, "143.208.72.192:2000", JULY), "none");
	cr_expect_str_eq(ask(&c, "143.208.72.193:2000", JUNE - 1), "none");
}

Test(history_claims, single_blocks_are_claimed_beside_a_mapping_and_untranslated_addresses_are_nobody)
{
	static const struct claim_block blocks[] = {
		{ 0x64410000, 0xc6000201, 1025, 3041 },
		{ 0x64410001, 0xc6000201, 3042, 5057 },
		{ 0x64410002, 0xc6000202, 1, 65535 },
	};
	_cleanup_claims_ struct history_claims c = { 0 };
	struct claim_origin o = origin(JUNE, "nat.rsc");
	struct plan_mapping m[] = { mapping("10.0.0.0/24", "203.0.113.0/30", 64, 1008),
				    mapping("10.0.0.5/32", NULL, 0, 0) };

	cr_assert_eq(append(&o, m, 2, blocks, 3), 4);
	read_claims(&c);
	cr_assert_eq(c.damaged, 0, "line %lu %s", c.first_damage, c.damage);
	cr_expect_str_eq(ask(&c, "198.0.2.1:3041", JULY), "100.65.0.0 of nat.rsc");
	cr_expect_str_eq(ask(&c, "198.0.2.1:3042", JULY), "100.65.0.1 of nat.rsc");
	cr_expect_str_eq(ask(&c, "198.0.2.1:5058", JULY), "nobody of nat.rsc");
	cr_expect_str_eq(ask(&c, "198.0.2.2:65535", JULY), "100.65.0.2 of nat.rsc");
	cr_expect_str_eq(ask(&c, "198.0.2.2:0", JULY), "nobody of nat.rsc");
	cr_expect_str_eq(ask(&c, "198.0.2.3:1025", JULY), "none");
	cr_expect_str_eq(ask(&c, "203.0.113.0:6063", JULY), "10.0.0.4 of nat.rsc");
	cr_expect_str_eq(ask(&c, "203.0.113.0:6064", JULY), "nobody of nat.rsc");
}

Test(history_claims, the_claim_that_begins_last_has_the_answer)
{
	_cleanup_claims_ struct history_claims c = { 0 };
	struct claim_origin july = origin(JULY, "new.conf"), june = origin(JUNE, "old.conf");
	struct plan_mapping m = mapping("10.0.0.0/24", "203.0.113.0/30", 64, 1008);
	struct plan_mapping other = mapping("10.9.0.0/24", "203.0.113.0/30", 64, 1008);

	append(&july, &m, 1, NULL, 0);
	append(&june, &other, 1, NULL, 0);
	read_claims(&c);
	cr_expect_str_eq(ask(&c, "203.0.113.0:1024", JULY - 1), "10.9.0.0 of old.conf");
	cr_expect_str_eq(ask(&c, "203.0.113.0:1024", JULY), "10.0.0.0 of new.conf");
}

Test(history_claims, the_same_claim_is_written_once)
{
	_cleanup_claims_ struct history_claims c = { 0 };
	struct claim_origin o = origin(JUNE, "mx.conf"), later = origin(JULY, "mx.conf");

	for (unsigned i = 0; i < 3; i++) {
		struct plan_mapping m = mapping("10.0.0.0/24", "203.0.113.0/30", 64, 1008);

		cr_expect_eq(append(i == 2 ? &later : &o, &m, 1, NULL, 0), i == 1 ? 0 : 1);
	}
	read_claims(&c);
	cr_expect_eq(c.lines, 2);
	cr_expect_eq(c.n, 2);
}

/* Text of the file, which the caller frees. */
static char *text_of_file(size_t *ret_size)
{
	char path[64], *text = malloc(65536);
	FILE *in;

	snprintf(path, sizeof(path), "%s/" CLAIMS_FILE, dir);
	in = fopen(path, "re");
	cr_assert(in);
	*ret_size = fread(text, 1, 65536, in);
	fclose(in);
	return text;
}

Test(history_claims, a_changed_or_removed_line_is_noticed_and_not_used)
{
	_cleanup_claims_ struct history_claims changed = { 0 }, removed = { 0 }, cut = { 0 };
	_cleanup_free_ char *text = NULL;
	struct claim_origin o = origin(JUNE, "mx.conf");
	struct plan_mapping m[] = { mapping("10.0.0.0/24", "203.0.113.0/30", 64, 1008),
				    mapping("10.1.0.0/24", "203.0.113.8/30", 64, 1008) };
	size_t size, first;

	append(&o, m, 2, NULL, 0);
	text = text_of_file(&size);
	first = (size_t)((char *)memchr(text, '\n', size) - text) + 1;
	cr_assert_eq(history_claims_feed(&removed, text + first, size - first), 0);
	cr_expect_eq(removed.damaged, 1);
	cr_expect_str_eq(ask(&removed, "203.0.113.8:1024", JULY), "none");
	cr_assert_eq(history_claims_feed(&cut, text, size - 1), 0);
	cr_expect_eq(cut.damaged, 1);
	cr_expect_str_eq(cut.damage, "is incomplete");
	*strstr(text, "10.0.0.0") = '9';
	cr_assert_eq(history_claims_feed(&changed, text, size), 0);
	cr_expect_eq(changed.damaged, 1);
	cr_expect_eq(changed.first_damage, 1);
	cr_expect_str_eq(ask(&changed, "203.0.113.0:1024", JULY), "none");
	cr_expect_str_eq(ask(&changed, "203.0.113.8:1024", JULY), "10.1.0.0 of mx.conf");
}

Test(history_claims, a_damaged_file_is_not_added_to)
{
	struct claim_origin o = origin(JUNE, "mx.conf");
	struct plan_mapping m = mapping("10.0.0.0/24", "203.0.113.0/30", 64, 1008);
	struct error err = { "" };
	char path[64];
	uint64_t lines;
	int fd;

	snprintf(path, sizeof(path), "%s/" CLAIMS_FILE, dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	cr_assert_eq(write(fd, "{}\n", 3), 3);
	close(fd);
	cr_expect_eq(history_claims_append(dir, &o, &(struct claim_plan){ &m, 1, NULL, 0 }, &lines, &err), -EBADMSG);
	cr_expect(strstr(err.text, "line 1 has no checksum"), "%s", err.text);
	plan_mapping_free(&m);
}
