// SPDX-License-Identifier: BSD-2-Clause
/* Times and zones in a stretch of text. */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_scan.h"

/* A line, or a value, does not name more zones apart from times, the same again and again among them. */
#define MOST_ZONES 64U

static void zones_in(const char *begin, const char *end, struct stamp *t)
{
	struct claim one;

	for (const char *p = begin; p < end; p++) {
		const char *after = p > begin && word_octet(p[-1]) ? NULL : claim_read(p, end, false, &one);

		if (!after)
			continue;
		claim_add(&t->zone, &one);
		p = after - 1;
	}
}

/* A zone that is named before a time: "Time (UTC): ". */
static void zone_before(const struct scan *c, const char *at, struct stamp *t)
{
	const char *p = scan_label_begin(c, at), *line = at;

	while (line > p && line[-1] != '\n')
		line--;
	zones_in(line > p ? line : p, at, t);
	if (c->s->key && !claim_given(&t->zone))
		zones_in(c->s->key, c->s->key_end, t);
}

/* Whether the last word before a place, or in its key, says that an hour follows: "Ora: 22.17.45". */
static bool says_hour(const struct scan *c, const char *at)
{
	const char *begin = scan_label_begin(c, at), *p = at;
	char folded[WORD_TEXT];

	if (c->s->key && p == c->s->begin)
		begin = c->s->key, p = c->s->key_end;
	while (p > begin && octet_is_of(p[-1], " :=\t|"))
		p--;
	at = p;
	while (p > begin && word_octet(p[-1]))
		p--;
	word_fold(p, at, folded);
	return word_in_list("ora ore alle orario uhrzeit zeit um tijdstip tijd tid klo kl heure hora godz* time",
			    folded);
}

/* A time, which may go on in the line below if it is prose: "on 3 May", "2026 at 10:00". */
static const char *read_time(const struct scan *c, const char *at, struct stamp *ret)
{
	const char *end = stamp_read(at, c->s->end, ret), *further, *beyond;
	struct stamp more;

	if (!end && c->s->end - at > 6 && (at[1] == '.' || at[2] == '.') && says_hour(c, at))
		return stamp_read_dotted(at, c->s->end, ret);
	if (!end || !ret->date || ret->clock || !c->s->all_end || c->s->end - end > 12)
		return end;
	beyond = line_beyond(c->s->end, c->s->all_end);
	if (!beyond)
		return end;
	further = stamp_read(at, beyond, &more);
	if (further <= c->s->end || !more.date || (more.year == ret->year && !more.clock))
		return end;
	*ret = more;
	return further;
}

/* Makes a day and an hour that follow each other, with nothing but words between, one time. */
static bool join_day(struct scan *c, const char *at, const char *end, const struct stamp *hour)
{
	struct reading *x = c->x;
	struct item *day = x->n_items > x->first_item ? &x->items[x->n_items - 1] : NULL;
	struct stamp *t = day && day->kind == ITEM_TIME ? &x->stamps[day->stamp] : NULL;

	if (!t || !t->date || t->clock || day->rank == RANK_OTHER || at - (x->text + day->at) > LABEL_TEXT ||
	    (c->more_zones && c->more_zones > x->text + day->at))
		return false;
	stamp_add_clock(t, hour);
	day->size = (uint32_t)(end - (x->text + day->at));
	if (!c->s->key && scan_rank(c, at) < day->rank)
		day->rank = scan_rank(c, at);
	return true;
}

/* Whether "[03/May/2026:10:00:00.123]" is right behind an endpoint, as of HAProxy: when it accepted the connection. */
static bool is_accepted(const struct scan *c, const char *at, const char *end)
{
	return c->last != NONE && c->last == c->addr && c->x->items[c->addr].port_item != NONE && !c->s->key &&
	       at - c->after == 2 && !memcmp(c->after, " [", 2) && end < c->s->end && *end == ']' && end - at > 11 &&
	       at[2] == '/' && at[6] == '/' && at[11] == ':';
}

/* Whether "2026 Feb 4" is what a word, a sign or a number before it counts, and no day: "port 2026 Feb 4 10:00:00". */
static bool is_counted(struct scan *c, const char *at)
{
	const char *line = scan_line(c, at), *p = at;

	if (c->s->end - at < 6 || scan_signs(at, at + 5, "0123456789") != at + 4 || at[4] != ' ' ||
	    !word_octet(at[5]) || digit_octet(at[5]))
		return false;
	while (p > line && octet_is_of(p[-1], " \t"))
		p--;
	return p > line && (word_octet(p[-1]) || octet_is_of(p[-1], "=#+*/-"));
}

/* Whether what names a time calls it local: "Start (local)", "localTime", "Ortszeit". */
static bool is_local(const struct scan *c, const char *at)
{
	static const char names[] = "local localtime ortszeit lokalzeit lokale* locale miejscow* местн*";

	return words_in_list(names, scan_label_begin(c, at), at) ||
	       (c->s->key && words_in_list(names, c->s->key, c->s->key_end));
}

/* Whether what names a time says that it is made of several: "median_time", or in a text the word before it. */
static bool is_mean(const struct scan *c, const char *at)
{
	const char *p = c->s->key ? c->s->key : scan_label_begin(c, at), *end = c->s->key ? c->s->key_end : at;
	char folded[WORD_TEXT];
	bool mean = false;

	while (word_next(&p, end, folded) && !(mean && c->s->key))
		mean = doubt_mark(folded) & MARK_MEAN;
	return mean;
}

/* A time at a place. Returns its end, or NULL. */
const char *scan_take_time(struct scan *c, const char *at)
{
	struct stamp t;
	const char *end = read_time(c, at, &t), *line;
	bool accepted;
	uint32_t i;

	if (!end || (digit_octet(*at) && is_counted(c, at)))
		return NULL;
	line = scan_signs(scan_line(c, at), at, " \t[(");
	/* A day that breaks off is none, and is no other number either. "Not at 10:00" is no time. */
	if ((!t.date && !t.clock) || (!c->s->cells && line != at && scan_label(c, at).negated))
		return scan_after(c, end), end;
	/* An hour alone is of a day that is named elsewhere, if a word says what it is, or of a line of a log. */
	if (!t.date && line != at && !c->s->cells && !(scan_label(c, at).any & WORD_TIME))
		return scan_after(c, end), end;
	if (!claim_given(&t.zone))
		zone_before(c, at, &t);
	if (!t.date && (line != at || c->s->key) && join_day(c, at, end, &t))
		return scan_after(c, end), end;
	accepted = t.date && t.clock && is_accepted(c, at, end);
	i = item_time(c->x, c->s->scope, at, end, &t);
	if (i != NONE) {
		c->x->items[i].rank = accepted ? RANK_EVENT : scan_of_other(c, at, end) ? RANK_NAMED : scan_rank(c, at);
		c->x->items[i].stamped = line == at && !c->s->key;
		c->x->items[i].mean = is_mean(c, at);
		c->x->items[i].local = !claim_given(&t.zone) && is_local(c, at);
		c->last = i;
	}
	scan_after(c, end);
	return end;
}

/* Whether the item before says the same of the same stretch. */
static bool is_again(const struct scan *c, const struct claim *zone)
{
	const struct reading *x = c->x;
	const struct item *before = x->n_items > c->first ? &x->items[x->n_items - 1] : NULL;

	return before && before->kind == ITEM_ZONE && before->scope == c->s->scope &&
	       claim_equal(&x->stamps[before->stamp].zone, zone);
}

/* Whether "not", or "no" of Spanish, is before a zone: times that are said to be of it are not. */
static void note_denied(struct reading *x, const char *before, const char *at, bool negated, const struct claim *zone)
{
	const char *word = at;
	bool no;

	if (x->n_denied == DENIED)
		return;

	while (word > before && octet_is_of(word[-1], " \t\n"))
		word--;
	no = word - before >= 2 && !memcmp(word - 2, "no", 2) && (word - 2 == before || !word_octet(word[-3]));
	if (no || negated)
		x->denied[x->n_denied++] = *zone;
}

/* Counts the zones of a stretch that differ. */
static void note_zone(struct scan *c, uint32_t i)
{
	const struct reading *x = c->x;

	for (unsigned k = 0; k < c->n_zones && i != NONE; k++)
		if (claim_equal(&x->stamps[c->zones[k]].zone, &x->stamps[x->items[i].stamp].zone))
			return;
	if (i != NONE)
		c->zones[c->n_zones++] = x->items[i].stamp;
}

/* Whether the key of a zone names a zone, and not that of a place or of one side: "timezone", not "geo.timezone". */
static bool names_field(struct scan *c, const char *at)
{
	static const char names[] = "tz timezone* zone zona zeitzone tijdzone fuseau fuso strefa* offset utcoffset";
	const char *key = c->s->key ? c->s->key : scan_label_begin(c, at), *end = c->s->key ? c->s->key_end : at;

	return words_in_list(names, key, end) &&
	       !words_in_list("geo geo* location country city user browser", key, end) && !label_read(key, end).role;
}

/* Of a line that names so many zones none is known to be that of a time. */
static void contradict(struct scan *c, const char *at, const char *end)
{
	item_zone(c->x, c->s->scope, at, end, &(struct claim){ .clash = true });
	c->n_zones = SCOPE_ITEMS;
}

void scan_take_zone(struct scan *c, const char *at, const char *end, const struct claim *zone)
{
	struct claim said = *zone;
	const char *before = at;
	struct label l;
	uint32_t i;

	if (is_again(c, zone))
		return;
	while (before > c->s->begin && at - before < 24 && !octet_is_of(before[-1], ",;.("))
		before--;
	l = label_read(before, at);
	if (!c->s->cells)
		note_denied(c->x, before, at, l.negated, zone);
	/* "five hours less than UTC", "not UTC" */
	if (l.any & WORD_UNLESS)
		return;
	/* Its scope keeps no more. */
	if (c->n_zones == SCOPE_ITEMS) {
		c->more_zones = at;
		return;
	}
	if (++c->all_zones == MOST_ZONES) {
		contradict(c, at, end);
		return;
	}
	if (!c->s->cells && !c->s->keyed && complaint_asked_zone(c->x, at, end))
		return;
	said.clash |= complaint_unsure_zone(c->x, at, end);
	i = item_zone(c->x, c->s->scope, at, end, &said);
	if (i != NONE)
		c->x->items[i].keyed = c->s->cells || c->s->keyed;
	if (i != NONE && c->x->items[i].keyed)
		c->x->items[i].field = names_field(c, at);
	note_zone(c, i);
}
