/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libraries of Xen write nothing on their own: what they have to say, we say.
 */
#ifndef FRONTEND_XEN_QUIET_H
#define FRONTEND_XEN_QUIET_H

#include <xentoollog.h>

/* Must outlive the handle that it is given to. */
xentoollog_logger xen_quiet(void);

#endif
