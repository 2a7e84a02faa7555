// SPDX-License-Identifier: BSD-2-Clause
/* Sessions and subscribers. */
#include "command.h"

/* "255.255.255.255:65535" */
#define ENDPOINT_WIDTH 21

static const struct column session_columns[] = {
	{ "PROTO", "proto", cell_text, false, 5 },
	{ "INSIDE", "in", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "OUTSIDE", "out", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "EXTERNAL", "ext", cell_endpoint, false, ENDPOINT_WIDTH },
	{ "STATE", "state", cell_text, false, 15 },
	{ "EXPIRES IN", "expires", cell_seconds, true, 10 },
	{},
};

static const struct column user_fields[] = {
	{ "Inside address", "in_addr", cell_text, false, 0 },
	{ "Outside address", "out_addr", cell_text, false, 0 },
	{ "First port", "port_lo", cell_number, false, 0 },
	{ "Last port", "port_hi", cell_number, false, 0 },
	{ "Sessions", "sessions", cell_number, false, 0 },
	{ "Quota", "quota", cell_number, false, 0 },
	{ "Refused packets", "quota_exceeded", cell_number, false, 0 },
	{},
};

static void show_closed(struct writer *w, const cJSON *result, const cJSON *args)
{
	char closed[CELL_TEXT];

	cell_number(result, "closed", closed);
	writer_line(w, "closed %s", closed);
}

static void show_user(struct writer *w, const cJSON *result, const cJSON *args)
{
	writer_fields(w, user_fields, result);
}

const struct command session_commands[] = {
	{ .verb = VERB_SESSION_LIST,
	  .usage = "[ADDR] [--proto tcp|udp|icmp] [--all]",
	  .purpose = "list the sessions of the inside address ADDR, or all",
	  .details = "In order of inside address. For ICMP the identifier stands where ports do, and the external port "
		     "is 0.\n"
		     "--all: expired sessions and those in tcp-time-wait too, which count in no figure.",
	  .example = "session list 10.0.0.3 --proto tcp",
	  .columns = session_columns,
	  .empty = "no sessions" },
	{ .verb = VERB_SESSION_CLOSE,
	  .usage = "in|out ADDR:PORT EXT:PORT [--proto tcp|udp|icmp]",
	  .purpose = "end a session, named by its inside or outside endpoint and its external one",
	  .details = "EXT:0 for ICMP. Without --proto, the sessions of all protocols between these endpoints.",
	  .example = "session close in 10.0.0.3:6303 198.51.100.7:443",
	  .show = show_closed },
	{ .verb = VERB_USER_SHOW,
	  .usage = "ADDR",
	  .purpose = "show the ports, sessions and quota of the inside address ADDR",
	  .example = "user show 10.0.0.3",
	  .show = show_user },
	{},
};
