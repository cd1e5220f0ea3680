/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings of the host: lines of "key = value", comments after '#'.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdint.h>

/*
 * What /etc/blktap/blktap.conf says of key: the first line that says anything.  The variable
 * BLKTAP_CONFIG (ignored in set-uid programs) names another file.  *value is owned by the caller.
 * Returns 0, -ENOENT nothing is said, -ENOMEM.
 */
int conf_value(const char *key, char **value);

/*
 * The same for a decimal number.  Returns 0, -ENOENT, -EINVAL no number or one beyond most,
 * -ENOMEM.  *number is left alone unless 0 is returned.
 */
int conf_number(const char *key, uint32_t most, uint32_t *number);

#endif
