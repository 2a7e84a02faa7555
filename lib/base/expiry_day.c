// SPDX-License-Identifier: BSD-2-Clause
#include "base/expiry_day.h"

#include "base/clock.h"

bool expiry_due(struct expiry_day *r, int64_t now, int64_t boot_s)
{
	int64_t offset = now - boot_s, step = offset - r->offset_s;

	if (r->known && (step > RETENTION_STEP_S || step < -RETENTION_STEP_S))
		r->patience_s = boot_s + RETENTION_STEP_S;
	r->offset_s = offset;
	r->known = true;
	return boot_s >= r->patience_s && now / DAY_S != r->day;
}

void expiry_done(struct expiry_day *r, int64_t now)
{
	r->day = now / DAY_S;
}
