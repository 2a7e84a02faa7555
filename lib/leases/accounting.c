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
static void set_session(struct lease_line *l, const struct accounting *a)
{
	snprintf(l->session, sizeof(l->session), "%.250s/%.250s", a->server, a->session);
	for (size_t i = 0; i < 250 && a->server[i]; i++)
		if (l->session[i] == '/')
			l->session[i] = '_';
}

static struct lease_line line_of(const struct accounting *a, int64_t time, enum lease_event event)
{
	struct lease_line l;

	lease_line_init(&l, time, event);
	memcpy(l.tenant, a->tenant, sizeof(l.tenant));
	memcpy(l.id, a->user, sizeof(l.id));
	mac_text(a->calling, l.mac);
	memcpy(l.circuit, *a->circuit ? a->circuit : a->port, sizeof(l.circuit));
	set_session(&l, a);
	if (event == LEASE_START)
		l.from = time;
	else if (a->session_time && a->session_time < 1U << 30)
		l.from = time - a->session_time;
	if (event == LEASE_STOP)
		l.to = time;
	else if (a->interval)
		l.to = time + 3LL * a->interval;
	return l;
}

int accounting_lines(const struct accounting *a, int64_t received, lease_take take, void *arg, unsigned *ret_n)
{
	const struct lease_addr *all[] = { &a->address, &a->delegated, &a->framed };
	int64_t time = received - (a->delay < 1U << 24 ? a->delay : 0);
	struct lease_line l;
	int r = 0;

	*ret_n = 0;
	if (a->status == ACCOUNTING_ON || a->status == ACCOUNTING_OFF) {
		lease_line_init(&l, time, LEASE_OFF);
		memcpy(l.tenant, a->tenant, sizeof(l.tenant));
		set_session(&l, a);
		l.session[strcspn(l.session, "/") + 1] = '\0';
		*ret_n = 1;
		return take(arg, &l);
	}
	if (!a->status || a->status > ACCOUNTING_INTERIM)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(all) && !r; i++) {
		if (!all[i]->plen)
			continue;
		l = line_of(a, time, events[a->status]);
		l.addr = *all[i];
		r = take(arg, &l);
		++*ret_n;
	}
	return r;
}
