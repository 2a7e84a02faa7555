/* SPDX-License-Identifier: BSD-2-Clause */
/* One line: its hash, its number, and what stands for it once it is erased. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"

#define LINE_BEGIN "{\"line\":"
#define HASH_BEGIN ",\"hash\":\""
#define HASH_END   "\"}"
/* Size of a line from HASH_BEGIN on. */
#define HASH_TAIL (sizeof(HASH_BEGIN) - 1 + HASH_TEXT - 1 + sizeof(HASH_END) - 1)

#define ERASED_BEGIN "\"event\":\"erased\",\"was\":\""

static const char hex[] = "0123456789abcdef";

static void finish(struct sha256_ctx *ctx, char ret[static HASH_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	ret[HASH_TEXT - 1] = '\0';
}

void chain_digest(const char *text, size_t size, char ret[static HASH_TEXT])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, size, (const uint8_t *)text);
	finish(&ctx, ret);
}

/* The hash of a line after the one with the hash prev: up to the comma before its own it is `begin` and `rest`. */
static void hash_line(const char prev[static HASH_TEXT], const char *begin, size_t n, const char *rest, size_t size,
		      char ret[static HASH_TEXT])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, HASH_TEXT - 1, (const uint8_t *)prev);
	sha256_update(&ctx, n, (const uint8_t *)begin);
	sha256_update(&ctx, size, (const uint8_t *)rest);
	finish(&ctx, ret);
}

int chain_write(FILE *out, const char *body, size_t size, struct chain_tip *tip)
{
	char begin[sizeof(LINE_BEGIN) + 24];
	int n = snprintf(begin, sizeof(begin), LINE_BEGIN "%" PRIu64 ",", tip->line + 1);
	struct chain_tip after = { .line = tip->line + 1, .size = tip->size + (size_t)n + size + HASH_TAIL + 1 };

	hash_line(tip->hash, begin, (size_t)n, body, size, after.hash);
	fputs(begin, out);
	fwrite(body, 1, size, out);
	fprintf(out, HASH_BEGIN "%s" HASH_END "\n", after.hash);
	if (ferror(out))
		return -ENOMEM;
	*tip = after;
	return 0;
}

int chain_write_all(const char *bodies, size_t size, struct chain_tip *tip, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	const char *end = bodies + size, *newline;
	struct chain_tip after = *tip;
	int r = 0;

	if (!out)
		return -ENOMEM;
	for (; !r && bodies < end && (newline = memchr(bodies, '\n', (size_t)(end - bodies))); bodies = newline + 1)
		r = chain_write(out, bodies, (size_t)(newline - bodies), &after);
	if (fclose(out) || r)
		return -ENOMEM;
	*tip = after;
	return 0;
}

static bool is_hash(const char *text)
{
	for (size_t i = 0; i < HASH_TEXT - 1; i++)
		if (!memchr(hex, text[i], 16))
			return false;
	return true;
}

int chain_check(const char *line, size_t size, const char prev[static HASH_TEXT], char ret[static HASH_TEXT])
{
	const char *tail = line + size - HASH_TAIL;
	const char *hash = tail + strlen(HASH_BEGIN);
	char wanted[HASH_TEXT];

	if (size < HASH_TAIL || memcmp(tail, HASH_BEGIN, strlen(HASH_BEGIN)) != 0 ||
	    memcmp(line + size - strlen(HASH_END), HASH_END, strlen(HASH_END)) != 0 || !is_hash(hash))
		return -EINVAL;
	/* prev and ret may be the same. */
	hash_line(prev, "", 0, line, size - HASH_TAIL, wanted);
	memcpy(ret, hash, HASH_TEXT - 1);
	ret[HASH_TEXT - 1] = '\0';
	return strcmp(wanted, ret) ? -EBADMSG : 0;
}

uint64_t chain_number(const char *line, size_t size)
{
	if (size <= strlen(LINE_BEGIN) || memcmp(line, LINE_BEGIN, strlen(LINE_BEGIN)) != 0)
		return 0;
	return strtoull(line + strlen(LINE_BEGIN), NULL, 10);
}

bool chain_body(const char *line, size_t size, const char **ret, size_t *ret_size)
{
	size_t at = strlen(LINE_BEGIN);

	if (size < at + HASH_TAIL || memcmp(line, LINE_BEGIN, at) != 0)
		return false;
	while (at < size && isdigit((unsigned char)line[at]))
		at++;
	if (at >= size - HASH_TAIL || line[at] != ',' ||
	    memcmp(line + size - HASH_TAIL, HASH_BEGIN, strlen(HASH_BEGIN)) != 0)
		return false;
	*ret = line + at + 1;
	*ret_size = size - HASH_TAIL - at - 1;
	return true;
}

bool chain_erased(const char *line, size_t size)
{
	const char *body;
	size_t n;

	return chain_body(line, size, &body, &n) && n == strlen(ERASED_BEGIN) + HASH_TEXT &&
	       !memcmp(body, ERASED_BEGIN, strlen(ERASED_BEGIN)) && body[n - 1] == '"' &&
	       is_hash(body + strlen(ERASED_BEGIN)) && is_hash(line + size - strlen(HASH_END) - (HASH_TEXT - 1)) &&
	       !memcmp(line + size - strlen(HASH_END), HASH_END, strlen(HASH_END));
}

int chain_erase(FILE *out, const char *line, size_t size)
{
	char was[HASH_TEXT];

	chain_digest(line, size, was);
	fprintf(out, LINE_BEGIN "%" PRIu64 "," ERASED_BEGIN "%s\"%.*s\n", chain_number(line, size), was, (int)HASH_TAIL,
		line + size - HASH_TAIL);
	return ferror(out) ? -ENOMEM : 0;
}
