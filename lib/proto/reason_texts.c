// SPDX-License-Identifier: BSD-2-Clause
#include "proto/reason_texts.h"

const struct reason_text reason_texts[N_REASONS] = {
#define X(name, text) [REASON_##name] = { #name, text },
	REASONS(X) SENT_KINDS(X) INCIDENTS(X) VOLUMES(X)
#undef X
};
