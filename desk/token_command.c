// SPDX-License-Identifier: BSD-2-Clause
#include "token_command.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/option.h"
#include "base/timestamp.h"
#include "token_file.h"

#define USUAL_RATE ((struct token_rate){ 1000, 3600 })

struct words {
	const char *verb, *name; /* NULL: none was given */
	const char *file, *kinds, *tenant, *rate, *expires;
};

static int read_options(int argc, char **argv, struct words *w, struct error *err)
{
	static const struct option known[] = {
		{ "tokens", required_argument, NULL, 'f' },  { "kind", required_argument, NULL, 'k' },
		{ "tenant", required_argument, NULL, 't' },  { "rate", required_argument, NULL, 'r' },
		{ "expires", required_argument, NULL, 'e' }, {},
	};
	const char *usual = w->file;
	char refused[OPTION_ROOM];
	int option, place = 0;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", known, &place)) >= 0) {
		const char **to = option == 'f'	  ? &w->file
				  : option == 'k' ? &w->kinds
				  : option == 't' ? &w->tenant
				  : option == 'r' ? &w->rate
						  : &w->expires;

		if (option == '?')
			return error_set(err, -EINVAL, "%s; see detnat-desk --help",
					 option_refused(argv, known, refused));
		if (*to && *to != usual)
			return error_set(err, -EINVAL, "--%s is given twice%s", known[place].name,
					 option == 'k' ? "; its values have commas between" : "");
		*to = optarg;
	}
	w->verb = optind < argc ? argv[optind++] : NULL;
	w->name = optind < argc ? argv[optind++] : NULL;
	return optind < argc ? error_set(err, -EINVAL, "%s is one word too many", QUOTED(argv[optind])) : 0;
}

static int read_expiry(const char *text, int64_t now, int64_t *ret, struct error *err)
{
	if (time_parse_typed(text, now, ret))
		return error_set(err, -EINVAL, "--expires takes a time such as 2027-01-31 or +90d, not %s",
				 QUOTED(text));
	return *ret > now ? 0 : error_set(err, -EINVAL, "--expires: %s is in the past", QUOTED(text));
}

static int read_token(const struct words *w, int64_t now, struct token *ret, struct error *err)
{
	*ret = (struct token){ .rate = USUAL_RATE, .created = now, .expires = TOKEN_NEVER, .revoked = TOKEN_NEVER };
	if (!w->name || !token_name_valid(w->name))
		return error_set(err, -EINVAL, "token add needs " TOKEN_NAME_EXPECTED);
	snprintf(ret->name, sizeof(ret->name), "%s", w->name);
	if (!w->kinds || token_kinds_parse(w->kinds, &ret->kinds))
		return error_set(err, -EINVAL,
				 "--kind takes who, questions, evidence and customer, with commas between");
	if (w->rate && token_rate_parse(w->rate, &ret->rate))
		return error_set(err, -EINVAL, "--rate takes 1 to 1000000 per s, min, h or d, such as 100/h, not %s",
				 QUOTED(w->rate));
	if (w->tenant && !label_valid(w->tenant))
		return error_set(err, -EINVAL, "--tenant takes " LABEL_EXPECTED);
	if (w->tenant)
		snprintf(ret->tenant, sizeof(ret->tenant), "%s", w->tenant);
	return w->expires ? read_expiry(w->expires, now, &ret->expires, err) : 0;
}

static int draw(struct token *t, char ret_secret[static TOKEN_SECRET], struct error *err)
{
	uint8_t random[TOKEN_RANDOM];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, -EIO, "the kernel gives no random numbers");
	token_secret(random, ret_secret);
	token_hash(ret_secret, t->hash);
	return 0;
}

static int add(const struct words *w, struct tokens *all, struct error *err)
{
	char secret[TOKEN_SECRET];
	struct token t;
	int r = read_token(w, time(NULL), &t, err);

	if (!r && tokens_named(all, t.name))
		r = error_set(err, -EEXIST, "a token %s is there already; those of revoked ones are not given again",
			      t.name);
	if (!r && all->n == TOKENS_MAX)
		r = error_set(err, -E2BIG, "there are %u tokens; take revoked ones out of %.200s", TOKENS_MAX, w->file);
	r = r ? r : draw(&t, secret, err);
	if (!r && tokens_add(all, &t))
		r = error_set(err, -ENOMEM, "out of memory");
	r = r ? r : token_file_write(w->file, all, err);
	if (!r && (puts(secret) < 0 || fflush(stdout)))
		r = error_set(err, -EIO, "the secret of %s cannot be printed: %s; revoke it and add another", t.name,
			      strerror(errno));
	return r;
}

static int take_back(const struct words *w, struct tokens *all, struct error *err)
{
	struct token *t = w->name ? tokens_named(all, w->name) : NULL;

	if (!w->name)
		return error_set(err, -EINVAL, "token revoke needs the name of a token");
	if (!t)
		return error_set(err, -ENOENT, "there is no token %s in %.200s", QUOTED(w->name), w->file);
	if (t->revoked != TOKEN_NEVER)
		return 0;
	t->revoked = time(NULL);
	return token_file_write(w->file, all, err);
}

static const char *time_or(int64_t t, const char *otherwise, char text[static TIME_TEXT])
{
	return t == TOKEN_NEVER ? otherwise : time_format(t, text);
}

static int list(const struct words *w, struct tokens *all, struct error *err)
{
	static const char *const states[] = { "valid", "revoked", "expired" };
	char kinds[TOKEN_KINDS], rate[TOKEN_RATE], created[TIME_TEXT], expires[TIME_TEXT];

	if (w->name)
		return error_set(err, -EINVAL, "%s is one word too many", QUOTED(w->name));
	for (size_t i = 0; i < all->n; i++) {
		const struct token *t = &all->list[i];

		if (!i)
			printf("%-20s  %-7s  %-32s  %-12s  %-10s  %-20s  %s\n", "name", "state", "kinds", "tenant",
			       "rate", "created", "expires");
		printf("%-20s  %-7s  %-32s  %-12s  %-10s  %-20s  %s\n", t->name, states[token_state(t, time(NULL))],
		       token_kinds_text(t->kinds, kinds), *t->tenant ? t->tenant : "any",
		       token_rate_text(t->rate, rate), time_format(t->created, created),
		       time_or(t->expires, "never", expires));
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const struct words *w, struct tokens *all, struct error *err);
	bool changes, takes_scope;
} verbs[] = { { "add", add, true, true }, { "list", list, false, false }, { "revoke", take_back, true, false } };

static int run(unsigned verb, const struct words *w, struct error *err)
{
	_cleanup_close_ int lock = -1;
	_cleanup_tokens_ struct tokens all = {};
	int r = 0;

	if (!verbs[verb].takes_scope && (w->kinds || w->tenant || w->rate || w->expires))
		return error_set(err, -EINVAL, "token %s takes no option but --tokens", verbs[verb].name);
	if (verbs[verb].changes)
		r = lock = token_file_lock(w->file, err);
	r = r < 0 ? r : token_file_read(w->file, &all, NULL, err);
	return r ? r : verbs[verb].run(w, &all, err);
}

int token_command(int argc, char **argv, struct error *err)
{
	struct words w = { .file = TOKENS_FILE };
	int r = read_options(argc, argv, &w, err);

	for (unsigned i = 0; !r && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (w.verb && !strcmp(w.verb, verbs[i].name))
			return run(i, &w, err);
	return r ? r : error_set(err, -EINVAL, "token add, token list or token revoke; see detnat-desk --help");
}
