// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "base/withheld.h"
#include "evidence_files.h"
#include "evidence_guard.h"
#include "history/history_claims.h"
#include "history/history_grant_days.h"
#include "history_files.h"
#include "json_get.h"
#include "leases/lease_evidence.h"

/* ---- The question */

/* On one line, as whatever is shown on a terminal. NULL: no memory. */
static char *print_json(const cJSON *json)
{
	_cleanup_free_ char *raw = cJSON_PrintUnformatted(json);
	char *text = NULL;
	size_t size;
	FILE *out = raw ? open_memstream(&text, &size) : NULL;

	if (!out)
		return NULL;
	text_print_json(out, raw, strlen(raw));
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static void add_text(cJSON *json, const char *key, const char *text)
{
	if (text)
		cJSON_AddStringToObject(json, key, text);
}

char *evidence_question_text(const struct evidence_case *c)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	char when[TIME_TEXT];

	cJSON_AddStringToObject(json, "asked", time_format(c->asked, when));
	cJSON_AddStringToObject(json, "user", c->user);
	add_text(json, "sudo_user", c->sudo_user);
	add_text(json, "for", c->for_whom);
	cJSON_AddStringToObject(json, "case", c->name);
	add_text(json, "reason", c->reason);
	add_text(json, "gateway", c->gateway);
	cJSON_AddStringToObject(json, "endpoint", c->endpoint);
	cJSON_AddStringToObject(json, "at", time_format(c->t, when));
	cJSON_AddNumberToObject(json, "margin", c->margin);
	cJSON_AddNumberToObject(json, "evidence", EVIDENCE_FORM);
	return print_json(json);
}

bool evidence_case_read(const cJSON *question, struct evidence_case *ret)
{
	struct evidence_case c = { .name = json_text(question, "case", NULL),
				   .endpoint = json_text(question, "endpoint", NULL),
				   .user = json_text(question, "user", NULL),
				   .sudo_user = json_text(question, "sudo_user", NULL),
				   .for_whom = json_text(question, "for", NULL),
				   .reason = json_text(question, "reason", NULL),
				   .gateway = json_text(question, "gateway", NULL),
				   .margin = json_number(question, "margin") };

	if (!c.name || !c.endpoint || !c.user || !json_time(question, "asked", &c.asked) ||
	    !json_time(question, "at", &c.t))
		return false;
	*ret = c;
	return true;
}

char *evidence_head_text(const struct history_head *h)
{
	char *text = NULL, when[TIME_TEXT];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"hash\":\"%s\"", h->line, time_format(h->time, when),
		h->hash);
	clock_state_write(out, h->clock);
	fprintf(out, "%s}\n", h->unrecorded ? ",\"unrecorded\":true" : "");
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

/* ---- What people read */

/* What may be there, in the order of the text; NULL if another line speaks of it. */
static const struct {
	const char *name, *says;
} files[] = {
	{ EVIDENCE_QUESTION, "the question, and who asked" },
	{ EVIDENCE_ANSWER, "the answer, for programs" },
	{ EVIDENCE_VERSION, "the version of detnatctl that answered" },
	{ HISTORY_FILE, "the lines of the mapping history that decide; " HISTORY_HEAD_FILE " says where it ends" },
	{ HISTORY_HEAD_FILE, NULL },
	{ GRANT_EVIDENCE_FILE, "what lines of the history name in the files of grants of days" },
	{ CLAIMS_FILE, "claims from imported configurations about the time before it" },
	{ LEASE_EVIDENCE_FILE, "the lines of leases that decide the answer, each with the checksum of the one before" },
	{ EVIDENCE_PAGE, "this text, to be read in a browser or printed" },
	{ EVIDENCE_SUMS, "checksums of all these files; " EVIDENCE_SUMS ".sig signs them, if a key was given" },
};

bool evidence_has_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!strcmp(files[i].name, name))
			return true;
	return !strcmp(name, EVIDENCE_README);
}

/* Whether there is a sum of a file. */
static bool is_summed(const char *sums, const char *name)
{
	for (const char *at = sums, *end; (end = strchr(at, '\n')); at = end + 1)
		if ((size_t)(end - at) == HASH_TEXT + 1 + strlen(name) &&
		    !memcmp(at + HASH_TEXT + 1, name, strlen(name)))
			return true;
	return false;
}

static const char rules[] =
	"Without any of these lines the answer would be another one. All others are withheld, as they concern\n"
	"others: for a run of them stands its length, its times and the checksum of its last line, by which the\n"
	"next one follows; for the line of somebody who is none of the case, what it says without his names.\n"
	"Whoever must may have withheld lines shown, and check that they have these checksums.\n\n"
	"This text follows from the files. Which these were can be seen from a printed page, too, by SHA-256:\n";

static const char checks[] = "\nTo check\n"
			     "  sha256sum -c " EVIDENCE_SUMS "\n"
			     "  ssh-keygen -Y verify -f ALLOWED_SIGNERS -I SIGNER -n detnat-evidence -s " EVIDENCE_SUMS
			     ".sig <" EVIDENCE_SUMS "\n";

static void print_head(FILE *out, const struct evidence_case *c, const char *version)
{
	char when[TIME_TEXT], asked[TIME_TEXT];

	fprintf(out,
		"Case %s\n\n"
		"Question: which subscriber used %s at %s?\n"
		"Asked at %s, answered by detnatctl %s.\n",
		c->name, c->endpoint, time_format(c->t, when), time_format(c->asked, asked), version);
}

char *evidence_readme(const struct evidence_case *c, const char *version, const char *answer, const char *sums)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_head(out, c, version);
	if (c->gateway)
		fprintf(out, "Gateway: %s\n", c->gateway);
	fprintf(out, "\n%s\nFiles\n", answer);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i].says && (is_summed(sums, files[i].name) || i + 2 >= ARRAY_SIZE(files)))
			fprintf(out, "  %-15s %s\n", files[i].name, files[i].says);
	fprintf(out, "\n%s", rules);
	for (const char *at = sums, *end; (end = strchr(at, '\n')); at = end + 1)
		fprintf(out, "  %.*s\n", (int)(end - at), at);
	fprintf(out, "%s  detnatctl verify .\n", checks);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

int evidence_readme_around(const struct evidence_case *c, const char *version, char **ret_head, char **ret_end)
{
	char *head = NULL, *end = NULL, when[TIME_TEXT];
	size_t size;
	FILE *out = open_memstream(&head, &size);
	int n = asprintf(&end,
			 "%s  detnatctl history verify --state-dir .\n"
			 "  detnatctl who %s --at %s --state-dir .\n",
			 checks, c->endpoint, time_format(c->t, when));

	if (out)
		print_head(out, c, version);
	if (!out || fclose(out) || n < 0) {
		free(head);
		if (n >= 0)
			free(end);
		return -ENOMEM;
	}
	*ret_head = head;
	*ret_end = end;
	return 0;
}

char *evidence_page(const char *name, const char *readme)
{
	char *page = NULL, title[300];
	size_t size;
	FILE *out = open_memstream(&page, &size);

	if (!out)
		return NULL;
	snprintf(title, sizeof(title), "Case %s", name);
	evidence_html(out, title, readme);
	if (!fclose(out))
		return page;
	free(page);
	return NULL;
}
