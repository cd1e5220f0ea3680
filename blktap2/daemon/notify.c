/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One datagram to the socket that NOTIFY_SOCKET names.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/notify.h"
#include "daemon/parse.h"

void
notify(const char *words)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	AUTO_CLOSE int fd = -1;
	ssize_t unused;

	if (!length || length >= sizeof(name.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(name.sun_path, path, length);
	if (*path == '@') /* a name of the kernel's, without a file */
		name.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	unused = sendto(fd, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT,
			(struct sockaddr *)&name,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	(void)unused; /* a manager that does not listen is none */
}

uint64_t
notify_watchdog_ms(void)
{
	const char *usecs = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint32_t number;

	if (pid && (!parse_number(pid, UINT32_MAX, &number) || number != (uint32_t)getpid()))
		return 0;
	if (!usecs || !parse_number(usecs, UINT32_MAX, &number))
		return 0;
	return number / 1000 / 3;
}
