// SPDX-License-Identifier: BSD-2-Clause
#include "base/clock_state.h"

#include <stdbool.h>
#include <sys/timex.h>

#include "base/json_text.h"

#define US_PER_MS 1000U

struct clock_state clock_state_read(void)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state < 0)
		return (struct clock_state){ 0 };
	if (state == TIME_ERROR || t.status & STA_UNSYNC || t.maxerror < 0)
		return (struct clock_state){ .is = CLOCK_NOT_SYNCHRONISED };
	return (struct clock_state){ CLOCK_SYNCHRONISED,
				     (uint32_t)(((uint64_t)t.maxerror + US_PER_MS - 1) / US_PER_MS) };
}

struct clock_state clock_state_worse(struct clock_state a, struct clock_state b)
{
	if (a.is != b.is)
		return a.is > b.is ? a : b;
	return a.error_ms > b.error_ms ? a : b;
}

void clock_state_write(FILE *out, struct clock_state s)
{
	if (s.is == CLOCK_SYNCHRONISED)
		fprintf(out, ",\"clock\":{\"synchronised\":true,\"error_ms\":%u}", s.error_ms);
	else if (s.is == CLOCK_NOT_SYNCHRONISED)
		fputs(",\"clock\":{\"synchronised\":false}", out);
}

struct clock_state clock_state_of(const cJSON *json)
{
	const cJSON *clock = cJSON_GetObjectItemCaseSensitive(json, "clock");
	const cJSON *synchronised = cJSON_GetObjectItemCaseSensitive(clock, "synchronised");
	uint64_t error_ms;

	if (cJSON_IsTrue(synchronised) && json_count(clock, "error_ms", &error_ms) && error_ms <= UINT32_MAX)
		return (struct clock_state){ CLOCK_SYNCHRONISED, (uint32_t)error_ms };
	return (struct clock_state){ .is = cJSON_IsFalse(synchronised) ? CLOCK_NOT_SYNCHRONISED : CLOCK_NOT_READ };
}
