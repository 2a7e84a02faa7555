// SPDX-License-Identifier: BSD-2-Clause
#include "control/session_filter.h"

#include <string.h>

static bool in_prefix(uint32_t addr, struct prefix p)
{
	return !p.plen || (addr ^ p.base) >> (32 - p.plen) == 0;
}

/* Seconds since its last packet from inside. The configuration's timeouts may have changed meanwhile. */
static uint32_t idle_seconds(const struct session_filter *f, const struct session *s)
{
	uint32_t timeout = f->timeouts[session_timeout(s->state)];

	return timeout > s->expires ? timeout - s->expires : 0;
}

bool session_fits(const struct session_filter *f, const struct session *s)
{
	if ((f->proto && f->proto != s->proto) || (!s->counts && !f->all))
		return false;
	if (f->in && f->in->given && !in_prefix(s->in_addr, f->in->prefix))
		return false;
	if (f->ext && f->ext->given &&
	    (!in_prefix(s->ext_addr, f->ext->prefix) || (f->ext->with_port && f->ext->port != s->ext_port)))
		return false;
	if (f->out && f->out->given &&
	    (f->out->endpoint.addr != s->out_addr || (f->out->with_port && f->out->endpoint.port != s->out_port)))
		return false;
	if (f->state && f->state->given && strcmp(f->state->text, session_state_name(s->state)) != 0)
		return false;
	return !f->older || idle_seconds(f, s) >= f->older;
}

int refuse_inside(uint32_t addr, int ret, struct error *err)
{
	char text[ADDR_TEXT];

	return error_set(err, ret, "%s is not an inside address of any mapping; `detnatctl mapping list` shows them",
			 addr_format(addr, text));
}
