// SPDX-License-Identifier: BSD-2-Clause
#include "token.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/timestamp.h"

#define PREFIX	 "detnat_"
#define RATE_MAX 1000000UL

static const char *const kind_names[N_TOKEN_KINDS] = { "who", "questions", "evidence", "customer" };

static const struct {
	const char *name;
	unsigned seconds;
} units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };

static int kind_parse(const char *name, size_t size, unsigned *ret)
{
	for (unsigned i = 0; i < N_TOKEN_KINDS; i++)
		if (strlen(kind_names[i]) == size && !memcmp(kind_names[i], name, size)) {
			*ret |= 1U << i;
			return 0;
		}
	return -EINVAL;
}

bool token_name_valid(const char *name)
{
	return label_valid(name) && strlen(name) <= TOKEN_NAME_MAX;
}

int token_kinds_parse(const char *text, unsigned *ret)
{
	unsigned kinds = 0;

	for (const char *at = text;; at++) {
		size_t n = strcspn(at, ",");

		if (kind_parse(at, n, &kinds))
			return -EINVAL;
		at += n;
		if (!*at)
			break;
	}
	*ret = kinds;
	return 0;
}

const char *token_kinds_text(unsigned kinds, char text[static TOKEN_KINDS])
{
	size_t n = 0;

	*text = '\0';
	for (unsigned i = 0; i < N_TOKEN_KINDS; i++)
		if (kinds & 1U << i)
			n += (size_t)snprintf(text + n, TOKEN_KINDS - n, "%s%s", n ? "," : "", kind_names[i]);
	return text;
}

int token_rate_parse(const char *text, struct token_rate *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || n < 1 || n > RATE_MAX || *end != '/')
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end + 1, units[i].name)) {
			*ret = (struct token_rate){ (unsigned)n, units[i].seconds };
			return 0;
		}
	return -EINVAL;
}

const char *token_rate_text(struct token_rate rate, char text[static TOKEN_RATE])
{
	for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (units[i].seconds == rate.seconds)
			snprintf(text, TOKEN_RATE, "%u/%s", rate.n, units[i].name);
	return text;
}

void token_secret(const uint8_t random[static TOKEN_RANDOM], char ret[static TOKEN_SECRET])
{
	size_t n = strlen(strcpy(ret, PREFIX));

	base64_encode_raw(ret + n, TOKEN_RANDOM, random);
	ret[n + BASE64_ENCODE_RAW_LENGTH(TOKEN_RANDOM) - 1] = '\0'; /* in place of a "=" */
	for (char *at = ret + n; *at; at++)
		*at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
}

void token_hash(const char *secret, uint8_t ret[static TOKEN_HASH])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, strlen(secret), (const uint8_t *)secret);
	sha256_digest(&ctx, TOKEN_HASH, ret);
}

/* ---- The file */

enum key { KEY_NAME, KEY_HASH, KEY_KINDS, KEY_TENANT, KEY_RATE, KEY_CREATED, KEY_EXPIRES, KEY_REVOKED, N_KEYS };

#define KEYS_NEEDED (1U << KEY_NAME | 1U << KEY_HASH | 1U << KEY_KINDS | 1U << KEY_RATE | 1U << KEY_CREATED)

static const struct {
	const char *name, *expected;
} keys[N_KEYS] = {
	[KEY_NAME] = { "name", TOKEN_NAME_EXPECTED },
	[KEY_HASH] = { "sha256", "64 hexadecimal digits" },
	[KEY_KINDS] = { "kinds", "who, questions, evidence, customer, with commas between" },
	[KEY_TENANT] = { "tenant", LABEL_EXPECTED },
	[KEY_RATE] = { "rate", "a number per s, min, h or d, such as 100/h" },
	[KEY_CREATED] = { "created", "a time" },
	[KEY_EXPIRES] = { "expires", "a time" },
	[KEY_REVOKED] = { "revoked", "a time" },
};

static int hash_parse(const char *text, uint8_t ret[static TOKEN_HASH])
{
	const size_t digits = 2UL * TOKEN_HASH;

	if (strlen(text) != digits || strspn(text, "0123456789abcdef") != digits)
		return -EINVAL;
	for (size_t i = 0; i < TOKEN_HASH; i++)
		sscanf(text + 2 * i, "%2hhx", &ret[i]);
	return 0;
}

static int label_parse(const char *text, char ret[static LABEL_TEXT])
{
	if (!label_valid(text))
		return -EINVAL;
	snprintf(ret, LABEL_TEXT, "%s", text);
	return 0;
}

static int value_parse(enum key key, const char *text, struct token *t)
{
	switch (key) {
	case KEY_NAME:
		return token_name_valid(text) ? label_parse(text, t->name) : -EINVAL;
	case KEY_HASH:
		return hash_parse(text, t->hash);
	case KEY_KINDS:
		return token_kinds_parse(text, &t->kinds);
	case KEY_TENANT:
		return label_parse(text, t->tenant);
	case KEY_RATE:
		return token_rate_parse(text, &t->rate);
	case KEY_CREATED:
		return time_parse(text, &t->created);
	case KEY_EXPIRES:
		return time_parse(text, &t->expires);
	default:
		return time_parse(text, &t->revoked);
	}
}

static int key_of(const char *name)
{
	int i = 0;

	while (i < N_KEYS && strcmp(keys[i].name, name) != 0)
		i++;
	return i;
}

static int members_parse(const cJSON *object, struct token *t, struct error *err)
{
	const cJSON *value;
	unsigned seen = 0;

	cJSON_ArrayForEach (value, object) {
		int key = key_of(value->string);

		if (key == N_KEYS)
			return error_set(err, -EINVAL, "%s is no key of a token", QUOTED(value->string));
		if (seen & 1U << key)
			return error_set(err, -EINVAL, "%s is there twice", keys[key].name);
		if (!cJSON_IsString(value) || value_parse((enum key)key, value->valuestring, t))
			return error_set(err, -EINVAL, "%s: expected %s", keys[key].name, keys[key].expected);
		seen |= 1U << key;
	}
	for (unsigned i = 0; i < N_KEYS; i++)
		if (KEYS_NEEDED & ~seen & 1U << i)
			return error_set(err, -EINVAL, "%s is missing", keys[i].name);
	return 0;
}

static int line_parse(const char *line, size_t size, struct token *ret, struct error *err)
{
	_cleanup_json_ cJSON *object = NULL;
	struct json_fault fault;
	int r = json_read(line, size, &object, &fault);

	*ret = (struct token){ .expires = TOKEN_NEVER, .revoked = TOKEN_NEVER };
	if (r == -EINVAL)
		return error_set(err, r, "%s", fault.text);
	if (r)
		return error_set(err, r, "out of memory");
	return cJSON_IsObject(object) ? members_parse(object, ret, err) : error_set(err, -EINVAL, "expected an object");
}

/* A token that two lines have would be the one or the other, and one that is revoked would live on in the other line.
 */
static int check_other(const struct tokens *all, const struct token *t, struct error *err)
{
	if (tokens_named(all, t->name))
		return error_set(err, -EINVAL, "a token %s is there already; take one of the lines out", t->name);
	for (size_t i = 0; i < all->n; i++)
		if (!memcmp(all->list[i].hash, t->hash, TOKEN_HASH))
			return error_set(err, -EINVAL,
					 "sha256: %s has the same secret as %s; take one of the lines out, and add "
					 "another token for it",
					 t->name, all->list[i].name);
	return 0;
}

int tokens_parse(const char *name, const char *text, size_t size, struct tokens *ret, struct error *err)
{
	_cleanup_tokens_ struct tokens all = {};
	const char *end = text + size;
	struct error why = {};
	unsigned line = 1;
	int r = 0;

	for (const char *at = text, *next; at < end && !r; at = next + 1, line++) {
		struct token t;

		next = memchr(at, '\n', (size_t)(end - at));
		next = next ? next : end;
		if (next == at)
			continue;
		r = line_parse(at, (size_t)(next - at), &t, &why);
		r = r ? r : check_other(&all, &t, &why);
		if (!r && all.n == TOKENS_MAX)
			r = error_set(&why, -EINVAL, "there are more than %u tokens", TOKENS_MAX);
		r = r ? r : tokens_add(&all, &t);
		if (r)
			error_set(err, 0, "%.200s: line %u: %.200s", name, line, *why.text ? why.text : strerror(-r));
	}
	if (!r) {
		*ret = all;
		all = (struct tokens){};
	}
	return r == -EINVAL ? -EBADMSG : r;
}

static void print_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t != TOKEN_NEVER)
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

static void print_token(FILE *out, const struct token *t)
{
	char kinds[TOKEN_KINDS], rate[TOKEN_RATE];

	fprintf(out, "{\"name\":\"%s\",\"sha256\":\"", t->name);
	for (unsigned i = 0; i < TOKEN_HASH; i++)
		fprintf(out, "%02x", t->hash[i]);
	fprintf(out, "\",\"kinds\":\"%s\"", token_kinds_text(t->kinds, kinds));
	if (*t->tenant)
		fprintf(out, ",\"tenant\":\"%s\"", t->tenant);
	fprintf(out, ",\"rate\":\"%s\"", token_rate_text(t->rate, rate));
	print_time(out, "created", t->created);
	print_time(out, "expires", t->expires);
	print_time(out, "revoked", t->revoked);
	fputs("}\n", out);
}

char *tokens_text(const struct tokens *t, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < t->n; i++)
		print_token(out, &t->list[i]);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

int tokens_add(struct tokens *t, const struct token *token)
{
	struct token *larger = reallocarray(t->list, t->n + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	larger[t->n++] = *token;
	t->list = larger;
	return 0;
}

void tokens_free(struct tokens *t)
{
	free(t->list);
	*t = (struct tokens){};
}

struct token *tokens_named(const struct tokens *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->list[i].name, name))
			return &t->list[i];
	return NULL;
}

const struct token *tokens_find(const struct tokens *t, const char *secret)
{
	const struct token *found = NULL;
	uint8_t hash[TOKEN_HASH];

	token_hash(secret, hash);
	for (size_t i = 0; i < t->n; i++)
		if (memeql_sec(hash, t->list[i].hash, TOKEN_HASH))
			found = &t->list[i];
	return found;
}

enum token_state token_state(const struct token *t, int64_t now)
{
	if (t->revoked != TOKEN_NEVER)
		return TOKEN_REVOKED;
	return t->expires <= now ? TOKEN_EXPIRED : TOKEN_VALID;
}
