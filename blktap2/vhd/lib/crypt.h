/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encrypted images: AES-XTS of each sector on its own, and how a key proves itself.
 *
 * The tweak of a sector is the low 32 bits of its number on the disk.  Metadata are never
 * encrypted, and sectors that were never written read as zeros: they are not decrypted.
 */
#ifndef VHD_LIB_CRYPT_H
#define VHD_LIB_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhd/vhd.h>

/* A key that is ready for use.  One thread at a time may use it; threads make clones. */
struct vhd_crypt;

/*
 * From the bytes of a key: 32 (AES-128-XTS) or 64 (AES-256-XTS).  *crypt is owned by the caller,
 * and the bytes may be wiped.  Returns 0, -EINVAL for a key of another length or one whose halves
 * are equal, -ENOMEM, -ENOSYS in a build without libcrypto.
 */
int vhd_crypt_new(const uint8_t *key, size_t bytes, struct vhd_crypt **crypt);

/* The same key for another thread: 0, -ENOMEM. */
int vhd_crypt_clone(const struct vhd_crypt *crypt, struct vhd_crypt **clone);

/* The key is wiped.  NULL is fine. */
void vhd_crypt_free(struct vhd_crypt *crypt);

/*
 * Sectors of 512 bytes from the disk's sector `sector` on; to may be from, else they do not
 * overlap. No memory is allocated.  Returns 0 or -EIO.
 */
int vhd_crypt_encrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		      uint32_t sectors);
int vhd_crypt_decrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		      uint32_t sectors);

/* SHA-256 of the nonce and the key.  Returns 0, -EIO, -ENOSYS. */
int vhd_key_hash(const uint8_t nonce[32], const uint8_t *key, size_t bytes, uint8_t hash[32]);

/*
 * The key is the image's: 0; -EKEYREJECTED when it is another; -EINVAL when the image has no key
 * hash; -EIO, -ENOSYS.
 */
int vhd_key_check(const struct vhd_keyhash *keyhash, const uint8_t *key, size_t bytes);

/*
 * The key hash of an image without batmap, which its open file keeps in an extended attribute; one
 * that is missing is all zeros.  Returns 0, -EINVAL when it has a wrong length, or what
 * fgetxattr(2) said.
 */
int vhd_keyhash_of_file(int fd, struct vhd_keyhash *keyhash);

/* A random nonce: 0, or -errno. */
int vhd_key_nonce(uint8_t nonce[32]);

#endif
