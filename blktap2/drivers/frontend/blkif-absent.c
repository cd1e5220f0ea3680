/* SPDX-License-Identifier: BSD-2-Clause */
/* The block interface of a build without the libraries of Xen: there are no rings. */
#include <errno.h>

#include "drivers/frontend/blkif.h"

int
blkif_new(struct blkif **blkif, struct tapdisk_server *server, const char *cpu_monitor)
{
	(void)blkif;
	(void)server;
	(void)cpu_monitor;
	return -ENODEV;
}

void
blkif_free(struct blkif *blkif)
{
	(void)blkif;
}

int
blkif_connect(struct blkif *blkif, struct vbd *vbd, const struct blkif_config *config,
	      const char **why)
{
	(void)blkif;
	(void)vbd;
	(void)config;
	*why = "built without Xen";
	return -ENODEV;
}

int
blkif_disconnect(struct blkif *blkif, uint32_t domid, uint32_t devid, bool force,
		 void (*gone)(void *arg), void *arg)
{
	(void)blkif;
	(void)domid;
	(void)devid;
	(void)force;
	(void)gone;
	(void)arg;
	return -ENODEV;
}

void
blkif_poll(struct blkif *blkif)
{
	(void)blkif;
}

void
blkif_list(struct blkif *blkif, const struct vbd *vbd,
	   void (*each)(void *arg, const struct blkif_config *config, enum blkif_state state),
	   void *arg)
{
	(void)blkif;
	(void)vbd;
	(void)each;
	(void)arg;
}
