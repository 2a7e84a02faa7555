// SPDX-License-Identifier: BSD-2-Clause
/* A text by its lines: headers of mail, which are passed over, structures, blocks of "Key: value", and prose. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_fields.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_quotes.h"
#include "complaints/complaint_scan.h"

/* A text under way. */
struct walk {
	struct reading *x;
	const char *end;
	uint32_t part, block; /* scopes; no block: NONE */
	uint64_t first_key, addr_key;
	bool has_addr;			 /* the block has one */
	uint32_t day;			 /* that the block above names, or that of the log that goes on; NONE */
	const char *day_begin, *day_end; /* of the block above, until it is known that its day is theirs; else NULL */
	size_t first_item;		 /* of the block */
	const char *begin;		 /* of the block */
	const char *looked; /* up to there the form of the blocks is known; and the last line that says it, or NULL */
	const char *served;
};

static uint64_t key_hash(const char *at, const char *end)
{
	uint64_t hash = 14695981039346656037U;

	for (; at < end; at++)
		if (word_octet(*at))
			hash = (hash ^ (unsigned char)tolower((unsigned char)*at)) * 1099511628211U;
	return hash | 1;
}

/* The mail's own time, from which no question is taken. */
static void note_sent(struct reading *x, const char *at, const char *end)
{
	for (; at < end; at = line_next(at, end)) {
		struct stamp s;
		const char *p = at + 5;

		if (strncasecmp(at, "date:", 5) != 0)
			continue;
		while (p < end && *p != '\n' && !isdigit((unsigned char)*p))
			p++;
		if (!x->sent.date && stamp_read(p, end, &s) && s.date && s.clock)
			x->sent = s;
	}
}

/* Whether the first two octets are those of a name in small letters: nearly all lines end the search there. */
static bool begins_alike(const char *at, const char *name)
{
	return (at[0] | 32) == name[0] && (at[1] | 32) == name[1];
}

/* What a block says about its form: X-ARF's own schema has the port of the service. Blocks of one stretch of lines
 * share the look at it. */
static void look_ahead(struct walk *w, const char *at)
{
	static const char *const marks[] = { "reported-from:", "report-type:", "report-id:", "schema-url:",
					     "service:",       "service ",     "dienst:" };
	static const char *const protocols[] = { "protocol:", "protokoll:", "application:", "daemon:", "jail:" };
	const char *p = at;

	for (; at >= w->looked && p < w->end && !line_is_rule(p, line_end(p, w->end)); p = line_next(p, w->end)) {
		const char *key = line_inner(p, w->end);

		/* None begins otherwise. */
		if (!octet_is_of((char)(*key | 32), "rsdpaj"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (begins_alike(key, marks[i]) && !strncasecmp(key, marks[i], strlen(marks[i])))
				w->served = p;
		for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
			if (begins_alike(key, protocols[i]) && !strncasecmp(key, protocols[i], strlen(protocols[i])) &&
			    scan_is_service(scan_signs(key + strlen(protocols[i]), w->end, " \t"), w->end))
				w->served = p;
	}
	w->looked = at >= w->looked ? p : w->looked;
	w->x->served = w->served && w->served >= at;
}

/* The day that the block at its end gives to the log below it: its only time, and it has no address. */
static uint32_t day_of_block(const struct walk *w)
{
	const struct reading *x = w->x;
	uint32_t day = NONE;

	for (size_t i = w->first_item; i < x->n_items; i++) {
		const struct item *a = &x->items[i];
		bool is_day = a->kind == ITEM_TIME && x->stamps[a->stamp].date && !x->stamps[a->stamp].clock;

		if (a->kind == ITEM_ADDR || (a->kind == ITEM_TIME && (!is_day || day != NONE || a->rank >= RANK_STRAY)))
			return NONE;
		day = is_day ? (uint32_t)i : day;
	}
	return day;
}

/* The block ends at a place. */
static void end_block(struct walk *w, const char *at)
{
	if (w->block != NONE && !w->has_addr) {
		w->day = day_of_block(w);
		w->day_begin = w->begin;
		w->day_end = at;
	}
	w->block = NONE;
}

/* The day above the lines of a log is theirs if the first begins with an hour. first: item of that line. */
static void take_day(struct walk *w, size_t first)
{
	struct reading *x = w->x;
	struct item *hour = first < x->n_items ? &x->items[first] : NULL;
	uint32_t i;

	if (w->day == NONE || first != w->first_item)
		return;
	if (!hour || x->error)
		return;
	if (hour->kind != ITEM_TIME || !hour->stamped || x->stamps[hour->stamp].date) {
		w->day = NONE;
		return;
	}
	/* It goes on behind an empty line. */
	if (w->day_begin && !complaint_gives_day(x, w->day, w->day_begin, w->day_end)) {
		w->day = NONE;
		return;
	}
	w->day_begin = NULL;
	i = item_add(x, ITEM_TIME, w->block, x->text + x->items[w->day].at,
		     x->text + x->items[w->day].at + x->items[w->day].size);
	if (i == NONE)
		return;
	x->items[i].stamp = x->items[w->day].stamp;
	x->items[i].rank = x->items[w->day].rank;
}

static void begin_block(struct walk *w, const char *at)
{
	w->begin = at;
	w->first_item = w->x->n_items;
	w->block = scope_add(w->x, w->part);
	if (!w->x->error)
		w->x->scopes[w->block].block = true;
	w->first_key = w->addr_key = 0;
	w->has_addr = false;
	w->x->first_item = w->x->n_items;
	w->x->addr = NONE;
	w->x->paired = false;
	look_ahead(w, at);
}

/* A record that begins anew without an empty line: the key of its first line, or of its address, is there again. */
static void split_block(struct walk *w, const char *at, const char *key, const char *stop)
{
	uint64_t hash = key_hash(key, stop);
	unsigned any;

	if (w->has_addr && (hash == w->first_key || hash == w->addr_key))
		begin_block(w, at);
	if (!w->first_key)
		w->first_key = hash;
	if (w->addr_key)
		return;
	any = label_read(key, stop).any;
	if (any & (WORD_ADDR | WORD_SOURCE) && !(any & (WORD_PORT | WORD_TARGET)))
		w->addr_key = hash;
}

/* A port that ends a record of "key=value" in which no port of the target is may have lost its last digits. */
static void mark_cut(const struct walk *w, const char *at, const char *end)
{
	struct reading *x = w->x;
	struct item *last = x->n_items > x->first_item ? &x->items[x->n_items - 1] : NULL;
	const char *next;
	unsigned pairs = 0;

	if (!last || last->kind != ITEM_PORT || x->text + last->at + last->size != end)
		return;
	next = line_next(end, w->end);
	for (const char *p = at; (p = memchr(p, '=', (size_t)(end - p))); p++)
		pairs++;
	if (pairs < 3 || (next < w->end && !line_is_rule(next, line_end(next, w->end))))
		return;
	last->cut = true;
	for (size_t i = x->first_item; i < x->n_items; i++)
		if (x->items[i].kind == ITEM_PORT && x->items[i].role == WORD_TARGET)
			last->cut = false;
}

/* Whether a line begins an entry of a list that is numbered. */
static bool is_entry(const char *at, const char *end)
{
	const char *p = at;

	while (p < end && isalnum((unsigned char)*p) && p - at < 3)
		p++;
	return p > at && p < end && (*p == ')' || (*p == '.' && isdigit((unsigned char)*at))) && p + 1 < end &&
	       p[1] == ' ';
}

static bool has_address(const char *at, const char *end)
{
	uint32_t any;

	for (; at < end; at++)
		if (isdigit((unsigned char)*at) && addr_at(at, end, &any))
			return true;
	return false;
}

/* Where the flow of the answers begins that conntrack writes behind that of the questions: "src=" comes again. */
static const char *second_flow(const char *at, const char *end)
{
	const char *first = end - at < 8 ? NULL : memmem(at, (size_t)(end - at), "src=", 4);
	const char *again = first ? memmem(first + 4, (size_t)(end - first - 4), "src=", 4) : NULL;

	return again ? again : end;
}

/*
 * The end of the line below if it is the rest of a line of a log: one that begins with a time and has no address, above
 * a blank and an address, as "tcpdump -v" writes packets. Else that of the line.
 */
static const char *with_rest(const char *at, const char *end, const char *all)
{
	const char *below, *p;
	struct stamp t;
	uint32_t any;

	if (!digit_octet(*at))
		return end;
	below = line_next(end, all);
	p = scan_signs(below, all, " \t");
	if (p == below || p >= all || !digit_octet(*p) || !addr_at(p, line_end(p, all), &any))
		return end;
	return stamp_read(at, end, &t) && t.clock && !has_address(at, end) ? line_end(p, all) : end;
}

/* Whether a place is right behind an address that has no port. */
static bool ends_address(const char *begin, const char *at)
{
	const char *p = at;
	uint32_t any;

	while (p > begin && at - p < 16 && (digit_octet(p[-1]) || p[-1] == '.'))
		p--;
	return p < at && addr_at(p, at, &any) == at && (p == begin || p[-1] != ':');
}

/*
 * Whether two lines of prose have an address each, with "or" between, or "and" right behind one without a port: what is
 * said behind them is said of both.
 */
static bool are_joined(const char *at, const char *end, const char *all)
{
	static const char or [] = "or oder ou o of eller lub albo или bzw alternatively alternativ*",
			     and[] = "and und et y e en och i и";
	const char *below, *stop, *word = end, *behind, *value;
	char above[WORD_TEXT], first[WORD_TEXT];

	/* Without a dot in both there are no two addresses. */
	if (!memchr(at, '.', (size_t)(end - at)))
		return false;
	below = line_next(end, all);
	stop = line_end(below, all);
	if (below >= all || !memchr(below, '.', (size_t)(stop - below)) ||
	    line_key_end(line_inner(below, stop), stop, &value))
		return false;
	for (; word > at && octet_is_of(word[-1], " \t,"); end = word)
		word--;
	for (behind = word; word > at && word_octet(word[-1]);)
		word--;
	word_fold(word, behind, above);
	word_fold(scan_signs(below, stop, " \t("), stop, first);
	if (!word_in_list(or, above) && !word_in_list(or, first)) {
		if (word_in_list(and, above))
			while (word > at && octet_is_of(word[-1], " ,"))
				word--;
		else if (word_in_list(and, first))
			word = behind;
		else
			return false;
		if (!ends_address(at, word))
			return false;
	}
	return has_address(at, end) && has_address(below, stop);
}

/*
 * Reads the first "Received:" of a header that has an endpoint, as Exim writes them: "from [203.0.113.36] (port=5100
 * helo=x) by … ; TIME". What is below may be made up by who sent it.
 */
static void take_received(struct walk *w, const char *at, const char *end)
{
	struct reading *x = w->x;

	for (const char *stop; at < end && !x->error; at = stop) {
		size_t items = x->n_items, scopes = x->n_scopes, stamps = x->n_stamps;
		const char *field = scan_signs(at, end, " \t>");
		struct stretch s = { .begin = field + 9 };

		for (stop = line_next(at, end); stop < end && octet_is_of(*scan_signs(stop, end, ">"), " \t");)
			stop = line_next(stop, end);
		if (end - field < 10 || strncasecmp(field, "received:", 9) != 0)
			continue;
		begin_block(w, at);
		s.end = stop;
		s.scope = scope_add(x, w->block);
		complaint_scan(x, &s);
		for (size_t i = items; i < x->n_items; i++)
			if (x->items[i].kind == ITEM_ADDR && !x->items[i].done && x->items[i].role != WORD_TARGET &&
			    x->items[i].port_item != NONE)
				return end_block(w, stop);
		x->n_items = items;
		x->n_scopes = scopes;
		x->n_stamps = stamps;
		w->block = NONE;
	}
}

/* Returns where it ends. */
static const char *take_line(struct walk *w, const char *at, const char *end)
{
	struct reading *x = w->x;
	const char *value, *key = line_inner(at, end), *stop = line_key_end(key, end, &value);
	size_t first = x->n_items;
	struct stretch s = { .begin = at, .end = end };
	const char *after;

	if (w->block == NONE)
		begin_block(w, at);
	if (w->has_addr && ((is_entry(key, end) && has_address(at, end)) || line_is_day(at, end)))
		begin_block(w, at);
	if (stop && !isdigit((unsigned char)*key))
		split_block(w, at, key, stop);
	s.end = second_flow(at, end);
	s.keyed = stop != NULL;
	s.scope = scope_add(x, w->block);
	s.all_end = w->end;
	x->paired |= line_has_pair(at, end);
	if (!x->error)
		x->scopes[s.scope].line = !s.keyed;
	after = complaint_scan(x, &s);
	for (size_t i = first; i < x->n_items; i++)
		w->has_addr |= x->items[i].kind == ITEM_ADDR && !x->items[i].done;
	mark_cut(w, at, end);
	take_day(w, first);
	if (x->n_items == first && x->n_scopes == s.scope + 1U)
		x->n_scopes--;
	return after > end ? after : end;
}

/* The end of a structure that begins in a line, which ends at a place; NULL: none does. */
static const char *structure(struct walk *w, const char *at, const char *end)
{
	const char *p = scan_signs(at, end, " \t"), *after = NULL;

	if (*p == '{' || *p == '[')
		after = complaint_json(w->x, w->part, p, w->end);
	if (!after && memchr(p, '<', (size_t)(end - p)))
		after = complaint_xml(w->x, w->part, p, w->end);
	return after ? after : complaint_table(w->x, w->part, at, w->end);
}

/* Whether a header of a mail has "Received:". */
static bool has_received(const char *at, const char *end)
{
	for (; at < end; at = line_next(at, end)) {
		const char *field = scan_signs(at, end, " \t>");

		if (end - field > 9 && (*field | 32) == 'r' && !strncasecmp(field, "received:", 9))
			return true;
	}
	return false;
}

/* Takes what the header of a mail within says of its way. */
static void take_way(struct walk *w, const char *at, const char *end)
{
	struct reading *x = w->x;

	if (x->received)
		take_received(w, at, end);
	else
		x->routed = x->routed || has_received(at, end);
}

static void take_part(struct reading *x, const char *at, const char *end, bool header)
{
	struct walk w = { .x = x, .end = end, .part = scope_add(x, 0), .block = NONE, .day = NONE, .looked = at };
	const char *body = fields_of_mail(at, end);

	if (body && (header || at == x->text))
		note_sent(x, at, body);
	if (body && at > x->text)
		take_way(&w, at, body);
	at = body ? body : at;
	while (at < end && !x->error) {
		const char *stop = line_end(at, end), *after;

		if (line_is_divider(at, stop)) {
			end_block(&w, at);
			at = line_next(at, end);
			continue;
		}
		if (line_is_rule(at, stop) && !strchr("{[", at[strspn(at, " \t")])) {
			end_block(&w, at);
			at = line_next(at, end);
			continue;
		}
		after = w.block == NONE ? fields_quoted(at, end) : at;
		if (after > at)
			take_way(&w, at, after);
		after = after > at ? after : structure(&w, at, stop);
		if (after) {
			end_block(&w, at);
			at = line_next(after > at ? after - 1 : at, end);
			continue;
		}
		stop = take_line(&w, at,
				 are_joined(at, stop, end) ? line_end(line_next(stop, end), end)
							   : with_rest(at, stop, end));
		at = stop < end && *stop == '\n' ? stop + 1 : stop;
	}
}

static void take_parts(struct reading *x)
{
	x->n_items = x->n_stamps = x->n_scopes = 0;
	x->n_denied = 0;
	x->clause = (struct clause){ 0 };
	x->seen = x->foreign = false;
	scope_add(x, NONE);
	for (size_t i = 0; i < x->n_parts; i++) {
		const char *begin = x->text + x->parts[i].at;
		const char *end = i + 1 < x->n_parts ? x->text + x->parts[i + 1].at : x->text + x->size;

		take_part(x, begin, end, x->parts[i].header);
	}
}

/*
 * Whether the text has a question: an address with its port, or an address, a port that is not the target's and a time
 * in one block.
 */
static bool any_question(const struct reading *x)
{
	enum { ADDR = 1, PORT = 2, TIME = 4 };
	uint32_t block = NONE;
	unsigned has = 0;

	for (size_t i = 0; i < x->n_items; i++) {
		const struct item *a = &x->items[i];
		uint32_t scope = a->scope;

		if (a->kind == ITEM_ADDR && !a->done && a->role != WORD_TARGET && a->port_item != NONE)
			return true;
		if (scope == NONE || a->role == WORD_TARGET || a->done)
			continue;
		while (!x->scopes[scope].block && !x->scopes[scope].closed && x->scopes[scope].parent != NONE)
			scope = x->scopes[scope].parent;
		has = scope == block ? has : 0;
		block = scope;
		has |= a->kind == ITEM_ADDR ? ADDR : a->kind == ITEM_PORT ? PORT : a->kind == ITEM_TIME ? TIME : 0;
		if (has == (ADDR | PORT | TIME))
			return true;
	}
	return false;
}

void complaint_text(struct reading *x)
{
	char *whole = strndup(x->text, x->size);

	if (!whole) {
		x->error = -ENOMEM;
		return;
	}
	if (quotes_blank(x, whole)) {
		take_parts(x);
		if (!any_question(x)) {
			x->own_time = quotes_own_time(x, whole);
			x->own_port = quotes_own_port(x);
			x->quoted = complaint_about_quoted(x);
			memcpy(x->text, whole, x->size);
			quotes_bare(x);
			take_parts(x);
		}
	} else {
		take_parts(x);
	}
	if (x->routed && !any_question(x)) {
		x->received = true;
		take_parts(x);
	}
	free(whole);
}
