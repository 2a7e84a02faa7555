/* SPDX-License-Identifier: BSD-2-Clause */
/* Compares the history with the tables. `check` names the first difference. */
#include "recorder/history_private.h"

enum side { NOT_RECORDED, NOT_IN_TABLES };

static bool differs(struct error *why, enum side side, enum fact_kind kind, const void *fact)
{
	char of[KIND_TEXT], to[KIND_TEXT];

	history_kinds[kind].describe(fact, of, to);
	error_set(why, 0, "%s to %s is in the %s", of, to,
		  side == NOT_RECORDED ? "tables, and not in the history" : "history, and not in the tables");
	return false;
}

/* Whether the history cannot be compared: it is not open, or one of its records has yet to be written. */
static bool is_silent(const struct history *h)
{
	return !h->opened || h->owes_start || h->owes_undo;
}

bool history_holds(const struct history *h, enum fact_kind kind, const void *present, size_t n, struct error *why)
{
	const struct history_facts *known = &h->file.index.facts[kind];
	struct history_facts there = { 0 };
	const void *more = NULL, *less = NULL;

	if (is_silent(h))
		return true;
	if (!history_take_all(kind, &there, present, n)) {
		more = history_facts_missing(kind, &there, known);
		less = more ? NULL : history_facts_missing(kind, known, &there);
	}
	if (more || less)
		differs(why, more ? NOT_RECORDED : NOT_IN_TABLES, kind, more ? more : less);
	history_facts_free(&there);
	return !more && !less;
}

static const void *at(enum fact_kind kind, const struct fact_list *list, size_t i)
{
	return (const char *)list->of + i * fact_rows[kind].size;
}

bool history_holds_change(const struct history *h, const struct history_change *c, struct error *why)
{
	bool holds = true, silent = is_silent(h);

	for (enum fact_kind k = 0; k < FACT_KINDS && !silent && holds; k++) {
		const struct history_facts *known = &h->file.index.facts[k];
		const struct fact_list *made = &c->add[k], *ended = &c->del[k];

		for (size_t i = 0; i < made->n && holds; i++)
			holds = history_facts_find(k, known, at(k, made, i)) ||
				differs(why, NOT_RECORDED, k, at(k, made, i));
		for (size_t i = 0; i < ended->n && holds; i++)
			holds = !history_facts_at(k, known, at(k, ended, i)) ||
				history_list_has(k, made, made->n, at(k, ended, i)) ||
				differs(why, NOT_IN_TABLES, k, at(k, ended, i));
	}
	return holds;
}
