// SPDX-License-Identifier: BSD-2-Clause
/* Findings about mappings within others, and those without sessions. */
#include "control/answer.h"
#include "control/explain_private.h"

void explain_add_kept(const struct explanation *e, cJSON *list)
{
	char addr[ADDR_TEXT], kept[KEPT_TEXT];
	int number = mappings_find_outside(e->context->mappings, e->asked.addr);

	if (answer_kept(e->context, number, e->in_addr, kept))
		explain_add(list, true, "drop_no_session",
			    "explain that address; mapping del of the exception gives the block back",
			    "%s:%u is %s: what comes to it is dropped", addr_format(e->asked.addr, addr), e->asked.port,
			    kept);
}

void explain_add_untranslated(const struct explanation *e, cJSON *list)
{
	char addr[ADDR_TEXT];

	explain_add(
		list, false, "passed_untranslated",
		"mapping del has it translated as the mapping around it says, if there is one",
		"%s is not translated: what comes from it and goes to it is routed as it is, whatever unmatched says",
		addr_format(e->asked.addr, addr));
}

void explain_add_open(const struct explanation *e, cJSON *list)
{
	char addr[ADDR_TEXT], out[ADDR_TEXT];

	explain_add(
		list, false, "inbound", "",
		"%s and %s stand for each other: the inbound is open, there are no sessions, and everything is let in",
		addr_format(e->in_addr, addr), addr_format(e->block.out_addr, out));
}
