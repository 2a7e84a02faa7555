// SPDX-License-Identifier: BSD-2-Clause
/* Answers that show how many sessions there are: counted when asked for, in slices. */
#include <errno.h>
#include <string.h>

#include "control/handlers.h"

struct counting {
	struct session_counter *counter;
	struct session_count count;
	request_count_answer answer;
};

static void counting_free(void *state)
{
	struct counting *c = state;

	session_counter_free(c->counter);
	free(c);
}

static int counting_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct counting *c = r->state;
	int ret = session_counter_step(c->counter, REQUEST_COUNT_US, &c->count);

	if (ret < 0)
		return error_set(err, ret, "the sessions could not be counted: %s", strerror(-ret));
	if (ret)
		return 1;
	*ret_result = c->answer(r, &c->count);
	return *ret_result ? 0 : error_set(err, -ENOMEM, "the agent is out of memory");
}

int request_count(struct request *r, request_count_answer answer, struct error *err)
{
	struct counting *c = calloc(1, sizeof(*c));
	int ret = c ? session_counter_new(r->context->mappings, &c->counter) : -ENOMEM;

	if (ret) {
		free(c);
		return error_set(err, ret, "the sessions cannot be counted: %s", strerror(-ret));
	}
	c->answer = answer;
	request_run(r, counting_step, c, counting_free);
	return 0;
}
