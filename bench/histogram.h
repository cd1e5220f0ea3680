/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A histogram of durations with buckets of constant relative width.
 *
 * Every power of two is divided into 32 buckets, so any percentile is right to about 3 %, whether
 * it is a microsecond or a second, and recording one value is a shift and an increment.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zeroed: empty.  sum(count) == total; max is the largest value recorded, exactly. */
struct histogram {
	uint64_t count[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max;
};

/* Values below 32 have a bucket each; above, the five bits after the leading one choose it. */
static inline unsigned
histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < (1u << HISTOGRAM_SUB_BITS))
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

static inline void
histogram_add(struct histogram *h, uint64_t value)
{
	h->count[histogram_bucket(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

/* The largest value that falls into the bucket. */
uint64_t histogram_bucket_end(unsigned bucket);

/* Add all that *from* holds to *into*. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value that at least permille/1000 of the recorded ones do not exceed, rounded up to the end
 * of its bucket but never beyond the maximum.  0 when nothing was recorded.  permille: 0 to 1000.
 */
uint64_t histogram_quantile(const struct histogram *h, unsigned permille);

#endif
