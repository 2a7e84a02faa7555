// SPDX-License-Identifier: BSD-2-Clause
#include "complaints/complaint.h"

#include <stdlib.h>

#include "base/base.h"
#include "complaints/complaint_private.h"

const char *complaint_fault_word(enum complaint_fault fault)
{
	static const char *const words[] = {
#define X(constant, word) [constant] = (word),
		COMPLAINT_FAULTS(X)
#undef X
	};

	return words[fault];
}

const char *complaint_notice_word(enum complaint_notice_code code)
{
	static const char *const words[] = {
#define X(constant, word) [constant] = (word),
		COMPLAINT_NOTICES(X)
#undef X
	};

	return words[code];
}

int complaint_read(const char *text, size_t size, const struct complaint_reader *reader)
{
	struct reading x = { .reader = reader, .addr = NONE, .own_time = NONE, .own_port = NONE };
	int r = complaint_decode(&x, text, size);

	if (!r) {
		complaint_text(&x);
		if (!x.error)
			complaint_sides(&x);
		complaint_tie(&x);
		complaint_apart(&x);
		complaint_between(&x);
		complaint_doubt(&x);
		r = x.error ? x.error : complaint_give(&x);
	}
	octets_free(&x.whole);
	free(x.landmarks);
	free(x.text);
	free(x.from.runs);
	free(x.parts);
	free(x.items);
	free(x.stamps);
	free(x.scopes);
	free(x.zones);
	for (unsigned i = 0; i < x.n_rivals; i++)
		free(x.rivals[i]);
	return r;
}
