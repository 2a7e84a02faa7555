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

bool virtio_bits_ignore_xdp(const char *bits, uint32_t mtu)
{
	size_t n = strspn(bits, "01");
#define HAS(feature) (n > (feature) && bits[feature] == '1')
	bool merged = HAS(FEATURE_TSO4) || HAS(FEATURE_TSO6) || HAS(FEATURE_ECN) || HAS(FEATURE_UFO) ||
		      (HAS(FEATURE_USO4) && HAS(FEATURE_USO6));

	return n > FEATURE_MERGEABLE && !HAS(FEATURE_MERGEABLE) && (merged || (HAS(FEATURE_MTU) && mtu > ORDINARY_MTU));
#undef HAS
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

bool virtio_ignores_xdp(const char *root, const char *name, uint32_t mtu)
{
	/* By the place on the bus: /sys/class/net may be that of another network namespace. */
	static const char *const buses[] = { "pci", "platform" };
	char driver[DRIVER_NAME], place[DRIVER_PLACE], bits[72];

	if (!driver_and_place(name, driver, place) || strcmp(driver, "virtio_net") || !place[0] ||
	    strpbrk(place, "/*?[\\"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		read_features(root, buses[i], place, bits);
		if (bits[0])
			return virtio_bits_ignore_xdp(bits, mtu);
	}
	return false;
}
