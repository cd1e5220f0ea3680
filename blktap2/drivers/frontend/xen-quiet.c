/* SPDX-License-Identifier: BSD-2-Clause */
/* A logger that says nothing: see xen-quiet.h. */
#include "drivers/frontend/xen-quiet.h"

static void
say_nothing(xentoollog_logger *logger, xentoollog_level level, int number, const char *context,
	    const char *format, va_list args)
{
	(void)logger;
	(void)level;
	(void)number;
	(void)context;
	(void)format;
	(void)args;
}

xentoollog_logger
xen_quiet(void)
{
	return (xentoollog_logger){ .vmessage = say_nothing };
}
