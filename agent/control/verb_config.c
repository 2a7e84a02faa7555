// SPDX-License-Identifier: BSD-2-Clause
/* timeouts show, set, reset. */
#include <errno.h>

#include "control/handlers.h"

static cJSON *answer_timeouts(struct request *r)
{
	const uint32_t *timeouts = r->context->active->config->timeouts;
	cJSON *json = cJSON_CreateObject();

#define X(constant, name, seconds) json_add_u64(json, #name, timeouts[constant]);
	TIMEOUTS(X)
#undef X
	return json;
}

int verb_timeouts_show(struct request *r, cJSON **ret_result, struct error *err)
{
	*ret_result = answer_timeouts(r);
	return *ret_result ? 0 : -ENOMEM;
}

static int edit_set(struct config *c, void *arg, struct error *err)
{
	const struct request *r = arg;

#define X(constant, name, seconds)        \
	if (request_arg(r, #name)->given) \
		c->timeouts[constant] = request_arg(r, #name)->number;
	TIMEOUTS(X)
#undef X
	return 0;
}

int verb_timeouts_set(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_set, answer_timeouts, err);
}

static int edit_reset(struct config *c, void *arg, struct error *err)
{
#define X(constant, name, seconds) c->timeouts[constant] = seconds;
	TIMEOUTS(X)
#undef X
	return 0;
}

int verb_timeouts_reset(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_reset, answer_timeouts, err);
}
