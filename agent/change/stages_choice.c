/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/stages_choice.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "links/devices.h"

static void __attribute__((format(printf, 2, 3))) say(struct stages_choice *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->reason, sizeof(c->reason), format, ap);
	va_end(ap);
}

static uint64_t mib(uint64_t octets)
{
	return octets >> 20;
}

void stages_choose(const struct stages_facts *f, struct stages_choice *ret)
{
	struct stages_choice c = { .stages = 1 };

	if (f->wanted == 1) {
		say(&c, "set to 1");
	} else if (!f->redirect) {
		say(&c, "the kernel forwards");
	} else if (*f->obstacle) {
		say(&c, "%s", f->obstacle);
	} else if (f->wanted == STAGES_AUTO && f->slots < STAGES_PAY) {
		say(&c, "slots take %" PRIu64 " MiB, two stages pay from %" PRIu64 " MiB on", mib(f->slots),
		    mib(STAGES_PAY));
	} else {
		size_t n;

		c.stages = 2;
		if (f->wanted == STAGES_AUTO)
			say(&c, "slots take %" PRIu64 " MiB", mib(f->slots));
		else
			say(&c, "set to 2");
		n = strlen(c.reason);
		if (f->outside_one)
			snprintf(c.reason + n, sizeof(c.reason) - n, "; %s", f->outside_one);
	}
	c.wanting = f->wanted == 2 && c.stages == 1;
	*ret = c;
}

/* Why bpf/stage/stage1.h and datapath/build.c use one stage from outside; NULL: they do not. */
static const char *outside_one(const struct settings *s)
{
	if (s->outside_strict)
		return "packets from outside have one, because of a strict reverse-path filter there";
	if (s->unsolicited_tcp == UNSOLICITED_ANSWER)
		return "TCP from outside has one, as unsolicited TCP is answered";
	return NULL;
}

void stages_choose_now(const struct parts *context, const struct config *c, uint64_t slots,
		       const struct settings *settings, struct stages_choice *ret)
{
	char obstacle[sizeof(ret->reason)] = "";
	struct stages_facts facts = {
		.wanted = c->stages,
		.slots = slots,
		.redirect = settings->redirect,
		.obstacle = obstacle,
		.outside_one = outside_one(settings),
	};

	if (context->active->stages_failure[0])
		snprintf(obstacle, sizeof(obstacle), "%s", context->active->stages_failure);
	else if (settings->six)
		snprintf(obstacle, sizeof(obstacle), "packets of IPv6 subscribers have one");
	else if (facts.wanted != 1 && facts.redirect)
		devices_stages_obstacle(context->devices, c, obstacle, sizeof(obstacle));
	stages_choose(&facts, ret);
}

void stages_tell(const struct stages_choice *before, const struct stages_choice *now)
{
	bool same = before->stages == now->stages && before->wanting == now->wanting;

	if (now->wanting && (!same || strcmp(before->reason, now->reason) != 0))
		log_warning("\"stages\": 2 is not possible here, packets are handled in one stage: %s", now->reason);
	else if (!same)
		log_info("packets are handled in %s: %s", now->stages == 2 ? "two stages" : "one stage", now->reason);
}
