/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and text fields of legacy messages.
 */
#include <errno.h>
#include <string.h>

#include "common/message.h"

const char *
message_name(unsigned type)
{
	static const char *const names[] = {
		[TAPDISK_MESSAGE_ERROR] = "error",
		[TAPDISK_MESSAGE_RUNTIME_ERROR] = "runtime error",
		[TAPDISK_MESSAGE_PID] = "pid",
		[TAPDISK_MESSAGE_PID_RSP] = "pid response",
		[TAPDISK_MESSAGE_ATTACH] = "attach",
		[TAPDISK_MESSAGE_ATTACH_RSP] = "attach response",
		[TAPDISK_MESSAGE_OPEN] = "open",
		[TAPDISK_MESSAGE_OPEN_RSP] = "open response",
		[TAPDISK_MESSAGE_PAUSE] = "pause",
		[TAPDISK_MESSAGE_PAUSE_RSP] = "pause response",
		[TAPDISK_MESSAGE_RESUME] = "resume",
		[TAPDISK_MESSAGE_RESUME_RSP] = "resume response",
		[TAPDISK_MESSAGE_CLOSE] = "close",
		[TAPDISK_MESSAGE_CLOSE_RSP] = "close response",
		[TAPDISK_MESSAGE_DETACH] = "detach",
		[TAPDISK_MESSAGE_DETACH_RSP] = "detach response",
		[TAPDISK_MESSAGE_LIST_MINORS] = "list minors",
		[TAPDISK_MESSAGE_LIST_MINORS_RSP] = "list minors response",
		[TAPDISK_MESSAGE_LIST] = "list",
		[TAPDISK_MESSAGE_LIST_RSP] = "list response",
		[TAPDISK_MESSAGE_STATS] = "stats",
		[TAPDISK_MESSAGE_STATS_RSP] = "stats response",
		[TAPDISK_MESSAGE_FORCE_SHUTDOWN] = "force shutdown",
		[TAPDISK_MESSAGE_XENBLKIF_CONNECT] = "xenblkif connect",
		[TAPDISK_MESSAGE_XENBLKIF_CONNECT_RSP] = "xenblkif connect response",
		[TAPDISK_MESSAGE_XENBLKIF_DISCONNECT] = "xenblkif disconnect",
		[TAPDISK_MESSAGE_XENBLKIF_DISCONNECT_RSP] = "xenblkif disconnect response",
		[TAPDISK_MESSAGE_DISK_INFO] = "disk info",
		[TAPDISK_MESSAGE_DISK_INFO_RSP] = "disk info response",
		[TAPDISK_MESSAGE_EXIT] = "exit",
		[TAPDISK_MESSAGE_COMMIT] = "commit",
		[TAPDISK_MESSAGE_COMMIT_RSP] = "commit response",
		[TAPDISK_MESSAGE_QUERY_COMMIT_JOB] = "query commit job",
		[TAPDISK_MESSAGE_QUERY_COMMIT_JOB_RSP] = "query commit job response",
		[TAPDISK_MESSAGE_CANCEL_COMMIT_JOB] = "cancel commit job",
		[TAPDISK_MESSAGE_CANCEL_COMMIT_JOB_RSP] = "cancel commit job response",
	};

	if (type >= sizeof(names) / sizeof(names[0]) || !names[type])
		return "unknown";
	return names[type];
}

bool
message_text_ends(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

int
message_put_text(char *field, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		return -ENAMETOOLONG;
	memset(field, 0, size);
	memcpy(field, text, length);
	return 0;
}

void
message_put_note(char *field, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	memset(field, 0, size);
	memcpy(field, text, length);
}
