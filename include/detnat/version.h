/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The version that all programs of detnat report. */
#ifndef DETNAT_VERSION_H
#define DETNAT_VERSION_H

#define DETNAT_VERSION "1.1.0~dev"

#endif
