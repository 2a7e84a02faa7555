// SPDX-License-Identifier: BSD-2-Clause
#include "call.h"

#include "state_dir.h"

void call_add_places(struct call *call, struct ask *ask)
{
	ask_add_option(ask, "--state-dir", state_dir_known(call->at, call->dir));
	ask_add_option(ask, "--leases", call->at->leases);
	ask_add_option(ask, "--queries", call->at->queries);
	ask_add_option(ask, "--for", call->whom);
}

unsigned call_ask(struct call *call, struct ask *ask)
{
	ask->who = &call->who;
	ask->client = call->client;
	return ask_ctl(call->at, ask, &call->answer, &call->err);
}
