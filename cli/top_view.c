// SPDX-License-Identifier: BSD-2-Clause
#include "top_view.h"

#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "base/text.h"
#include "json_get.h"
#include "proto/reason_texts.h"

#define HOME	  "\033[H"
#define CLEAR_END "\033[K" /* to the end of the line */
#define CLEAR	  "\033[J" /* to the end of the screen */
#define REVERSE	  "\033[7m"
#define BOLD	  "\033[1m"
#define PLAIN	  "\033[0m"

/* Lines that are neither counters nor subscribers: the title, two headers, two blank lines, the footer. */
#define OTHER_LINES 6U

#define LINE_MAX_COLUMNS 512U
#define BAR_WIDEST	 20U

/* Prints a line in the given style, cut to the screen's width. */
static void __attribute__((format(printf, 4, 5)))
line(FILE *out, const struct top_view *v, const char *style, const char *format, ...)
{
	char raw[LINE_MAX_COLUMNS], text[LINE_MAX_COLUMNS];
	unsigned width = v->columns < sizeof(text) ? v->columns : sizeof(text) - 1;
	va_list ap;

	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	text_escape(text, sizeof(text), raw, strlen(raw));
	fprintf(out, "%s%.*s%s" CLEAR_END "\n", style, (int)width, text, *style ? PLAIN : "");
}

/* "[####......]  40%"; any use is visible, and the bar is full only if everything is used. */
static const char *bar(char text[static 64], unsigned width, double used, double of)
{
	double share = of > 0 ? used / of : 0;
	unsigned filled = share >= 1 ? width : (unsigned)(share * width), percent = (unsigned)(share * 100);
	char *at = text;

	if (used > 0 && !filled)
		filled = 1;
	if (filled == width && share < 1)
		filled = width - 1;
	*at++ = '[';
	for (unsigned i = 0; i < width; i++)
		*at++ = i < filled ? '#' : '.';
	snprintf(at, 16, "] %3u%%", percent < 999 ? percent : 999);
	return text;
}

static double rate(const struct top_view *v, const cJSON *now, const cJSON *before, const char *key)
{
	double difference = json_number(now, key) - json_number(before, key);

	return before && v->seconds > 0 && difference > 0 ? difference / v->seconds : 0;
}

static unsigned busy_reasons(const struct top_view *v)
{
	unsigned n = 0, most = v->rows / 3;

	for (size_t i = 0; i < N_EXITS; i++)
		n += rate(v, v->counters, v->before, reason_texts[i].name) > 0;
	return n < most ? n : most;
}

static void draw_packets(FILE *out, const struct top_view *v)
{
	unsigned room = busy_reasons(v);

	line(out, v, REVERSE, "%12s  %-24s %-*s", "PACKETS/S", "COUNTER", (int)v->columns, "MEANING");
	for (size_t i = 0; room && i < N_EXITS; i++) {
		double packets = rate(v, v->counters, v->before, reason_texts[i].name);

		if (packets <= 0)
			continue;
		line(out, v, strncmp(reason_texts[i].name, "drop_", 5) ? "" : BOLD, "%12.0f  %-24s %s", packets,
		     reason_texts[i].name, reason_texts[i].text);
		room--;
	}
}

unsigned top_view_subscribers(const struct top_view *v)
{
	unsigned others = OTHER_LINES + busy_reasons(v);

	return v->rows > others + 1 ? v->rows - others : 1;
}

/* The row of the same subscriber in another list. */
static const cJSON *find(const cJSON *list, const cJSON *s)
{
	const char *addr = json_inside(s, ""), *tenant = json_text(s, "tenant", "");
	const cJSON *one;

	cJSON_ArrayForEach (one, list)
		if (!strcmp(json_inside(one, ""), addr) && !strcmp(json_text(one, "tenant", ""), tenant))
			return one;
	return NULL;
}

/* The widths of the columns that depend on the screen and on what stands in them. */
struct widths {
	unsigned subscriber, bar;
};

/* What is neither address, bars nor tenant of a subscriber's line. */
#define OTHER_COLUMNS 48U

static struct widths widths_of(const struct top_view *v)
{
	unsigned tenant = 0, used, width = 15;
	const cJSON *s;

	cJSON_ArrayForEach (s, v->top) {
		unsigned addr = (unsigned)strlen(json_inside(s, "")),
			 name = (unsigned)strlen(json_text(s, "tenant", ""));

		width = addr > width ? addr : width;
		tenant = name > tenant ? name : tenant;
	}
	used = width + OTHER_COLUMNS + (tenant ? tenant + 2 : 0);
	used = v->columns > used ? (v->columns - used) / 2 : 0;
	return (struct widths){ width, used < BAR_WIDEST ? used : BAR_WIDEST };
}

static void draw_subscriber(FILE *out, const struct top_view *v, const cJSON *s, struct widths width)
{
	const char *addr = json_inside(s, NULL), *tenant = json_text(s, "tenant", "");
	double sessions = json_number(s, "sessions"), quota = json_number(s, "quota");
	char quota_bar[64], ports_bar[64];

	if (!addr)
		return;
	line(out, v, sessions >= quota ? BOLD : "", "%-*s %8.0f %s %s %12.0f %9.0f%s%s", (int)width.subscriber, addr,
	     sessions, bar(quota_bar, width.bar, sessions, quota),
	     bar(ports_bar, width.bar, json_number(s, "ports_used"), json_number(s, "ports")),
	     json_number(s, "quota_exceeded"), rate(v, s, find(v->top_before, s), "quota_exceeded"),
	     *tenant ? "  " : "", tenant);
}

static void draw_subscribers(FILE *out, const struct top_view *v)
{
	unsigned room = top_view_subscribers(v);
	struct widths width = widths_of(v);
	const cJSON *s;

	line(out, v, REVERSE, "%-*s %8s %-*s %-*s %12s %9s%-*s", (int)width.subscriber, "SUBSCRIBER", "SESSIONS",
	     (int)width.bar + 7, width.bar ? "OF QUOTA" : "QUOTA", (int)width.bar + 7, width.bar ? "OF PORTS" : "PORTS",
	     "REFUSED", "REFUSED/S", (int)v->columns, "");
	cJSON_ArrayForEach (s, v->top)
		if (room && room--)
			draw_subscriber(out, v, s, width);
	if (v->top && !cJSON_GetArraySize(v->top))
		line(out, v, "", "%s",
		     v->by_quota ? "no subscriber was refused a session" : "no subscriber has a session");
}

/* "1.2 Gbit/s": of IP packets that were translated this way since the previous frame. */
static const char *bits(const struct top_view *v, const char *key, char text[static 32])
{
	static const char *const units[] = { "bit", "kbit", "Mbit", "Gbit", "Tbit" };
	double a_second = rate(v, v->octets, v->octets_before, key) * 8;
	unsigned unit = 0;

	for (; a_second >= 1000 && unit < sizeof(units) / sizeof(*units) - 1; unit++)
		a_second /= 1000;
	snprintf(text, 32, unit ? "%.1f %s/s" : "%.0f %s/s", a_second, units[unit]);
	return text;
}

static void draw_first(FILE *out, const struct top_view *v)
{
	unsigned uptime = (unsigned)json_number(v->status, "uptime");

	if (!v->status) {
		line(out, v, BOLD, "detnat: waiting for the agent");
		return;
	}
	line(out, v, BOLD, "detnat: %.0f sessions, %.0f mapping%s, up %u d %02u:%02u:%02u",
	     json_number(v->status, "sessions"), json_number(v->status, "mappings"),
	     json_number(v->status, "mappings") == 1 ? "" : "s", uptime / 86400, uptime / 3600 % 24, uptime / 60 % 60,
	     uptime % 60);
}

static void draw_second(FILE *out, const struct top_view *v)
{
	char leaving[32], entering[32];

	if (v->trouble)
		line(out, v, "", "%s", v->trouble);
	else if (v->octets_before)
		line(out, v, "", "translated: %s out, %s in", bits(v, "in2out_octets", leaving),
		     bits(v, "out2in_octets", entering));
	else
		line(out, v, "", "%s", "");
}

void top_view_draw(FILE *out, const struct top_view *v)
{
	fputs(HOME, out);
	draw_first(out, v);
	draw_second(out, v);
	draw_packets(out, v);
	line(out, v, "", "%s", "");
	draw_subscribers(out, v);
	fprintf(out, CLEAR "\033[%u;1H%.*s" CLEAR_END, v->rows, (int)v->columns,
		v->by_quota ? "q quit   s by sessions   [r by refusals]" : "q quit   [s by sessions]   r by refusals");
}
