/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and values of xenstore, taken apart.
 *
 * Guests write some of them.  Every function takes the whole text or refuses it, and leaves its
 * results untouched when it refuses.
 */
#ifndef DAEMON_PARSE_H
#define DAEMON_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Xen keeps the numbers above for itself. */
#define DOMID_MAX 0x7fef

/* States of a xenbus device, on either side. */
enum xenbus_state {
	XENBUS_UNKNOWN,
	XENBUS_INITIALISING,
	XENBUS_INIT_WAIT,
	XENBUS_INITIALISED,
	XENBUS_CONNECTED,
	XENBUS_CLOSING,
	XENBUS_CLOSED,
	XENBUS_RECONFIGURING,
	XENBUS_RECONFIGURED,
	XENBUS_INVALID, /* no such state */
	XENBUS_MISSING, /* there is no node */
};

/* Decimal digits, at most ten of them, without sign or space: a number of 0..max. */
bool parse_number(const char *text, uint32_t max, uint32_t *number);

/* One of the nine states, or XENBUS_INVALID. */
enum xenbus_state parse_state(const char *text);

/* What a path below a backend directory is about. */
struct backend_path {
	enum { BACKEND_ALL, BACKEND_DOMAIN, BACKEND_DEVICE } level;
	uint32_t domid;
	uint32_t devid;
};

/* base is "backend/vbd3", or that of one domain, "backend/vbd3/7". */
bool parse_backend_path(const char *path, const char *base, struct backend_path *out);

/* "/local/domain/<domid>/device/vbd/<devid>" */
bool is_frontend_path(const char *path, uint32_t domid, uint32_t devid);

/* "<dir>/nbd<pid>.<minor>"; where dir lies in /run, its name by way of /var/run will do. */
bool parse_disk_path(const char *path, const char *dir, uint32_t *pid, uint32_t *minor);

/* "<major>:<minor>", both hexadecimal. */
bool parse_device_number(const char *text, uint32_t *major, uint32_t *minor);

/* "r", "w", "ro", "rw", "r!", "w!" */
bool parse_mode(const char *text, bool *writable);

/*
 * Copy foreign text into out for people to read: what is not printable becomes "?", and what does
 * not fit is cut.  Returns out.
 */
char *escape(const char *text, char *out, unsigned size);

#endif
