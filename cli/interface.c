// SPDX-License-Identifier: BSD-2-Clause
/* Interfaces. */
#include "command.h"

static const struct column interface_columns[] = {
	{ "INTERFACE", "name", cell_text, false, 0 },
	{ "ROLE", "role", cell_text, false, 0 },
	{ "XDP", "xdp", cell_text, false, 0 },
	{ "SHARED", "shared", cell_flag, false, 0 },
	{ "LINK", "link", cell_text, false, 0 },
	{ "PROBLEM", "problem", cell_text, false, 0 },
	{},
};

static void show_change(struct writer *w, const char *what, const cJSON *args)
{
	char name[CELL_TEXT], role[CELL_TEXT];

	cell_text(args, "name", name);
	cell_text(args, "role", role);
	writer_line(w, "%s %s %s", what, name, role);
}

static void show_added(struct writer *w, const cJSON *result, const cJSON *args)
{
	show_change(w, "added", args);
}

static void show_deleted(struct writer *w, const cJSON *result, const cJSON *args)
{
	show_change(w, "deleted", args);
}

const struct command interface_commands[] = {
	{ .verb = VERB_INTERFACE_ADD,
	  .usage = "NAME inside|outside",
	  .purpose = "translate on an interface, as an inside or an outside one",
	  .details = "One interface may have both roles (NAT on a stick).",
	  .example = "interface add eth1 inside",
	  .show = show_added },
	{ .verb = VERB_INTERFACE_DEL,
	  .usage = "NAME inside|outside",
	  .purpose = "take a role from an interface",
	  .example = "interface del eth1 inside",
	  .show = show_deleted },
	{ .verb = VERB_INTERFACE_LIST,
	  .usage = "",
	  .purpose = "list the interfaces and how XDP is attached to them",
	  .details = "XDP: native (in the driver), skb (generic, slower) or absent (the interface is gone and waited "
		     "for).\n"
		     "SHARED: attached by libxdp's dispatcher, beside other programs.\n"
		     "LINK: what the interface is called now; it is followed where it is renamed.",
	  .example = "interface list",
	  .columns = interface_columns,
	  .empty = "no interfaces" },
	{},
};
