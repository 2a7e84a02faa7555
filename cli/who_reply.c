// SPDX-License-Identifier: BSD-2-Clause
#include "who_reply.h"

#include <inttypes.h>

#include "history_files.h"
#include "message.h"

int64_t who_reply_known_until(const struct who_reply *r, const struct who_source *s, int64_t t)
{
	bool ended = who_reply_claimed(r) || r->answer.best.to != TIME_OPEN;

	return ended || t - HISTORY_CURRENT_S <= s->until ? TIME_NONE : s->until;
}

int who_source_open(const struct history_files *f, const char *dir, struct history_claims *claims,
		    struct who_source *ret, struct error *err)
{
	*ret = (struct who_source){
		.index = &f->index, .claims = claims, .dir = dir, .until = history_files_known_until(f)
	};
	if (history_claims_read(dir, claims, err))
		return EXIT_REFUSED;
	if (claims->damaged)
		message_warn(CLAIMS_FILE " is damaged: line %" PRIu64 " %s", claims->first_damage, claims->damage);
	if (who_new(&f->index, &ret->who))
		return error_set(err, EXIT_REFUSED, "out of memory");
	return EXIT_DONE;
}

void who_source_close(struct who_source *s)
{
	customers_close(&s->customers);
	who_free(s->who);
	s->who = NULL;
}

void who_reply_ask(const struct who_source *s, struct endpoint out, int64_t t, struct who_reply *ret)
{
	*ret = (struct who_reply){ .clock = history_clocks_at(&s->index->clocks, t) };
	ret->result = who_ask(s->who, out, t, &ret->answer, &ret->why);
	ret->claimed = who_claims_ask(s->claims, s->index, out, t, &ret->result, &ret->claim, &ret->why);
}

void who_reply_customer(struct who_source *s, struct endpoint out, int64_t t, struct who_reply *r)
{
	struct customer found;

	if (!s->customers.days)
		return;
	customers_set_margin(&s->customers, r->clock);
	if (who_reply_claimed(r)) {
		customer_of(&s->customers, r->claim.answer.in_addr, NULL, r->claim.answer.claim->origin.from,
			    r->claim.to, t, &r->customer);
		return;
	}
	/* Looking around asks further questions, which the list of holders does not survive. */
	customer_find(&s->customers, s->who, out, t, r->result, &r->answer, &found);
	who_reply_ask(s, out, t, r);
	r->customer = found;
}
