/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How idle the CPUs are: see cpu-idle.h.
 *
 * The file is read and not mapped: whoever owns it may cut it short at any time.
 */
#include <fcntl.h>
#include <unistd.h>

#include "drivers/frontend/cpu-idle.h"

#define FRESH_US 10000
#define UNKNOWN (-1.0f)

void
cpu_idle_init(struct cpu_idle *cpu, const char *path)
{
	*cpu = (struct cpu_idle){ .path = path, .fd = -1, .percent = UNKNOWN };
}

void
cpu_idle_close(struct cpu_idle *cpu)
{
	if (cpu->fd >= 0)
		close(cpu->fd);
	cpu->fd = -1;
}

float
cpu_idle(struct cpu_idle *cpu, uint64_t now)
{
	float values[2]; /* used, idle */

	if (cpu->read_at && now - cpu->read_at < FRESH_US)
		return cpu->percent;
	cpu->read_at = now;
	cpu->percent = UNKNOWN;
	if (cpu->fd < 0)
		cpu->fd = open(cpu->path, O_RDONLY | O_CLOEXEC);
	if (cpu->fd >= 0 && pread(cpu->fd, values, sizeof(values), 0) == (ssize_t)sizeof(values))
		cpu->percent = values[1];
	return cpu->percent;
}
