// SPDX-License-Identifier: BSD-2-Clause
#include "case_verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/virtual6.h"

void verdict_free(struct verdict *v)
{
	free(v->at);
	free(v->first);
	*v = (struct verdict){ 0 };
}

/* An open end of a copy that was not read until then tells nothing of the time after. */
static bool is_definite(const struct who_reply *r, const struct who_source *s, int64_t t)
{
	if (!who_reply_named(r) || r->answer.other || (s->customers.days && customer_reason(&r->customer)))
		return false;
	return who_reply_known_until(r, s, t) == TIME_NONE;
}

/* Names a customer, and otherwise the subscriber, so that two are the same if and only if their names are. */
static char *name_of(const struct who_reply *r, const struct who_source *s)
{
	const struct lease_holder *h = &r->customer.lease.holder[0];
	const char *tenant = who_reply_claimed(r) ? "" : r->answer.best.tenant;
	char addr[INSIDE_TEXT], *name = NULL;
	int n;

	if (s->customers.days)
		n = asprintf(&name, "%zu:%s %c%s", strlen(h->tenant), h->tenant,
			     *h->id    ? 'i'
			     : *h->mac ? 'm'
				       : 's',
			     *h->id    ? h->id
			     : *h->mac ? h->mac
				       : h->session);
	else
		n = asprintf(
			&name, "%s %s", tenant,
			inside_text(who_reply_claimed(r) ? r->claim.answer.in_addr : r->answer.best.in_addr, addr));
	return n < 0 ? NULL : name;
}

void verdict_take(struct verdict *v, uint64_t line, int64_t t, const struct who_reply *r, const struct who_source *s)
{
	struct verdict_line one = { .line = line, .definite = is_definite(r, s, t) };
	_cleanup_free_ char *name = one.definite ? name_of(r, s) : NULL;

	if ((one.definite && !name) || array_grow(&v->at, v->n, &v->room, sizeof(*v->at))) {
		v->failed = true;
		return;
	}
	v->customers = s->customers.days;
	one.differs = name && v->first && strcmp(name, v->first) != 0;
	v->at[v->n++] = one;
	if (name && !v->first)
		v->first = take_pointer(name);
}

/* "WORDS: lines 2, 3", each line once. Whether there are any. */
static bool list_lines(FILE *out, const struct verdict *v, const char *words, bool differs)
{
	uint64_t last = 0;
	bool any = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct verdict_line *l = &v->at[i];

		if ((differs ? !l->differs : l->definite) || (any && l->line == last))
			continue;
		fprintf(out, "%s%" PRIu64, any ? ", " : words, l->line);
		last = l->line;
		any = true;
	}
	return any;
}

char *verdict_text(const struct verdict *v)
{
	char *text = NULL;
	size_t size;
	FILE *out = v->failed ? NULL : open_memstream(&text, &size);
	bool differ;

	if (!out)
		return NULL;
	differ = list_lines(out, v, "they differ: lines ", true);
	if (!list_lines(out, v, differ ? "; not definite: lines " : "not definite: lines ", false) && !differ)
		fprintf(out, "all %zu name the same %s", v->n, v->customers ? "customer" : "subscriber");
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

int verdict_show(const struct verdict *v, bool asked, const char *rows, size_t size, struct writer *w)
{
	_cleanup_free_ char *text = v->n ? verdict_text(v) : NULL;

	if (v->failed || (v->n && !text))
		return -ENOMEM;
	if (!w->json && text && (asked || v->n > 1))
		writer_line(w, "%s", text);
	if (w->json && asked) {
		fputs("{\"verdict\":", w->out);
		text_json_string(w->out, text ? text : "there is no answer");
		fputs(",\"answers\":", w->out);
		size -= size && rows[size - 1] == '\n';
	}
	fwrite(rows, 1, size, w->out);
	if (w->json && asked)
		fputs("}\n", w->out);
	return 0;
}
