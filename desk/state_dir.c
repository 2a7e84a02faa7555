// SPDX-License-Identifier: BSD-2-Clause
#include "state_dir.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "proto/defaults.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char known[PATH_MAX];

static void keep(const char *dir, bool instead)
{
	pthread_mutex_lock(&mutex);
	if ((instead || !*known) && strlen(dir) < sizeof(known))
		strcpy(known, dir);
	pthread_mutex_unlock(&mutex);
}

static cJSON *read_json(const struct ask_answer *answer)
{
	size_t size;
	const char *text = ask_answer_map(answer, &size);
	cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;

	ask_answer_unmap(answer, text, size);
	return json;
}

void state_dir_learn(const struct ask_at *at)
{
	static const struct asker who = { "the desk", ASKING_STATE };
	static const struct ask ask = { .words = { "config", "show", "--all" }, .n = 3, .who = &who };
	_cleanup_answer_ struct ask_answer answer = ASK_NO_ANSWER;
	_cleanup_json_ cJSON *config = NULL;
	const cJSON *dir;
	struct error err;

	if (at->state_dir)
		return;
	if (ask_ctl(at, &ask, &answer, &err) == 200)
		config = read_json(&answer);
	dir = cJSON_GetObjectItemCaseSensitive(config, "state_dir");
	keep(cJSON_IsString(dir) ? dir->valuestring : DEFAULT_STATE_DIR, cJSON_IsString(dir));
}

const char *state_dir_known(const struct ask_at *at, char room[static PATH_MAX])
{
	if (at->state_dir)
		return at->state_dir;
	pthread_mutex_lock(&mutex);
	strcpy(room, known);
	pthread_mutex_unlock(&mutex);
	return *room ? room : NULL;
}
