// SPDX-License-Identifier: BSD-2-Clause
#include "token_guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "token_file.h"

#define SCHEME	 "Bearer "
#define GUESSERS 256U
/* Seconds after which a file that cannot be used may be mended. */
#define MENDED_S 60U

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *file;
static struct stat seen;
static struct tokens tokens;
static struct spent *spent; /* of each token */
static bool unusable;
static struct spent all_guesses;
/* Of clients; one may have the place of another, and then has what that one has left. */
static struct spent guesses[GUESSERS];

unsigned rate_spend(struct spent *s, struct token_rate rate, unsigned n, uint64_t now)
{
	uint64_t whole = rate.seconds * NS_PER_S, price;
	uint64_t then = s->whole_ns > now ? s->whole_ns : now;

	if (!n || n > rate.n)
		return n ? rate.seconds : 0;
	price = whole / rate.n * n;
	if (then - now + price > whole)
		return (unsigned)((then - now + price - whole + NS_PER_S - 1) / NS_PER_S);
	s->whole_ns = then + price;
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* What a token has spent stays spent when another line of the file changes. */
static int take_over(struct tokens *fresh)
{
	struct spent *list = calloc(fresh->n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < fresh->n; i++)
		for (size_t k = 0; k < tokens.n; k++)
			if (!memcmp(fresh->list[i].hash, tokens.list[k].hash, TOKEN_HASH))
				list[i] = spent[k];
	free(spent);
	tokens_free(&tokens);
	spent = list;
	tokens = *fresh;
	*fresh = (struct tokens){};
	return 0;
}

/* Reads the file if it is another one than before. A file that cannot be used gives no token. */
static int refresh(struct error *err)
{
	_cleanup_tokens_ struct tokens fresh = {};
	struct stat now = {};
	int r;

	if (lstat(file, &now) && errno != ENOENT)
		return error_set(err, -errno, "%.300s cannot be read: %s", file, strerror(errno));
	if (same_file(&now, &seen))
		return unusable ? -EPERM : 0;
	r = token_file_read(file, &fresh, NULL, err);
	unusable = r != 0;
	if (!r)
		r = take_over(&fresh);
	if (r != -ENOMEM)
		seen = now;
	return r;
}

int token_guard_open(const char *path, struct error *err)
{
	int r;

	pthread_mutex_lock(&mutex);
	file = path;
	r = refresh(err);
	pthread_mutex_unlock(&mutex);
	return r;
}

/* Counts a request that has no valid token. */
static unsigned refuse_guess(const char *why, const char *client, struct token_pass *ret)
{
	struct spent *own = &guesses[hash_octets(client, strlen(client)) % GUESSERS];
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	ret->why = why;
	ret->retry_s = rate_spend(own, GUESS_RATE, 1, now);
	if (!ret->retry_s)
		ret->retry_s = rate_spend(&all_guesses, GUESS_RATE_ALL, 1, now);
	if (!ret->retry_s)
		return 401;
	ret->why = "too many requests had no valid token; try again later";
	return 429;
}

static unsigned identify(const char *secret, enum token_kind kind, const char *client, struct token_pass *ret)
{
	const struct token *t = secret ? tokens_find(&tokens, secret) : NULL;

	if (!t)
		return refuse_guess(secret ? "this token is not known" : "Authorization: Bearer TOKEN is needed, once",
				    client, ret);
	ret->token = *t;
	switch (token_state(t, time(NULL))) {
	case TOKEN_REVOKED:
		return refuse_guess("this token was revoked", client, ret);
	case TOKEN_EXPIRED:
		return refuse_guess("this token has expired", client, ret);
	default:
		ret->why = "this token is not for questions of this kind";
		return t->kinds & 1U << kind ? 0 : 403;
	}
}

unsigned token_guard_identify(const char *authorization, enum token_kind kind, const char *client,
			      struct token_pass *ret)
{
	size_t n = strlen(SCHEME);
	const char *secret = authorization && !strncasecmp(authorization, SCHEME, n) ? authorization + n : NULL;
	struct error err = {};
	unsigned status;

	*ret = (struct token_pass){};
	pthread_mutex_lock(&mutex);
	if (refresh(&err)) {
		status = 503;
		ret->retry_s = MENDED_S;
		ret->why = "the tokens cannot be read; the journal of detnat-desk says why";
	} else {
		status = identify(secret, kind, client, ret);
	}
	pthread_mutex_unlock(&mutex);
	if (*err.text)
		log_error("no program can ask: %s", err.text);
	return status;
}

unsigned token_guard_spend(const struct token *t, unsigned n)
{
	unsigned retry_s = 0;

	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < tokens.n; i++)
		if (!memcmp(tokens.list[i].hash, t->hash, TOKEN_HASH))
			retry_s = rate_spend(&spent[i], t->rate, n, clock_ns(CLOCK_MONOTONIC));
	pthread_mutex_unlock(&mutex);
	return retry_s;
}
