// SPDX-License-Identifier: BSD-2-Clause
#include "leases/accounting.h"

#include <ctype.h>
#include <string.h>

const char *mac_text(const char *text, char ret[static MAC_TEXT])
{
	unsigned n = 0;

	ret[0] = '\0';
	for (; *text; text++) {
		if (strchr(":-.", *text))
			continue;
		if (!isxdigit((unsigned char)*text) || n == 12)
			return ret[0] = '\0', ret;
		if (n && n % 2 == 0)
			ret[n / 2 * 3 - 1] = ':';
		ret[n / 2 * 3 + n % 2] = (char)tolower((unsigned char)*text);
		n++;
	}
	ret[n == 12 ? MAC_TEXT - 1 : 0] = '\0';
	return ret;
}

static const enum lease_event events[] = {
	[ACCOUNTING_START] = LEASE_START,
	[ACCOUNTING_STOP] = LEASE_STOP,
	[ACCOUNTING_INTERIM] = LEASE_INTERIM,
};

/* A slash in the name of a server would end it. */
static void set_session(struct lease_line *l, const char *server, const char *session)
{
	snprintf(l->session, sizeof(l->session), "%.250s/%.250s", server, session);
	for (size_t i = 0; i < 250 && server[i]; i++)
		if (l->session[i] == '/')
			l->session[i] = '_';
}

static void line_of(const struct accounting *a, enum lease_event event, struct lease_line *ret)
{
	lease_line_init(ret, a->time, event);
	ret->early = a->early;
	ret->late = a->late;
	ret->packet = a->event ? 0 : a->packet;
	memcpy(ret->tenant, a->tenant, sizeof(ret->tenant));
	if (event == LEASE_OFF)
		return;
	memcpy(ret->id, a->user, sizeof(ret->id));
	mac_text(a->calling, ret->mac);
	memcpy(ret->circuit, *a->circuit ? a->circuit : a->port, sizeof(ret->circuit));
	set_session(ret, a->server[0], a->session);
	if (event == LEASE_START)
		ret->from = a->time;
	else if (a->session_time && a->session_time < 1U << 30)
		ret->from = a->time - a->session_time;
	if (event == LEASE_STOP)
		ret->to = a->time;
	else if (a->interval)
		ret->to = a->time + 3LL * a->interval;
}

static int give_restart(const struct accounting *a, lease_take take, void *arg, unsigned *ret_n)
{
	struct lease_line l;
	int r = 0;

	line_of(a, LEASE_OFF, &l);
	for (unsigned i = 0; i < a->n_servers && !r; i++) {
		set_session(&l, a->server[i], "");
		r = take(arg, &l);
		++*ret_n;
	}
	return r;
}

int accounting_lines(const struct accounting *a, lease_take take, void *arg, unsigned *ret_n)
{
	struct lease_line l;
	int r = 0;

	*ret_n = 0;
	if (a->stale)
		return 0;
	if (a->status == ACCOUNTING_ON || a->status == ACCOUNTING_OFF)
		return give_restart(a, take, arg, ret_n);
	if (!a->status || a->status > ACCOUNTING_INTERIM)
		return 0;
	line_of(a, events[a->status], &l);
	/* The end of a session needs no address; that of none would be of all without a number. */
	if (a->status == ACCOUNTING_STOP && !a->n_addresses && *a->session) {
		*ret_n = 1;
		return take(arg, &l);
	}
	for (unsigned i = 0; i < a->n_addresses && !r; i++) {
		l.addr = a->address[i];
		r = take(arg, &l);
		++*ret_n;
	}
	return r;
}
