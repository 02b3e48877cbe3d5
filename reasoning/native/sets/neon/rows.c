/* What is done row by row, for NEON. */
#include <string.h>

#include "kernels.h"
#include "vectors.h"

void normed(const float *x, const float *weight, int size, float epsilon, float *out) {
    float32x4_t sums[4];
    for (int k = 0; k < 4; k++) sums[k] = vdupq_n_f32(0);
    for (int i = 0; i < size; i += 16)
        for (int k = 0; k < 4; k++) {
            float32x4_t some = vld1q_f32(x + i + 4 * k);
            sums[k] = vfmaq_f32(sums[k], some, some);
        }
    float mean = total(vaddq_f32(vaddq_f32(sums[0], sums[2]), vaddq_f32(sums[1], sums[3]))) / (float)size;
    float factor = 1 / __builtin_sqrtf(mean + epsilon);
    for (int i = 0; i < size; i += 4)
        vst1q_f32(out + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), factor), vld1q_f32(weight + i)));
}

void gated(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i += 4) {
        float32x4_t x = vld1q_f32(gate + i);
        float32x4_t power = exp2_4(vminq_f32(vmulq_n_f32(x, -1.44269504f), vdupq_n_f32(126)));
        x = vdivq_f32(x, vaddq_f32(power, vdupq_n_f32(1)));
        vst1q_f32(gate + i, vmulq_f32(x, vld1q_f32(up + i)));
    }
}

void quantise(const float *x, int columns, Group *out) {
    for (int g = 0; g < columns / GROUP; g++, x += GROUP, out++) {
        float32x4_t most = vdupq_n_f32(0);
        for (int i = 0; i < GROUP; i += 4) most = vmaxq_f32(most, vabsq_f32(vld1q_f32(x + i)));
        float peak = vmaxvq_f32(most), factor = quantising_factor(peak);
        int32_t halves[2];
        for (int half = 0; half < 2; half++) {
            int16x8_t eight[2];
            for (int k = 0; k < 2; k++) {
                const float *from = x + 16 * half + 8 * k;
                int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(from), factor));
                int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(from + 4), factor));
                eight[k] = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
            }
            vst1q_s8(out->q + 16 * half, vcombine_s8(vqmovn_s16(eight[0]), vqmovn_s16(eight[1])));
            halves[half] = vaddvq_s16(vaddq_s16(eight[0], eight[1]));
        }
        out->scale = peak / 127;
        out->sum = out->scale * (float)(halves[0] + halves[1]);
        out->offset[0] = -32 * halves[0];
        out->offset[1] = -32 * halves[1];
    }
    if (columns / GROUP % 2) memset(out, 0, sizeof *out);
}
