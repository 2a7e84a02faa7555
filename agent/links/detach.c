/* SPDX-License-Identifier: BSD-2-Clause */
#include "links/detach.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attach/attach.h"
#include "base/log.h"
#include "datapath/bpffs.h"
#include "datapath/namespace.h"
#include "guard/guard.h"
#include "host/paths.h"
#include "links/devices.h"

/*
 * While the programs go, and if that is interrupted, the guard drops what they no longer translate. Without a guard
 * nothing does.
 */
static void shut_guard(const struct config *c)
{
	_cleanup_config_ struct config *running = NULL;
	_cleanup_free_ char *json = NULL;
	struct error err = { 0 };
	uint64_t hash;

	/* Mappings may have been added by commands. */
	if (!datapath_peek_running(c->pin_path, &json, &hash))
		config_parse(json, strlen(json), "running configuration", &running, &err);
	guard_shut_all(c->pin_path, running, c);
}

int detach_datapath(struct datapath *d, const struct config *c, struct error *err)
{
	const char *pin_path = c->pin_path;
	int r;

	shut_guard(c);
	r = devices_detach_all(d, err);
	if (!r)
		r = datapath_unpin(pin_path, err);
	datapath_close(d);
	if (!r)
		bpffs_release(pin_path);
	return r;
}

/* Detnat programs on the interfaces while nothing is pinned at the pin path. */
struct strays {
	bool orphans; /* programs of a datapath whose pins are gone, by hand or with their mount */
	bool live;    /* programs whose pins are elsewhere, or were removed only a moment ago */
};

static struct strays look_for_strays(void)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	const struct own_programs none = { 0 };
	_cleanup_free_ struct link *links = NULL;
	struct strays found = { 0 };
	size_t n_links = 0;

	if (netlink_new(&n) || links_read(n, &links, &n_links))
		return found;
	for (size_t i = 0; i < n_links; i++)
		if (link_carries(n, &links[i], &none))
			found.orphans = true;
		else if (xdp_is_of_detnat(&links[i]) || tc_is_foreign(n, links[i].ifindex, &none))
			found.live = true;
	return found;
}

/* Gives programs that look live the time to turn out to be orphans. */
static bool any_orphan(void)
{
	struct strays found = look_for_strays();

	for (unsigned attempt = 0; found.live && attempt < ORPHAN_ATTEMPTS; attempt++) {
		usleep(ORPHAN_INTERVAL_US);
		found = look_for_strays();
	}
	return found.orphans;
}

/*
 * Detaches programs without pins. Touches only recognised orphans: the pin path may be wrong, and the datapath intact
 * under another.
 */
static int detach_orphans(const char *pin_path, bool *ret_found, struct error *err)
{
	struct datapath d;
	int r;

	*ret_found = any_orphan();
	if (!*ret_found)
		return 0;
	r = datapath_of_nothing(pin_path, &d);
	if (r)
		return error_set(err, r, "out of memory");
	r = devices_detach_all(&d, err);
	datapath_close(&d);
	return r;
}

/*
 * The interfaces went with their network namespace; those here are different ones. If they were the same after all,
 * their programs would be orphans without the pins.
 */
static int detach_pins(struct datapath *d, const char *pin_path, struct error *err)
{
	bool found;
	int r = datapath_unpin(pin_path, err);

	datapath_close(d);
	if (r)
		return r;
	bpffs_release(pin_path);
	r = detach_orphans(pin_path, &found, err);
	if (!r && !found)
		log_warning("%s: its network namespace is gone; only the pins were removed", pin_path);
	return r;
}

int detach_pinned(const struct config *c, bool *ret_found, struct error *err)
{
	const char *pin_path = c->pin_path;
	_cleanup_rights_ struct rights lesser = path_rights(pin_path);
	struct datapath d;
	bool gone = false;
	int r = namespace_check(pin_path, &gone, err);

	*ret_found = false;
	if (r)
		return r;
	r = datapath_open_pinned(pin_path, &d, err);
	*ret_found = !r;
	if (!r)
		return gone ? detach_pins(&d, pin_path, err) : detach_datapath(&d, c, err);
	return r == -ENOENT ? detach_orphans(pin_path, ret_found, err) : r;
}

int detach_guard(const char *pin_path, bool *ret_found, struct error *err)
{
	int r = guard_remove(pin_path);

	*ret_found = !r;
	return !r || r == -ENOENT ? 0 : error_set(err, r, "the guard's table cannot be removed: %s", strerror(-r));
}
