/* SPDX-License-Identifier: BSD-2-Clause */
/* The network and mount namespace of a test. */
#ifndef DETNAT_TEST_FIXTURE_NAMESPACE_H
#define DETNAT_TEST_FIXTURE_NAMESPACE_H

/* Moves the process into them, with an inside and an outside interface, and sets inside_ifindex and outside_ifindex. */
void namespace_make(void);

#endif
