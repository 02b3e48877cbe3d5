/* 2^x without a call, so that loops over it become vectors. */
#ifndef DESCANT_EXPONENTIAL_H
#define DESCANT_EXPONENTIAL_H

#include "numbers.h"

/* For x <= 127, to about 2e-7 relative; below 2^-126 that. Polynomial of degree 6 on [-0.5, 0.5]. */
static inline float exp2_of(float x) {
    const float round = 0x1.8p23f;
    x = x > -126 ? x : -126;
    float shifted = x + round, f = x - (shifted - round);
    float y = 1.5403530e-4f;
    y = y * f + 1.3333558e-3f;
    y = y * f + 9.6181291e-3f;
    y = y * f + 5.5504109e-2f;
    y = y * f + 2.4022651e-1f;
    y = y * f + 6.9314718e-1f;
    y = y * f + 1;
    return y * float_of_bits((bits_of_float(shifted) - bits_of_float(round) + 127) << 23);
}

#endif
