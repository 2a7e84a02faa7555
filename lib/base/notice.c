/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/notice.h"

#include <stddef.h>
#include <time.h>

#include "base/clock.h"

static struct notice_listener *listeners;

void notice_listen(struct notice_listener *l)
{
	l->next = listeners;
	listeners = l;
}

void notice_unlisten(struct notice_listener *l)
{
	for (struct notice_listener **at = &listeners; *at; at = &(*at)->next) {
		if (*at == l) {
			*at = l->next;
			return;
		}
	}
}

bool notice_wanted(enum notice_kind kind)
{
	for (const struct notice_listener *l = listeners; l; l = l->next)
		if (l->kinds & kind)
			return true;
	return false;
}

struct notice notice_now(enum notice_kind kind, enum log_level level, const char *event, const char *text)
{
	return (struct notice){
		.kind = kind, .level = level, .event = event, .text = text, .wall_ns = clock_ns(CLOCK_REALTIME)
	};
}

static void add(struct notice *n, struct notice_param p)
{
	if (n->n_params < NOTICE_PARAMS)
		n->param[n->n_params++] = p;
}

void notice_add_text(struct notice *n, const char *name, const char *text)
{
	add(n, (struct notice_param){ .name = name, .text = text });
}

void notice_add_number(struct notice *n, const char *name, uint64_t number)
{
	add(n, (struct notice_param){ .name = name, .number = number });
}

void notice_tell(const struct notice *n)
{
	for (const struct notice_listener *l = listeners; l; l = l->next)
		if (l->kinds & n->kind)
			l->heard(l->arg, n);
}
