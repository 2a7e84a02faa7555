// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/whole_file.h"
#include "base/withheld.h"
#include "command.h"
#include "customer.h"
#include "json_get.h"

#define QUESTION_MAX 65536U

char *evidence_read_text(const char *dir, const char *name, uint64_t most, size_t *ret_size)
{
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = at < 0 ? -1 : file_open(at, name);
	char *text = NULL;
	size_t size;
	int r = fd < 0 ? -errno : file_read(fd, most, &text, &size);

	if (r) {
		errno = -r;
		return NULL;
	}
	text[size] = '\0';
	*ret_size = size;
	return text;
}

cJSON *evidence_read_question(const char *dir)
{
	size_t size;
	_cleanup_free_ char *text = evidence_read_text(dir, EVIDENCE_QUESTION, QUESTION_MAX, &size);

	return text ? cJSON_ParseWithLength(text, size) : NULL;
}

static double margin_of(const cJSON *json)
{
	return cJSON_HasObjectItem(json, "margin") ? json_number(json, "margin") : DEFAULT_MARGIN;
}

int evidence_answers(const char *dir, const struct history_files *f, const char *endpoint, int64_t t, const cJSON *args,
		     struct error *err)
{
	_cleanup_json_ cJSON *question = f->index.evidence ? evidence_read_question(dir) : NULL;
	const char *own = json_text(question, "endpoint", "");
	char when[TIME_TEXT];
	int64_t at = TIME_NONE;

	/* 1.0 has no form, and withholds nothing of the history. */
	if (!json_get(question, "evidence") && !f->index.withheld)
		return EXIT_DONE;
	json_time(question, "at", &at);
	if (endpoint && !strcmp(endpoint, own) && t == at && margin_of(args) == margin_of(question))
		return EXIT_DONE;
	return error_set(
		err, EXIT_REFUSED,
		"%.200s is evidence about %.24s at %s, with --margin %.0f: other questions may need what it withholds",
		dir, own, time_format(at, when), margin_of(question));
}
