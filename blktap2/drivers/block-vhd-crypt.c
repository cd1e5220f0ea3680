/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: encrypted images.  Only data are; whoever is handed the disk's key may read them.
 *
 * Small pieces are worked on at once, large ones on workers.  A key serves one thread at a time, so
 * workers get clones of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/block-vhd.h"

#define BOUNCE_KEPT (64u << 10) /* bytes that a request keeps for the next time */
#define AT_ONCE (64u << 10)     /* bytes; more is work for a worker */

/* Cookie 0: the image is not encrypted. */
static int
read_keyhash(const struct vd_state *vd, struct vhd_keyhash *hash, struct reason *why)
{
	int err;

	if (vd->image.has_batmap) {
		*hash = vd->image.batmap.keyhash;
		return 0;
	}
	err = vhd_keyhash_of_file(vd->file.fd, hash);
	return err ? reason(why, err, "its key hash cannot be read: %s", strerror(-err)) : 0;
}

int
vd_crypt_init(struct vd_state *vd, td_flag_t flags, struct reason *why)
{
	struct vhd_keyhash hash;
	const uint8_t *key;
	size_t bytes;
	int err = read_keyhash(vd, &hash, why);

	if (err)
		return err;
	key = td_driver_key(vd->driver, &bytes);
	if (!hash.cookie) {
		/* Parents may be clear; a leaf that is, is not what its owner believes. */
		if (!key || flags & TD_OPEN_SHAREABLE)
			return 0;
		return reason(why, -EKEYREJECTED, "a key is given, but it is not encrypted");
	}
	if (flags & TD_OPEN_QUERY)
		return 0;
	if (!key)
		return reason(why, -EKEYREJECTED, "it is encrypted, and no key is given");
	err = vhd_key_check(&hash, key, bytes);
	if (!err)
		err = vhd_crypt_new(key, bytes, &vd->crypt);
	if (err == -EKEYREJECTED || err == -EINVAL)
		return reason(why, -EKEYREJECTED, "the key given is not its key");
	return err;
}

void
vd_crypt_free(struct vd_state *vd)
{
	while (vd->clone_count)
		vhd_crypt_free(vd->clones[--vd->clone_count]);
	vhd_crypt_free(vd->crypt);
}

/* ---- workers ------------------------------------------------------------------------------------
 */

static int
lend_clone(struct vd_request *request)
{
	struct vd_state *vd = request->vd;

	if (!vd->clone_count)
		return vhd_crypt_clone(vd->crypt, &request->clone);
	request->clone = vd->clones[--vd->clone_count];
	return 0;
}

static void
return_clone(struct vd_request *request)
{
	struct vd_state *vd = request->vd;

	if (vd->clone_count < VD_CLONES)
		vd->clones[vd->clone_count++] = request->clone;
	else
		vhd_crypt_free(request->clone);
	request->clone = NULL;
}

/* False: it is little, or there is no worker; the caller does it. */
static bool
give_to_worker(struct vd_request *request, int (*work)(void *arg),
	       void (*worked)(void *arg, int err))
{
	if ((size_t)request->treq.secs << SECTOR_SHIFT <= AT_ONCE || lend_clone(request))
		return false;
	if (td_work(request->vd->driver, work, worked, request) == 0)
		return true;
	return_clone(request);
	return false;
}

/* ---- reads --------------------------------------------------------------------------------------
 */

static int
decrypt_with(struct vhd_crypt *crypt, const struct vd_request *request)
{
	const td_request_t *treq = &request->treq;

	return vhd_crypt_decrypt(crypt, treq->sec, (uint8_t *)treq->buf, (uint8_t *)treq->buf,
				 (uint32_t)treq->secs);
}

static int
decrypt_work(void *arg)
{
	struct vd_request *request = arg;

	return decrypt_with(request->clone, request);
}

static void
decrypted(void *arg, int err)
{
	struct vd_request *request = arg;

	return_clone(request);
	request->done(request, &request->tiocb, err);
}

static void
encrypted_read(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;

	if (!err && give_to_worker(request, decrypt_work, decrypted))
		return;
	if (!err)
		err = decrypt_with(request->vd->crypt, request);
	request->done(arg, tiocb, err);
}

/* ---- writes -------------------------------------------------------------------------------------
 */

static void
release_bounce(struct vd_request *request)
{
	free(request->bounce);
	request->bounce = NULL;
	request->bounce_bytes = 0;
}

static int
need_bounce(struct vd_request *request, size_t bytes)
{
	void *bounce;

	if (request->bounce_bytes >= bytes)
		return 0;
	release_bounce(request);
	if (posix_memalign(&bounce, 4096, bytes))
		return -ENOMEM;
	request->bounce = bounce;
	request->bounce_bytes = bytes;
	return 0;
}

static void
encrypted_written(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;

	if (request->bounce_bytes > BOUNCE_KEPT)
		release_bounce(request);
	request->done(arg, tiocb, err);
}

/* The guest's buffer is read once: what is changed meanwhile does not matter. */
static int
encrypt_with(struct vhd_crypt *crypt, const struct vd_request *request)
{
	const td_request_t *treq = &request->treq;

	return vhd_crypt_encrypt(crypt, treq->sec, (const uint8_t *)treq->buf, request->bounce,
				 (uint32_t)treq->secs);
}

static int
encrypt_work(void *arg)
{
	struct vd_request *request = arg;

	return encrypt_with(request->clone, request);
}

static void
write_bounce(struct vd_request *request, int err)
{
	struct vd_state *vd = request->vd;

	if (err) {
		encrypted_written(request, &request->tiocb, err);
		return;
	}
	td_prep_write(&request->tiocb, vd->file.fd, (char *)request->bounce,
		      (size_t)request->treq.secs << SECTOR_SHIFT, (long long)request->offset,
		      encrypted_written, request);
	vd_queue_tiocb(vd, &request->tiocb);
}

static void
encrypted(void *arg, int err)
{
	return_clone(arg);
	write_bounce(arg, err);
}

static void
write_encrypted(struct vd_request *request, uint64_t offset)
{
	int err = need_bounce(request, (size_t)request->treq.secs << SECTOR_SHIFT);

	request->offset = offset;
	if (!err && give_to_worker(request, encrypt_work, encrypted))
		return;
	if (!err)
		err = encrypt_with(request->vd->crypt, request);
	write_bounce(request, err);
}

void
vd_crypt_transfer(struct vd_request *request, uint64_t offset, td_queue_callback_t done)
{
	struct vd_state *vd = request->vd;
	const td_request_t *treq = &request->treq;

	request->done = done;
	if (treq->op != TD_OP_READ) {
		write_encrypted(request, offset);
		return;
	}
	td_prep_read(&request->tiocb, vd->file.fd, treq->buf, (size_t)treq->secs << SECTOR_SHIFT,
		     (long long)offset, encrypted_read, request);
	vd_queue_tiocb(vd, &request->tiocb);
}
