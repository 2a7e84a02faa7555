/* SPDX-License-Identifier: BSD-2-Clause */
#include "detach.h"

#include <errno.h>

#include "attach.h"
#include "bpffs.h"
#include "devices.h"

int detach_datapath(struct datapath *d, const char *pin_path, struct error *err)
{
	int r = devices_detach_all(d, err);

	if (!r)
		r = datapath_unpin(pin_path, err);
	datapath_close(d);
	if (!r)
		bpffs_release(pin_path);
	return r;
}

static void release_netlink(struct netlink **n)
{
	netlink_free(*n);
}

/* Whether an interface carries a program that was a datapath's before its pins went, with their mount or by hand. */
static bool any_orphan(void)
{
	__attribute__((cleanup(release_netlink))) struct netlink *n = NULL;
	const struct own_programs none = { 0 };
	_cleanup_free_ struct link *links = NULL;
	size_t n_links = 0;

	if (netlink_new(&n) || links_read(n, &links, &n_links))
		return false;
	for (size_t i = 0; i < n_links; i++)
		if (links[i].xdp.prog_id && own_programs_has(&none, links[i].xdp.prog_id))
			return true;
	return false;
}

int detach_pinned(const char *pin_path, bool *ret_found, struct error *err)
{
	struct datapath d;
	int r = datapath_open_pinned(pin_path, &d, err);

	*ret_found = !r;
	if (!r)
		return detach_datapath(&d, pin_path, err);
	if (r != -ENOENT)
		return r;
	/* Without the sign of an orphan nothing is touched: the pin path may be wrong, and the datapath well under
	 * another. */
	if (!any_orphan())
		return 0;
	*ret_found = true;
	r = datapath_of_nothing(pin_path, &d);
	if (r)
		return error_set(err, r, "out of memory");
	r = devices_detach_all(&d, err);
	datapath_close(&d);
	return r;
}
