// SPDX-License-Identifier: BSD-2-Clause
/* detnat-desk: tokens of other programs, their file, their rates, and guesses. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "token_file.h"
#include "token_guard.h"

#define S 1000000000ULL

Test(desk_tokens, kinds_are_words_with_commas_between)
{
	static const char *const bad[] = { "", ",", "who,", ",who", "who, customer", "whose", "Who", "who;customer" };
	char text[TOKEN_KINDS];
	unsigned kinds;

	cr_assert_eq(token_kinds_parse("customer,who,who", &kinds), 0);
	cr_expect_str_eq(token_kinds_text(kinds, text), "who,customer");
	cr_assert_eq(token_kinds_parse("who,questions,evidence,customer", &kinds), 0);
	cr_expect_str_eq(token_kinds_text(kinds, text), "who,questions,evidence,customer");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(token_kinds_parse(bad[i], &kinds), -EINVAL, "%s", bad[i]);
}

Test(desk_tokens, rates_are_a_number_and_a_unit)
{
	static const char *const good[] = { "1/s", "100/h", "1000000/min", "800/d" };
	static const char *const bad[] = { "",
					   "0/h",
					   "-1/h",
					   "+1/h",
					   " 1/h",
					   "1000001/h",
					   "1",
					   "1/",
					   "1/w",
					   "1/h ",
					   "1h",
					   "1.5/h",
					   "99999999999999999999/h" };
	struct token_rate rate;
	char text[TOKEN_RATE];

	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		cr_expect_eq(token_rate_parse(good[i], &rate), 0, "%s", good[i]);
		cr_expect_str_eq(token_rate_text(rate, text), good[i]);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(token_rate_parse(bad[i], &rate), -EINVAL, "%s", bad[i]);
}

Test(desk_tokens, a_secret_has_all_its_octets_in_letters_of_a_header)
{
	uint8_t random[TOKEN_RANDOM];
	char secret[TOKEN_SECRET], other[TOKEN_SECRET];

	memset(random, 0xff, sizeof(random));
	token_secret(random, secret);
	cr_expect_str_eq(secret, "detnat___________________________________________8");
	random[31] = 0xfe;
	token_secret(random, other);
	cr_expect_str_neq(secret, other);
	random[0] = 0xfb;
	token_secret(random, other);
	cr_expect_eq(strspn(other + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
}

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define LINE                                   \
	"{\"name\":\"a\",\"sha256\":\"" HASH_A \
	"\",\"kinds\":\"who\",\"rate\":\"1/h\",\"created\":\"2026-01-01T00:00:00Z\"}"
#define OTHER                                  \
	"{\"name\":\"b\",\"sha256\":\"" HASH_A \
	"\",\"kinds\":\"who\",\"rate\":\"1/h\",\"created\":\"2026-01-01T00:00:00Z\"}"

Test(desk_tokens, what_a_file_says_is_written_as_it_was)
{
	static const char text[] =
		LINE "\n{\"name\":\"b\",\"sha256\":\"" HASH_B "\",\"kinds\":\"who,customer\",\"tenant\":\"ispA\","
		     "\"rate\":\"800/d\",\"created\":\"2026-01-01T00:00:00Z\",\"expires\":\"2027-01-01T00:00:00Z\","
		     "\"revoked\":\"2026-02-01T00:00:00Z\"}\n";
	_cleanup_tokens_ struct tokens all = {};
	struct error err;
	char *again;
	size_t size;

	cr_assert_eq(tokens_parse("f", text, strlen(text), &all, &err), 0, "%s", err.text);
	again = tokens_text(&all, &size);
	cr_expect_str_eq(again, text);
	free(again);
	cr_expect_eq(token_state(&all.list[0], INT64_MAX - 1), TOKEN_VALID);
	cr_expect_eq(token_state(&all.list[1], 0), TOKEN_REVOKED);
	all.list[1].revoked = TOKEN_NEVER;
	cr_expect_eq(token_state(&all.list[1], all.list[1].expires - 1), TOKEN_VALID);
	cr_expect_eq(token_state(&all.list[1], all.list[1].expires), TOKEN_EXPIRED);
}

Test(desk_tokens, a_fault_of_the_file_is_told_with_its_line_and_key)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{ LINE "\n\n{", "f: line 3: " },
		{ LINE "\n" LINE "\n", "f: line 2: a token a is there already" },
		{ OTHER "\n" LINE "\n", "f: line 2: sha256: a has the same secret as b" },
		{ "{\"name\":\"a\",\"name\":\"a\"}", "f: line 1: name is there twice" },
		{ "[]\n", "f: line 1: expected an object" },
		{ "{}\n", "f: line 1: name is missing" },
		{ "{\"name\":\"a\",\"frob\":\"b\"}", "f: line 1: \"frob\" is no key of a token" },
		{ "{\"name\":\"-a\"}", "f: line 1: name: expected" },
		{ "{\"name\":1}", "f: line 1: name: expected" },
		{ "{\"name\":\"a\",\"sha256\":\"AB\"}", "f: line 1: sha256: expected" },
		{ "{\"kinds\":\"all\"}", "f: line 1: kinds: expected" },
		{ "{\"rate\":\"0/h\"}", "f: line 1: rate: expected" },
		{ "{\"tenant\":\"\"}", "f: line 1: tenant: expected" },
		{ "{\"expires\":\"never\"}", "f: line 1: expires: expected" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct tokens all = {};
		struct error err = {};

		cr_expect_eq(tokens_parse("f", rows[i].text, strlen(rows[i].text), &all, &err), -EBADMSG, "%s",
			     rows[i].text);
		cr_expect_eq(strncmp(err.text, rows[i].told, strlen(rows[i].told)), 0, "%s", err.text);
		cr_expect_null(all.list);
	}
}

Test(desk_tokens, a_rate_lets_so_many_pass_and_comes_back_evenly)
{
	struct token_rate rate = { 4, 3600 };
	struct spent s = {};
	uint64_t now = 5 * S;

	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(rate_spend(&s, rate, 1, now), 0);
	cr_expect_eq(rate_spend(&s, rate, 1, now), 900);
	cr_expect_eq(rate_spend(&s, rate, 1, now + 899 * S), 1);
	cr_expect_eq(rate_spend(&s, rate, 1, now + 900 * S), 0);
	cr_expect_eq(rate_spend(&s, rate, 1, now + 900 * S), 900);
	cr_expect_eq(rate_spend(&s, rate, 4, now + 7200 * S), 0, "a list counts as so many questions");
	cr_expect_eq(rate_spend(&s, rate, 5, now + 99999 * S), 3600, "more than there ever are");
	cr_expect_eq(rate_spend(&s, rate, 4, now + 99999 * S), 0, "what was refused took nothing");
}

static char directory[32], path[64];

static void make_directory(void)
{
	strcpy(directory, "/tmp/detnat-tokens.XXXXXX");
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/tokens", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(directory);
}

static void give(struct tokens *all, const char *name, const char *secret, unsigned kinds)
{
	struct token t = { .kinds = kinds, .rate = { 2, 3600 }, .expires = TOKEN_NEVER, .revoked = TOKEN_NEVER };
	struct error err;

	snprintf(t.name, sizeof(t.name), "%s", name);
	token_hash(secret, t.hash);
	cr_assert_eq(tokens_add(all, &t), 0);
	cr_assert_eq(token_file_write(path, all, &err), 0, "%s", err.text);
}

TestSuite(desk_token_file, .init = make_directory, .fini = remove_directory);

Test(desk_token_file, others_may_not_read_it)
{
	_cleanup_tokens_ struct tokens all = {};
	struct error err = {};
	struct stat st;

	cr_expect_eq(token_file_read(path, &all, NULL, &err), 0, "none yet");
	give(&all, "a", "secret", 1);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	for (mode_t mode = 01; mode <= 040; mode <<= 1) {
		struct tokens none = {};

		chmod(path, 0600 | mode);
		cr_expect_eq(token_file_read(path, &none, NULL, &err), -EPERM, "%o", mode);
		cr_expect(strstr(err.text, "chmod 600") && strstr(err.text, path), "%s", err.text);
	}
	unlink(path);
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	cr_expect_eq(token_file_read(path, &all, NULL, &err), -ELOOP);
	unlink(path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_lt(token_file_read(path, &all, NULL, &err), 0);
}

Test(desk_token_file, a_change_counts_from_the_next_request_on)
{
	_cleanup_tokens_ struct tokens all = {};
	struct token_pass pass;
	struct error err = {};

	cr_assert_eq(token_guard_open(path, &err), 0, "%s", err.text);
	cr_expect_eq(token_guard_identify("Bearer secret", TOKEN_WHO, "", &pass), 401);
	give(&all, "a", "secret", 1U << TOKEN_WHO);
	cr_expect_eq(token_guard_identify("Bearer secret", TOKEN_WHO, "", &pass), 0);
	cr_expect_str_eq(pass.token.name, "a");
	cr_expect_eq(token_guard_identify("bearer secret", TOKEN_CUSTOMER, "", &pass), 403);
	cr_expect_eq(token_guard_identify("Basic secret", TOKEN_WHO, "", &pass), 401);
	cr_expect_eq(token_guard_identify("Bearer secre", TOKEN_WHO, "", &pass), 401);
	cr_expect_eq(token_guard_identify("", TOKEN_WHO, "", &pass), 401);
	cr_expect_eq(token_guard_identify(NULL, TOKEN_WHO, "", &pass), 401);
	cr_expect_eq(token_guard_spend(&all.list[0], 2), 0);
	give(&all, "b", "other", 1U << TOKEN_WHO);
	cr_expect_eq(token_guard_identify("Bearer other", TOKEN_WHO, "", &pass), 0);
	cr_expect_eq(token_guard_spend(&all.list[0], 1), 1800, "what was spent stays spent");
	all.list[0].revoked = 1;
	cr_assert_eq(token_file_write(path, &all, &err), 0);
	cr_expect_eq(token_guard_identify("Bearer secret", TOKEN_WHO, "", &pass), 401);
	cr_expect_str_eq(pass.token.name, "a", "the line about it names the token");
	chmod(path, 0644);
	cr_expect_eq(token_guard_identify("Bearer other", TOKEN_WHO, "", &pass), 503);
	cr_expect_eq(token_guard_identify("Bearer other", TOKEN_WHO, "", &pass), 503);
	chmod(path, 0600);
	cr_expect_eq(token_guard_identify("Bearer other", TOKEN_WHO, "", &pass), 0);
}

Test(desk_token_file, guesses_are_limited_by_client_and_lock_nobody_out)
{
	_cleanup_tokens_ struct tokens all = {};
	unsigned told = 0, refused;
	struct token_pass pass;
	char client[16];
	struct error err;

	give(&all, "a", "secret", 1U << TOKEN_WHO);
	cr_assert_eq(token_guard_open(path, &err), 0);
	for (unsigned i = 0; i < 500; i++) {
		unsigned status = token_guard_identify("Bearer guess", TOKEN_WHO, "192.0.2.1", &pass);

		told += status == 401;
		cr_assert(status == 401 || (status == 429 && pass.retry_s && pass.retry_s <= GUESS_RATE.seconds));
	}
	cr_expect(told >= GUESS_RATE.n && told < GUESS_RATE.n + 10, "%u", told);
	cr_expect_eq(token_guard_identify("Bearer secret", TOKEN_WHO, "192.0.2.1", &pass), 0);
	cr_expect_eq(token_guard_identify("Bearer guess", TOKEN_WHO, "192.0.2.2", &pass), 401, "another has its own");
	for (unsigned i = refused = 0; i < 5000; i++) {
		snprintf(client, sizeof(client), "%u", i);
		refused += token_guard_identify("Bearer guess", TOKEN_WHO, client, &pass) == 429;
	}
	cr_expect_gt(refused, 5000 - GUESS_RATE_ALL.n, "all of them have a limit, too");
	cr_expect_eq(token_guard_identify("Bearer secret", TOKEN_WHO, "192.0.2.1", &pass), 0);
}
