/* How interleaved weights lie in a unit: 16 output rows x the columns that share their halves.
 *
 * A 64-byte line of nibbles holds 16 rows x 8 columns: the low nibbles are columns 0..3 of each row, the high ones
 * columns 4..7. Sets of 32-byte vectors read it as two lines of 8 rows, so that all sets share one packed file. */
#ifndef DESCANT_LAYOUT_H
#define DESCANT_LAYOUT_H

#include <stdint.h>

#include "linear.h"

#define INLINE static inline __attribute__((always_inline))

INLINE int unit_groups(int format) { return format == AFFINE4 ? 1 : format >= SIGNED5 ? 2 : 8; }

INLINE int low_bytes(int format) { return format == SIGNED8 ? 512 : 256; }

INLINE int high_bytes(int format) { return format == K6 ? 128 : format == K5 || format == SIGNED5 ? 64 : 0; }

INLINE int scale_bytes(int format) { return format == AFFINE4 ? 64 : 32; }

INLINE int unit_bytes(int format) {
    int groups = unit_groups(format);
    return groups * (low_bytes(format) + high_bytes(format) + scale_bytes(format)) + (groups == 8 ? 64 : 0);
}

/* Where the parts of one group lie in its unit. */
typedef struct {
    const uint8_t *low, *high, *scales, *halves;
} Place;

INLINE Place place(int format, const uint8_t *unit, int group) {
    int groups = unit_groups(format);
    const uint8_t *high = unit + groups * low_bytes(format);
    const uint8_t *scales = high + groups * high_bytes(format);
    return (Place){unit + group * low_bytes(format), high + group * high_bytes(format),
                   scales + group * scale_bytes(format), scales + groups * scale_bytes(format)};
}

#endif
