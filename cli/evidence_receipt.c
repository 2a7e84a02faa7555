// SPDX-License-Identifier: BSD-2-Clause
/* What whoever complained may be told of an answer: whether there is one, and which evidence has it. */
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "command.h"
#include "evidence_decides.h"
#include "evidence_receipt.h"
#include "json_get.h"

static const char *const result_words[] = {
	[RECEIPT_IDENTIFIED] = "identified",
	[RECEIPT_NOT_KNOWN] = "not-known",
	[RECEIPT_NO_PORT] = "no-port",
};

static const char *const result_texts[] = {
	[RECEIPT_IDENTIFIED] = "a subscriber was identified",
	[RECEIPT_NOT_KNOWN] = "no subscriber is known",
	[RECEIPT_NO_PORT] = "the port is missing: many subscribers have the address at the same time",
};

/* One subscriber alone and, where customers are recorded, one customer. */
enum receipt_result receipt_result_of(const char *answer)
{
	_cleanup_json_ cJSON *json = cJSON_Parse(answer);
	const cJSON *customer = json_get(json, "customer");

	if (!json_inside(json, NULL) || cJSON_HasObjectItem(json, "also"))
		return RECEIPT_NOT_KNOWN;
	return !customer || cJSON_IsObject(customer) ? RECEIPT_IDENTIFIED : RECEIPT_NOT_KNOWN;
}

char *receipt_json(const struct receipt *r)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject();
	char when[TIME_TEXT];

	cJSON_AddStringToObject(json, "case", r->name);
	cJSON_AddStringToObject(json, "endpoint", r->endpoint);
	cJSON_AddStringToObject(json, "at", time_format(r->t, when));
	cJSON_AddStringToObject(json, "answered", time_format(r->now, when));
	cJSON_AddStringToObject(json, "result", result_words[r->result]);
	if (*r->sums)
		cJSON_AddStringToObject(json, "evidence", r->sums);
	else
		cJSON_AddNullToObject(json, "evidence");
	return cJSON_PrintUnformatted(json);
}

void receipt_print(struct writer *w, const struct receipt *r)
{
	char at[TIME_TEXT], now[TIME_TEXT], *json = w->json ? receipt_json(r) : NULL;

	if (json)
		writer_json(w, json, strlen(json));
	cJSON_free(json);
	if (w->json)
		return;
	writer_line(w, "Receipt of case %s", r->name);
	writer_line(w, "Question:       which subscriber used %s at %s?", r->endpoint, time_format(r->t, at));
	writer_line(w, "Answered:       %s", time_format(r->now, now));
	writer_line(w, "Result:         %s", result_texts[r->result]);
	if (*r->sums)
		writer_line(w,
			    "Evidence:       kept for those whom the law entitles to it; SHA-256 of its SHA256SUMS:");
	if (*r->sums)
		writer_line(w, "                %s", r->sums);
}
