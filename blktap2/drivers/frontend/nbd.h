/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NBD server: every open disk is an export on Unix sockets in the control directory.
 *
 *   nbd<pid>.<minor>            listening, fixed newstyle, any export name
 *   nbd-old<pid>.<minor>        the same
 *   nbdserver<pid>.<minor>      takes a connected socket, which is served oldstyle
 *   nbdserver-new<pid>.<minor>  takes a connected socket, which is served newstyle
 */
#ifndef FRONTEND_NBD_H
#define FRONTEND_NBD_H

struct tapdisk_server;
struct vbd;

/*
 * Make the endpoints of a disk that was opened.  The export becomes a source of the vbd, whose
 * shutdown and release end it.  Returns 0, or -errno and what failed in *why (a constant text).
 */
int nbd_export_new(struct vbd *vbd, const char **why);

/*
 * The same without endpoints, for connections that others bring: owned by the vbd.  0 or -ENOMEM.
 */
struct nbd_export;
int nbd_export_bare(struct vbd *vbd, struct nbd_export **export);

/* ---- sockets for the nbd driver ---- */

/*
 * nbdclient<pid>: connected sockets that other processes leave here under a name, for a later open
 * of an image called nbd:<name>.
 */
struct nbdclient;

#define NBDCLIENT_NAME_MAX 255 /* bytes */
#define NBDCLIENT_MAX 64       /* descriptors kept */
#define NBDCLIENT_EXPIRE_MS 600000

/* Listen in the server's control directory.  Returns 0, or -errno and what failed in *why. */
int nbdclient_new(struct nbdclient **client, struct tapdisk_server *server, const char **why);
void nbdclient_free(struct nbdclient *client); /* NULL is fine */

/* The descriptor left under name, which is the caller's now, or -ENOENT. */
int nbdclient_take(struct nbdclient *client, const char *name);

#endif
