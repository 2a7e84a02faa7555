/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnosis/standing.h"

#include <stdint.h>

#include "base/background.h"
#include "base/clock.h"
#include "config/active.h"
#include "diagnosis/doctor.h"
#include "links/devices.h"

/* Seconds after which it is looked at anew. With thousands of mappings that takes a tenth of a second. */
#define STANDING_S 10U

static struct {
	struct background look;
	struct config *config; /* the look's own */
	cJSON *found;	       /* by the look */
	cJSON *known;
	uint64_t at;
} standing;

void standing_add(cJSON *list, const char *what, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "what", what);
	cJSON_AddStringToObject(object, "text", text);
	cJSON_AddItemToArray(list, object);
}

static void add_finding(void *list, const char *check, enum doctor_level level, const char *text)
{
	standing_add(list, check, text);
}

static void look(void *arg)
{
	doctor_warnings(standing.config, add_finding, standing.found);
}

/* Takes what the look has found. */
static void take(void)
{
	cJSON_Delete(standing.known);
	standing.known = standing.found;
	standing.found = NULL;
	config_free(standing.config);
	standing.config = NULL;
}

const cJSON *standing_warnings(const struct parts *a, bool *ret_anew)
{
	bool waits;

	*ret_anew = standing.found && !background_busy(&standing.look);
	if (*ret_anew) {
		background_wait(&standing.look);
		take();
	}
	if (standing.found || (standing.known && boottime_s() - standing.at < STANDING_S))
		return standing.known;
	standing.config = devices_present(a->devices, a->active->config);
	standing.found = standing.config ? cJSON_CreateArray() : NULL;
	if (!standing.found) {
		config_free(standing.config);
		standing.config = NULL;
		return standing.known;
	}
	/* Who asks now and then waits for it; who asks each second does not. */
	waits = !standing.known || boottime_s() - standing.at >= 2UL * STANDING_S;
	standing.at = boottime_s();
	background_start(&standing.look, look, NULL);
	if (waits) {
		background_wait(&standing.look);
		take();
		*ret_anew = true;
	}
	return standing.known;
}

void standing_end(void)
{
	background_wait(&standing.look);
	take();
	cJSON_Delete(standing.known);
	standing.known = NULL;
}
