// SPDX-License-Identifier: BSD-2-Clause
/* The timers of connection tables, and flows of them. */
#include <strings.h>
#include <string.h>

#include "traffic/reader.h"

const char *const traffic_timer_names[N_TRAFFIC_TIMERS] = { [TIMER_NONE] = "none",
#define X(constant, name, state) [constant] = name,
							    TRAFFIC_TIMERS(X)
#undef X
};

static const uint8_t states[N_TRAFFIC_TIMERS] = {
#define X(constant, name, state) [constant] = (uint8_t)(state),
	TRAFFIC_TIMERS(X)
#undef X
};

enum traffic_timer timer_of_tcp(const char *name, size_t size)
{
	static const struct {
		const char *name;
		enum traffic_timer timer;
	} names[] = {
		{ "established", TIMER_ESTABLISHED },
		{ "syn-sent", TIMER_SYN_SENT },
		{ "syn-sent2", TIMER_SYN_SENT },
		{ "syn-recv", TIMER_SYN_RECEIVED },
		{ "syn-received", TIMER_SYN_RECEIVED },
		{ "fin-wait", TIMER_FIN_WAIT },
		{ "close-wait", TIMER_CLOSE_WAIT },
		{ "last-ack", TIMER_LAST_ACK },
		{ "time-wait", TIMER_TIME_WAIT },
		{ "close", TIMER_CLOSE },
		{ "none", TIMER_SYN_SENT },
	};
	char text[16];

	if (size >= sizeof(text))
		return TIMER_NONE;
	memcpy(text, name, size);
	text[size] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = '-';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(text, names[i].name))
			return names[i].timer;
	return TIMER_NONE;
}

int64_t traffic_timer_length(int64_t longest_ms)
{
	/* Those of Linux, RouterOS and detnat, and round ones that operators choose. */
	static const int64_t seconds[] = { 5,	 10,   20,   30,   60,	  120,	 180,	240,   300,   600,    1200,
					   1800, 3600, 7200, 7440, 10800, 14400, 21600, 43200, 86400, 172800, 432000 };

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
		if (seconds[i] * 1000 >= longest_ms)
			return seconds[i] * 1000;
	return longest_ms;
}

void reading_timer(struct reading *r, struct traffic_flow *flow, enum traffic_timer timer, int64_t left_ms)
{
	flow->timer = (uint8_t)timer;
	flow->state = states[timer];
	flow->first_ms = r->taken_ms;
	flow->last_ms = left_ms;
	if (r->notes->longest_ms[timer] < left_ms)
		r->notes->longest_ms[timer] = left_ms;
}

enum line_is reading_take(struct reading *r, struct traffic_flow *flow)
{
	if (flow->last_ms < flow->first_ms && !flow->timer)
		flow->last_ms = flow->first_ms;
	r->error = r->take(r->arg, flow);
	r->notes->flows++;
	return r->error ? LINE_FAILED : LINE_TAKEN;
}
