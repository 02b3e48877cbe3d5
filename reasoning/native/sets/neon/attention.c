/* Attention for NEON: pairs of bfloat16 become two vectors of floats by a shift and a mask. */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "vectors.h"

#define FOR_COUNT(count, call)  \
    switch (count) {            \
        case 1: call(1); break; \
        case 2: call(2); break; \
        case 3: call(3); break; \
        default: call(4);       \
    }

/* Four pairs. */
typedef struct {
    float32x4_t even, odd;
} Split;

INLINE Split split(const uint16_t *at) {
    uint32x4_t pairs = vreinterpretq_u32_u16(vld1q_u16(at));
    return (Split){vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)),
                   vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000u)))};
}

void keep_query(const float *query, int size, void *kept) { memcpy(kept, query, (size_t)size * 4); }

/* Scores of `count` queries with 16 keys. */
INLINE void score_16(int count, const uint16_t *keys, int size, const float *q, float *scores) {
    float32x4_t sums[QUERIES][4];
    for (int n = 0; n < count; n++)
        for (int k = 0; k < 4; k++) sums[n][k] = vdupq_n_f32(0);
    for (int i = 0; i < size; i += 2, keys += 32) {
        Split some[4];
        for (int k = 0; k < 4; k++) some[k] = split(keys + 8 * k);
        for (int n = 0; n < count; n++)
            for (int k = 0; k < 4; k++) {
                sums[n][k] = vfmaq_n_f32(sums[n][k], some[k].even, q[n * size + i]);
                sums[n][k] = vfmaq_n_f32(sums[n][k], some[k].odd, q[n * size + i + 1]);
            }
    }
    for (int n = 0; n < count; n++)
        for (int k = 0; k < 4; k++) vst1q_f32(scores + n * CHUNK + 4 * k, sums[n][k]);
}

void score_64(int count, const uint16_t *keys, int size, const void *queries, float *scores) {
    for (int t = 0; t < 4; t++, keys += 16 * (size_t)size, scores += 16) {
#define SCORE(n) score_16(n, keys, size, queries, scores)
        FOR_COUNT(count, SCORE)
#undef SCORE
    }
}

/* Shares stay floats. */
void soften(float *scores, int seen, int keys, Softmax *softmax, float *sums, int size) {
    const float32x4_t nothing = vdupq_n_f32(-INFINITY);
    const int32_t counted[] = {0, 1, 2, 3};
    const int32x4_t places = vld1q_s32(counted);
    float32x4_t best = nothing;
    for (int i = 0; i < keys; i += 4) {
        float32x4_t x = vbslq_f32(vcltq_s32(places, vdupq_n_s32(seen - i)), vld1q_f32(scores + i), nothing);
        vst1q_f32(scores + i, x);
        best = vmaxq_f32(best, x);
    }
    float peak = vmaxvq_f32(best);
    if (!(peak > softmax->peak)) peak = softmax->peak;
    if (peak == -INFINITY) peak = 0;
    if (peak != softmax->peak) {
        float shrink = exp2f(softmax->peak - peak);
        softmax->weight *= shrink;
        for (int i = 0; i < size; i++) sums[i] *= shrink;
        softmax->peak = peak;
    }
    float32x4_t weight[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
    for (int i = 0; i < keys; i += 4) {
        float32x4_t x = vld1q_f32(scores + i);
        uint32x4_t share = vreinterpretq_u32_f32(exp2_4(vsubq_f32(x, vdupq_n_f32(peak))));
        x = vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(x, nothing), share));
        weight[i / 4 % 2] = vaddq_f32(weight[i / 4 % 2], x);
        vst1q_f32(scores + i, x);
    }
    softmax->weight += total(vaddq_f32(weight[0], weight[1]));
}

/* 16 elements of `count` sums. */
INLINE void weigh_16(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    float32x4_t sum[QUERIES][4];
    for (int n = 0; n < count; n++)
        for (int k = 0; k < 4; k++) sum[n][k] = vld1q_f32(sums + n * size + 4 * k);
    for (int j = 0; j < keys; j += 2, values += 2 * (size_t)size) {
        Split some[4];
        for (int k = 0; k < 4; k++) some[k] = split(values + 8 * k);
        for (int n = 0; n < count; n++)
            for (int k = 0; k < 4; k++) sum[n][k] = vfmaq_n_f32(sum[n][k], some[k].even, shares[n * CHUNK + j]);
        /* The last of an odd number has no partner: zero times what lies there need not be zero. */
        if (j + 1 == keys) break;
        for (int n = 0; n < count; n++)
            for (int k = 0; k < 4; k++) sum[n][k] = vfmaq_n_f32(sum[n][k], some[k].odd, shares[n * CHUNK + j + 1]);
    }
    for (int n = 0; n < count; n++)
        for (int k = 0; k < 4; k++) vst1q_f32(sums + n * size + 4 * k, sum[n][k]);
}

void weigh(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    for (int e = 0; e < size; e += 16, values += 32, sums += 16) {
#define WEIGH(n) weigh_16(n, values, size, keys, shares, sums)
        FOR_COUNT(count, WEIGH)
#undef WEIGH
    }
}
