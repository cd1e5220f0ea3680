/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strict parsers: nothing is skipped, nothing is guessed.
 */
#include <stddef.h>
#include <string.h>

#include "common/minor.h"
#include "daemon/parse.h"

#define DIGITS_MAX 10 /* of a number that may fit into 32 bits */
#define PID_MAX (1u << 22)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number at *text, which moves behind it. */
static bool
take_number(const char **text, uint32_t max, uint32_t *number)
{
	const char *at = *text;
	uint64_t value = 0;

	while (is_digit(*at) && at - *text < DIGITS_MAX)
		value = value * 10 + (uint64_t)(*at++ - '0');
	if (at == *text || is_digit(*at) || value > max)
		return false;
	*text = at;
	*number = (uint32_t)value;
	return true;
}

/* The same in a name, where a number has one spelling only. */
static bool
take_name(const char **text, uint32_t max, uint32_t *number)
{
	const char *at = *text;

	if (at[0] == '0' && is_digit(at[1]))
		return false;
	return take_number(text, max, number);
}

static bool
take_word(const char **text, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length) != 0)
		return false;
	*text += length;
	return true;
}

bool
parse_number(const char *text, uint32_t max, uint32_t *number)
{
	uint32_t value;

	if (!take_number(&text, max, &value) || *text)
		return false;
	*number = value;
	return true;
}

enum xenbus_state
parse_state(const char *text)
{
	uint32_t number;

	return parse_number(text, XENBUS_RECONFIGURED, &number) ? (enum xenbus_state)number
								: XENBUS_INVALID;
}

/* ---- paths ------------------------------------------------------------------------------------
 */

bool
parse_backend_path(const char *path, const char *base, struct backend_path *out)
{
	struct backend_path found = { .level = BACKEND_ALL };
	const char *kind = strchr(base, '/');
	const char *at = path;

	/* The base of one domain ends with its number: take the path apart from the kind on. */
	if (!kind || !take_word(&at, base) || (*at && *at != '/'))
		return false;
	kind = strchr(kind + 1, '/');
	at = kind ? path + (kind - base) : at;
	if (*at) {
		at++;
		if (!take_name(&at, DOMID_MAX, &found.domid) || (*at && *at != '/'))
			return false;
		found.level = BACKEND_DOMAIN;
	}
	if (*at) {
		at++;
		if (!take_name(&at, UINT32_MAX, &found.devid) || (*at && *at != '/'))
			return false;
		found.level = BACKEND_DEVICE;
	}
	*out = found;
	return true;
}

bool
is_frontend_path(const char *path, uint32_t domid, uint32_t devid)
{
	uint32_t path_domid, path_devid;

	return take_word(&path, "/local/domain/") && take_name(&path, DOMID_MAX, &path_domid) &&
	       take_word(&path, "/device/vbd/") && take_name(&path, UINT32_MAX, &path_devid) &&
	       !*path && path_domid == domid && path_devid == devid;
}

static bool
take_directory(const char **path, const char *dir)
{
	if (take_word(path, dir))
		return true;
	return strncmp(dir, "/run/", 5) == 0 && take_word(path, "/var") && take_word(path, dir);
}

bool
parse_disk_path(const char *path, const char *dir, uint32_t *pid, uint32_t *minor)
{
	uint32_t path_pid, path_minor;

	if (!take_directory(&path, dir) || !take_word(&path, "/nbd") ||
	    !take_name(&path, PID_MAX, &path_pid) || !path_pid || !take_word(&path, ".") ||
	    !take_name(&path, MINOR_MAX, &path_minor) || *path)
		return false;
	*pid = path_pid;
	*minor = path_minor;
	return true;
}

/* ---- values -----------------------------------------------------------------------------------
 */

/* At most five hexadecimal digits: minors have 20 bits. */
static bool
take_hex(const char **text, uint32_t *number)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t value = 0;
	const char *at = *text, *digit;

	while (*at && at - *text < 5 && (digit = strchr(digits, *at | 0x20))) {
		value = value << 4 | (uint32_t)(digit - digits);
		at++;
	}
	if (at == *text)
		return false;
	*text = at;
	*number = value;
	return true;
}

bool
parse_device_number(const char *text, uint32_t *major, uint32_t *minor)
{
	uint32_t text_major, text_minor;

	if (!take_hex(&text, &text_major) || !take_word(&text, ":") ||
	    !take_hex(&text, &text_minor) || *text)
		return false;
	*major = text_major;
	*minor = text_minor;
	return true;
}

bool
parse_mode(const char *text, bool *writable)
{
	static const struct {
		const char *word;
		bool writable;
	} modes[] = {
		{ "w", true },  { "rw", true },  { "w!", true },
		{ "r", false }, { "ro", false }, { "r!", false },
	};
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(text, modes[i].word) == 0) {
			*writable = modes[i].writable;
			return true;
		}
	return false;
}

char *
escape(const char *text, char *out, unsigned size)
{
	unsigned i;

	for (i = 0; text[i] && i + 1 < size; i++)
		out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	out[i] = '\0';
	return out;
}
