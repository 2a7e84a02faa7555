/* SPDX-License-Identifier: BSD-2-Clause */
/* Which link an interface of the configuration is, after renames. */
#include <criterion/criterion.h>
#include <string.h>

#include "links/interfaces.h"

#define MOST 3

/* An interface of the configuration, or a link; of a known one, the index that it was attached to. */
struct named {
	const char *name;
	uint32_t ifindex;
};

static void fill_links(struct link *links, struct link_list *list, const struct named *named)
{
	list->link = links;
	for (list->count = 0; list->count < MOST && named[list->count].name; list->count++) {
		links[list->count] = (struct link){ .ifindex = named[list->count].ifindex };
		snprintf(links[list->count].name, IFNAMSIZ, "%s", named[list->count].name);
	}
}

static void fill_known(struct interface *list, struct interfaces *known, const struct named *named)
{
	known->list = list;
	for (known->count = 0; known->count < MOST && named[known->count].name; known->count++) {
		list[known->count] = (struct interface){ .link.ifindex = named[known->count].ifindex };
		snprintf(list[known->count].name, IFNAMSIZ, "%s", named[known->count].name);
	}
}

Test(interfaces_names, links_are_found_by_name_once_and_followed_by_index_then)
{
	static const struct {
		const char *what;
		struct named known[MOST];
		struct named links[MOST];
		struct named found[MOST]; /* what is wanted, and the index that is due; 0: none */
	} rows[] = {
		{ "a first start goes by names",
		  { { NULL, 0 } },
		  { { "a", 1 }, { "b", 2 } },
		  { { "a", 1 }, { "b", 2 } } },
		{ "what is not there is waited for", { { NULL, 0 } }, { { "a", 1 } }, { { "a", 1 }, { "b", 0 } } },
		{ "a renamed one is followed", { { "a", 1 } }, { { "x", 1 } }, { { "a", 1 } } },
		{ "also where another has its name", { { "a", 1 } }, { { "x", 1 }, { "a", 7 } }, { { "a", 1 } } },
		{ "one that is gone is found by its name again", { { "a", 1 } }, { { "a", 7 } }, { { "a", 7 } } },
		{ "names that were swapped swap no roles",
		  { { "a", 1 }, { "b", 2 } },
		  { { "b", 1 }, { "a", 2 } },
		  { { "a", 1 }, { "b", 2 } } },
		{ "one that is waited for does not get another's link",
		  { { "a", 1 }, { "b", 0 } },
		  { { "b", 1 } },
		  { { "a", 1 }, { "b", 0 } } },
		{ "whichever stands first", { { "b", 0 }, { "a", 1 } }, { { "b", 1 } }, { { "b", 0 }, { "a", 1 } } },
		{ "a file with the new name takes the link over", { { "a", 1 } }, { { "x", 1 } }, { { "x", 1 } } },
		{ "a file with both names has one of them absent",
		  { { "a", 1 } },
		  { { "x", 1 } },
		  { { "x", 0 }, { "a", 1 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct interface list[MOST];
		struct link links[MOST];
		struct interfaces known;
		struct link_list all;
		struct config_interface wanted[MOST];
		const struct link *found[MOST];
		size_t n = 0;

		fill_known(list, &known, rows[i].known);
		fill_links(links, &all, rows[i].links);
		for (; n < MOST && rows[i].found[n].name; n++)
			snprintf(wanted[n].name, IFNAMSIZ, "%s", rows[i].found[n].name);
		interfaces_choose(wanted, n, &known, &all, found);
		for (size_t k = 0; k < n; k++)
			cr_expect_eq(found[k] ? found[k]->ifindex : 0, rows[i].found[k].ifindex, "%s: %s", rows[i].what,
				     wanted[k].name);
	}
}

Test(interfaces_names, those_below_vlan_interfaces_are_followed_by_nobody)
{
	struct interface list[] = { { .name = "a", .hidden = true, .link.ifindex = 1 } };
	const struct interfaces known = { list, 1 };
	const struct link links[] = { { .ifindex = 1, .name = "x" }, { .ifindex = 2, .name = "a" } };
	const struct link_list all = { links, 2 };

	cr_expect_null(interfaces_followed(&known, &all, "a"));
}
