/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How idle the host's CPUs are, as a monitor writes it down for us.
 */
#ifndef FRONTEND_CPU_IDLE_H
#define FRONTEND_CPU_IDLE_H

#include <stdint.h>

struct cpu_idle {
	const char *path; /* borrowed */
	int fd;           /* -1: not open */
	uint64_t read_at; /* microseconds; 0: never */
	float percent;
};

void cpu_idle_init(struct cpu_idle *cpu, const char *path);
void cpu_idle_close(struct cpu_idle *cpu);

/* Percent, not older than 10 ms by the clock of now (microseconds); negative: nobody knows. */
float cpu_idle(struct cpu_idle *cpu, uint64_t now);

#endif
