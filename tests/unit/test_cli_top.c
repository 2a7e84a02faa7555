/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen of top, of every size. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "top_view.h"

static const char status_text[] = "{\"version\":\"1\",\"uptime\":90061,\"mappings\":2,\"sessions\":123456}";
static const char before_text[] = "{\"in2out_translated\":1000,\"drop_quota\":5,\"arp_answered\":7}";
static const char after_text[] = "{\"in2out_translated\":5000,\"drop_quota\":25,\"arp_answered\":7}";

static const char octets_before_text[] = "{\"in2out_octets\":1000,\"out2in_octets\":0}";
static const char octets_text[] = "{\"in2out_octets\":251000,\"out2in_octets\":3087500000}";

TestSuite(cli_top, .timeout = 300);

/* The frame without escape sequences. */
static char *draw(const struct top_view *v)
{
	char *text = NULL, *to;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	top_view_draw(out, v);
	fclose(out);
	to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '\033') {
			*to++ = *from;
			continue;
		}
		from += 2 + strspn(from + 2, "0123456789;?");
	}
	*to = 0;
	return text;
}

static struct top_view view(unsigned rows, unsigned columns, unsigned subscribers)
{
	cJSON *top = cJSON_CreateArray(), *before = cJSON_CreateArray();

	for (unsigned i = 0; i < subscribers; i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "{\"in_addr\":\"10.0.0.%u\",\"sessions\":%u,\"quota_exceeded\":%u,\"quota\":100,\"ports_"
			 "used\":8,"
			 "\"ports\":16}",
			 i, 100 - i, 30 + i);
		cJSON_AddItemToArray(top, cJSON_Parse(text));
		snprintf(text, sizeof(text), "{\"in_addr\":\"10.0.0.%u\",\"quota_exceeded\":10}", i);
		cJSON_AddItemToArray(before, cJSON_Parse(text));
	}
	return (struct top_view){
		.rows = rows,
		.columns = columns,
		.status = cJSON_Parse(status_text),
		.counters = cJSON_Parse(after_text),
		.before = cJSON_Parse(before_text),
		.octets = cJSON_Parse(octets_text),
		.octets_before = cJSON_Parse(octets_before_text),
		.seconds = 2,
		.top = top,
		.top_before = before,
	};
}

static void view_free(struct top_view *v)
{
	cJSON_Delete((cJSON *)v->status);
	cJSON_Delete((cJSON *)v->counters);
	cJSON_Delete((cJSON *)v->before);
	cJSON_Delete((cJSON *)v->octets);
	cJSON_Delete((cJSON *)v->octets_before);
	cJSON_Delete((cJSON *)v->top);
	cJSON_Delete((cJSON *)v->top_before);
}

Test(cli_top, shows_rates_bars_and_subscribers)
{
	static const char *const wanted[] = {
		"detnat: 123456 sessions, 2 mappings, up 1 d 01:01:01\ntranslated: 1.0 Mbit/s out, 12.3 Gbit/s in\n",
		"\n        2000  in2out_translated        translated from inside to outside\n",
		"\n          10  drop_quota               subscriber at its session quota\n",
		"\n10.0.0.0             100 [########] 100% [####....]  50%           30        10\n",
		"\n10.0.0.1              99 [#######.]  99% [####....]  50%           31        10\n",
		"q quit   [s by sessions]   r by refusals",
	};
	struct top_view v = view(24, 80, 3);
	char *text = draw(&v);

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		cr_expect(strstr(text, wanted[i]), "%s in\n%s", wanted[i], text);
	cr_expect(!strstr(text, "arp_answered"));
	free(text);
	view_free(&v);
}

Test(cli_top, long_subscribers_take_the_room_of_the_bars)
{
	struct top_view v = view(24, 80, 1);
	char *text;

	cJSON_AddStringToObject(v.top->child, "in_prefix", "2001:db8:4000:300::/56");
	cJSON_DeleteItemFromObject(v.top->child, "in_addr");
	text = draw(&v);
	cr_expect(strstr(text, "\n2001:db8:4000:300::/56      100 [#####] 100% [##...]  50%           30         0\n"),
		  "%s", text);
	free(text);
	view_free(&v);
}

Test(cli_top, every_frame_fits_its_screen)
{
	for (unsigned rows = 1; rows < 60; rows++) {
		for (unsigned columns = 1; columns < 200; columns += 7) {
			struct top_view v = view(rows, columns, 70);
			char *text = draw(&v), *rest = text, *line;
			unsigned lines = 0;

			while ((line = strsep(&rest, "\n"))) {
				lines++;
				cr_assert(strlen(line) <= columns, "%u columns: %s", columns, line);
			}
			/* Seven lines are on each; a screen of fewer scrolls. */
			cr_assert(lines <= rows || lines <= 9, "%u rows: %u", rows, lines);
			free(text);
			view_free(&v);
		}
	}
}

Test(cli_top, shows_what_there_is)
{
	struct top_view v = { .rows = 24, .columns = 80, .trouble = "no agent answers" };
	char *text = draw(&v);

	cr_expect(strstr(text, "waiting for the agent") && strstr(text, "no agent answers"), "%s", text);
	free(text);
	v = view(24, 80, 0);
	cJSON_Delete((cJSON *)v.before);
	v.before = NULL;
	v.by_quota = true;
	text = draw(&v);
	cr_expect(strstr(text, "no subscriber was refused") && strstr(text, "[r by refusals]") &&
			  !strstr(text, "in2out"),
		  "%s", text);
	free(text);
	view_free(&v);
}
