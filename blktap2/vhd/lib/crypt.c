/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AES-XTS and SHA-256 through libcrypto; without it there are no encrypted images.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vhd/lib/crypt.h"

int
vhd_key_nonce(uint8_t nonce[32])
{
	return getrandom(nonce, 32, 0) == 32 ? 0 : -EIO;
}

#if HAVE_CRYPTO
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/bytes.h"

struct vhd_crypt {
	EVP_CIPHER_CTX *encrypt, *decrypt; /* owned; each has its key */
};

static const EVP_CIPHER *
cipher_of(size_t bytes)
{
	return bytes == 32 ? EVP_aes_128_xts() : bytes == 64 ? EVP_aes_256_xts() : NULL;
}

static EVP_CIPHER_CTX *
keyed(const uint8_t *key, size_t bytes, int encrypt)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context && EVP_CipherInit_ex(context, cipher_of(bytes), NULL, key, NULL, encrypt) == 1)
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

int
vhd_crypt_new(const uint8_t *key, size_t bytes, struct vhd_crypt **crypt)
{
	struct vhd_crypt *result;

	/* Equal halves would make XTS leak; libcrypto refuses them without saying why. */
	if (!cipher_of(bytes) || CRYPTO_memcmp(key, key + bytes / 2, bytes / 2) == 0)
		return -EINVAL;
	result = calloc(1, sizeof(*result));
	if (!result)
		return -ENOMEM;
	result->encrypt = keyed(key, bytes, 1);
	result->decrypt = keyed(key, bytes, 0);
	if (!result->encrypt || !result->decrypt) {
		vhd_crypt_free(result);
		return -ENOMEM;
	}
	*crypt = result;
	return 0;
}

static EVP_CIPHER_CTX *
copy_of(const EVP_CIPHER_CTX *context)
{
	EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

	if (copy && EVP_CIPHER_CTX_copy(copy, context) == 1)
		return copy;
	EVP_CIPHER_CTX_free(copy);
	return NULL;
}

int
vhd_crypt_clone(const struct vhd_crypt *crypt, struct vhd_crypt **clone)
{
	struct vhd_crypt *result = calloc(1, sizeof(*result));

	if (!result)
		return -ENOMEM;
	result->encrypt = copy_of(crypt->encrypt);
	result->decrypt = copy_of(crypt->decrypt);
	if (!result->encrypt || !result->decrypt) {
		vhd_crypt_free(result);
		return -ENOMEM;
	}
	*clone = result;
	return 0;
}

void
vhd_crypt_free(struct vhd_crypt *crypt)
{
	if (!crypt)
		return;
	EVP_CIPHER_CTX_free(crypt->encrypt);
	EVP_CIPHER_CTX_free(crypt->decrypt);
	free(crypt);
}

static int
transform(EVP_CIPHER_CTX *context, uint64_t sector, const uint8_t *from, uint8_t *to,
	  uint32_t sectors)
{
	uint8_t tweak[16] = { 0 };
	int done;

	for (; sectors; sectors--, sector++, from += VHD_SECTOR_SIZE, to += VHD_SECTOR_SIZE) {
		put_le32(tweak, (uint32_t)sector);
		if (EVP_CipherInit_ex(context, NULL, NULL, NULL, tweak, -1) != 1 ||
		    EVP_CipherUpdate(context, to, &done, from, VHD_SECTOR_SIZE) != 1 ||
		    done != VHD_SECTOR_SIZE)
			return -EIO;
	}
	return 0;
}

int
vhd_crypt_encrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		  uint32_t sectors)
{
	return transform(crypt->encrypt, sector, from, to, sectors);
}

int
vhd_crypt_decrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		  uint32_t sectors)
{
	return transform(crypt->decrypt, sector, from, to, sectors);
}

int
vhd_key_hash(const uint8_t nonce[32], const uint8_t *key, size_t bytes, uint8_t hash[32])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done;

	done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(context, nonce, 32) == 1 &&
	       EVP_DigestUpdate(context, key, bytes) == 1 &&
	       EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	return done ? 0 : -EIO;
}

int
vhd_key_check(const struct vhd_keyhash *keyhash, const uint8_t *key, size_t bytes)
{
	uint8_t hash[32];
	int err;

	if (keyhash->cookie != 1)
		return -EINVAL;
	err = vhd_key_hash(keyhash->nonce, key, bytes, hash);
	if (err)
		return err;
	return CRYPTO_memcmp(hash, keyhash->hash, sizeof(hash)) ? -EKEYREJECTED : 0;
}

#else

int
vhd_crypt_new(const uint8_t *key, size_t bytes, struct vhd_crypt **crypt)
{
	(void)key;
	(void)bytes;
	(void)crypt;
	return -ENOSYS;
}

int
vhd_crypt_clone(const struct vhd_crypt *crypt, struct vhd_crypt **clone)
{
	(void)crypt;
	(void)clone;
	return -ENOSYS;
}

void
vhd_crypt_free(struct vhd_crypt *crypt)
{
	(void)crypt;
}

int
vhd_crypt_encrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		  uint32_t sectors)
{
	(void)crypt;
	(void)sector;
	(void)from;
	(void)to;
	(void)sectors;
	return -EIO;
}

int
vhd_crypt_decrypt(struct vhd_crypt *crypt, uint64_t sector, const uint8_t *from, uint8_t *to,
		  uint32_t sectors)
{
	return vhd_crypt_encrypt(crypt, sector, from, to, sectors);
}

int
vhd_key_hash(const uint8_t nonce[32], const uint8_t *key, size_t bytes, uint8_t hash[32])
{
	(void)nonce;
	(void)key;
	(void)bytes;
	(void)hash;
	return -ENOSYS;
}

int
vhd_key_check(const struct vhd_keyhash *keyhash, const uint8_t *key, size_t bytes)
{
	(void)key;
	(void)bytes;
	return keyhash->cookie == 1 ? -ENOSYS : -EINVAL;
}

#endif
