/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_by.h"

#include <inttypes.h>

#include "base/json_text.h"
#include "base/text.h"

struct history_by history_by(const char *what)
{
	struct history_by by = { 0 };

	snprintf(by.what, sizeof(by.what), "%s", what);
	return by;
}

struct history_by history_by_user(const char *command, uint32_t uid)
{
	struct history_by by = history_by(command);

	by.person = true;
	by.uid = uid;
	if (account_name(uid, by.user))
		by.user[0] = '\0';
	return by;
}

void history_by_write(FILE *out, const struct history_by *by)
{
	if (!*by->what)
		return;
	fputs(",\"by\":{\"what\":", out);
	text_json_string(out, by->what);
	if (by->person)
		fprintf(out, ",\"uid\":%" PRIu32, by->uid);
	if (*by->user) {
		fputs(",\"user\":", out);
		text_json_string(out, by->user);
	}
	fputc('}', out);
}

void history_by_read(const cJSON *json, struct history_by *ret)
{
	const cJSON *by = cJSON_GetObjectItemCaseSensitive(json, "by");
	uint64_t uid;

	*ret = history_by(json_text(by, "what", ""));
	if (!json_count(by, "uid", &uid) || uid > UINT32_MAX)
		return;
	ret->person = true;
	ret->uid = (uint32_t)uid;
	snprintf(ret->user, sizeof(ret->user), "%s", json_text(by, "user", ""));
}

char *history_by_text(const struct history_by *by, char ret[static BY_TEXT])
{
	int n = snprintf(ret, BY_TEXT, "%s", *by->what ? QUOTED(by->what) : "");

	if (text_plain(by->what))
		n = snprintf(ret, BY_TEXT, "%s", by->what);
	if (by->person)
		snprintf(ret + n, BY_TEXT - (size_t)n, " of %s (uid %" PRIu32 ")",
			 *by->user ? QUOTED(by->user) : "a user", by->uid);
	return ret;
}
