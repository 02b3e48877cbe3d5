/* Vector functions that several files of this set share. Sums go in the order of sets/avx2, and so come out the same. */
#ifndef DESCANT_VECTORS_H
#define DESCANT_VECTORS_H

#include <arm_neon.h>

#include "layout.h"

INLINE float total(float32x4_t x) {
    float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* 2^x for x <= 127, to about 2e-7 relative; below 2^-126 that. Polynomial of degree 6 on [-0.5, 0.5]. */
INLINE float32x4_t exp2_4(float32x4_t x) {
    x = vmaxq_f32(x, vdupq_n_f32(-126));
    float32x4_t whole = vrndnq_f32(x), f = vsubq_f32(x, whole);
    float32x4_t y = vdupq_n_f32(1.5403530e-4f);
    y = vfmaq_f32(vdupq_n_f32(1.3333558e-3f), y, f);
    y = vfmaq_f32(vdupq_n_f32(9.6181291e-3f), y, f);
    y = vfmaq_f32(vdupq_n_f32(5.5504109e-2f), y, f);
    y = vfmaq_f32(vdupq_n_f32(2.4022651e-1f), y, f);
    y = vfmaq_f32(vdupq_n_f32(6.9314718e-1f), y, f);
    y = vfmaq_f32(vdupq_n_f32(1), y, f);
    int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127)), 23);
    return vmulq_f32(y, vreinterpretq_f32_s32(power));
}

#endif
