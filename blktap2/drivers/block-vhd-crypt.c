/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: encrypted images.  Only data are; whoever is handed the disk's key may read them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/block-vhd.h"

#define BOUNCE_KEPT (64u << 10) /* bytes that a request keeps for the next time */

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

static void
decrypt(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;
	const td_request_t *treq = &request->treq;

	if (!err)
		err = vhd_crypt_decrypt(request->vd->crypt, treq->sec, (uint8_t *)treq->buf,
					(uint8_t *)treq->buf, (uint32_t)treq->secs);
	request->done(arg, tiocb, err);
}

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
static void
write_encrypted(struct vd_request *request, uint64_t offset)
{
	struct vd_state *vd = request->vd;
	const td_request_t *treq = &request->treq;
	size_t bytes = (size_t)treq->secs << SECTOR_SHIFT;
	int err = need_bounce(request, bytes);

	if (!err)
		err = vhd_crypt_encrypt(vd->crypt, treq->sec, (const uint8_t *)treq->buf,
					request->bounce, (uint32_t)treq->secs);
	if (err) {
		request->done(request, &request->tiocb, err);
		return;
	}
	td_prep_write(&request->tiocb, vd->file.fd, (char *)request->bounce, bytes,
		      (long long)offset, encrypted_written, request);
	vd_queue_tiocb(vd, &request->tiocb);
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
		     (long long)offset, decrypt, request);
	vd_queue_tiocb(vd, &request->tiocb);
}
