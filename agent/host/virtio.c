/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/virtio.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "host/stacking.h"

/* Features of virtio 1.2, section 5.1.3. */
#define FEATURE_MTU	  3U
#define FEATURE_TSO4	  7U /* the guest receives merged segments, and so on */
#define FEATURE_TSO6	  8U
#define FEATURE_ECN	  9U
#define FEATURE_UFO	  10U
#define FEATURE_MERGEABLE 15U
#define FEATURE_USO4	  54U
#define FEATURE_USO6	  55U

#define ORDINARY_MTU 1500U

static bool has(const char *bits, size_t feature)
{
	return strspn(bits, "01") > feature && bits[feature] == '1';
}

bool virtio_bits_merge(const char *bits)
{
	return has(bits, FEATURE_TSO4) || has(bits, FEATURE_TSO6) || has(bits, FEATURE_ECN) || has(bits, FEATURE_UFO) ||
	       (has(bits, FEATURE_USO4) && has(bits, FEATURE_USO6));
}

bool virtio_bits_ignore_xdp(const char *bits, uint32_t mtu)
{
	return strspn(bits, "01") > FEATURE_MERGEABLE && !has(bits, FEATURE_MERGEABLE) &&
	       (virtio_bits_merge(bits) || (has(bits, FEATURE_MTU) && mtu > ORDINARY_MTU));
}

/* Reads the features of the device at this place of a bus; "" if there is none. */
static void read_features(const char *root, const char *bus, const char *place, char ret[static 72])
{
	char pattern[256];
	glob_t found = { 0 };

	ret[0] = '\0';
	snprintf(pattern, sizeof(pattern), "%s/sys/bus/%s/devices/%s/virtio*/features", root, bus, place);
	if (!glob(pattern, GLOB_NOSORT, NULL, &found) && found.gl_pathc) {
		FILE *f = fopen(found.gl_pathv[0], "re");

		if (f && !fgets(ret, 72, f))
			ret[0] = '\0';
		if (f)
			fclose(f);
	}
	globfree(&found);
}

/* The features of an interface that is a virtio card; false if it is none, or unknown. */
static bool read_of(const char *root, const char *name, char ret[static 72])
{
	/* By the place on the bus: /sys/class/net may be that of another network namespace. */
	static const char *const buses[] = { "pci", "platform" };
	char driver[DRIVER_NAME], place[DRIVER_PLACE];

	if (!driver_and_place(name, driver, place) || strcmp(driver, "virtio_net") || !place[0] ||
	    strpbrk(place, "/*?[\\"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		read_features(root, buses[i], place, ret);
		if (ret[0])
			return true;
	}
	return false;
}

bool virtio_ignores_xdp(const char *root, const char *name, uint32_t mtu)
{
	char bits[72];

	return read_of(root, name, bits) && virtio_bits_ignore_xdp(bits, mtu);
}

bool virtio_merges(const char *root, const char *name)
{
	char bits[72];

	return read_of(root, name, bits) && virtio_bits_merge(bits);
}
