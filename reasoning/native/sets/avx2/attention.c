/* Attention for AVX2: pairs of bfloat16 become two vectors of floats by a shift and a mask. */
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

INLINE __m256 lower(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }

INLINE __m256 upper(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

INLINE __m256i load(const uint16_t *at) { return _mm256_loadu_si256((const __m256i *)(const void *)at); }

void keep_query(const float *query, int size, void *kept) { memcpy(kept, query, (size_t)size * 4); }

/* Scores of `count` queries with 16 keys. */
INLINE void score_16(int count, const uint16_t *keys, int size, const float *q, float *scores) {
    __m256 sums[QUERIES][2];
    for (int n = 0; n < count; n++) sums[n][0] = sums[n][1] = _mm256_setzero_ps();
    for (int i = 0; i < size / 2; i++) {
        __m256i a = load(keys + 32 * i), b = load(keys + 32 * i + 16);
        __m256 low[2] = {lower(a), lower(b)}, high[2] = {upper(a), upper(b)};
        for (int n = 0; n < count; n++) {
            __m256 even = _mm256_broadcast_ss(q + n * size + 2 * i), odd = _mm256_broadcast_ss(q + n * size + 2 * i + 1);
            for (int h = 0; h < 2; h++)
                sums[n][h] = _mm256_fmadd_ps(high[h], odd, _mm256_fmadd_ps(low[h], even, sums[n][h]));
        }
    }
    for (int n = 0; n < count; n++)
        for (int h = 0; h < 2; h++) _mm256_storeu_ps(scores + n * CHUNK + 8 * h, sums[n][h]);
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
    const __m256 nothing = _mm256_set1_ps(-INFINITY);
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 best = nothing;
    for (int i = 0; i < keys; i += 8) {
        __m256i seen_here = _mm256_cmpgt_epi32(_mm256_set1_epi32(seen - i), places);
        __m256 x = _mm256_blendv_ps(nothing, _mm256_loadu_ps(scores + i), _mm256_castsi256_ps(seen_here));
        _mm256_storeu_ps(scores + i, x);
        best = _mm256_max_ps(best, x);
    }
    float peak = greatest(best);
    if (!(peak > softmax->peak)) peak = softmax->peak;
    if (peak == -INFINITY) peak = 0;
    if (peak != softmax->peak) {
        float shrink = exp2f(softmax->peak - peak);
        softmax->weight *= shrink;
        for (int i = 0; i < size; i++) sums[i] *= shrink;
        softmax->peak = peak;
    }
    __m256 weight = _mm256_setzero_ps();
    for (int i = 0; i < keys; i += 8) {
        __m256 x = _mm256_loadu_ps(scores + i);
        __m256 some = _mm256_cmp_ps(x, nothing, _CMP_GT_OQ);
        x = _mm256_and_ps(some, exp2_8(_mm256_sub_ps(x, _mm256_set1_ps(peak))));
        weight = _mm256_add_ps(weight, x);
        _mm256_storeu_ps(scores + i, x);
    }
    softmax->weight += total(weight);
}

/* 16 elements of `count` sums. */
INLINE void weigh_16(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    __m256 sum[QUERIES][2];
    for (int n = 0; n < count; n++)
        for (int h = 0; h < 2; h++) sum[n][h] = _mm256_loadu_ps(sums + n * size + 8 * h);
    for (int j = 0; j + 1 < keys; j += 2, values += 2 * (size_t)size) {
        __m256i a = load(values), b = load(values + 16);
        __m256 low[2] = {lower(a), lower(b)}, high[2] = {upper(a), upper(b)};
        for (int n = 0; n < count; n++) {
            __m256 even = _mm256_broadcast_ss(shares + n * CHUNK + j), odd = _mm256_broadcast_ss(shares + n * CHUNK + j + 1);
            for (int h = 0; h < 2; h++)
                sum[n][h] = _mm256_fmadd_ps(high[h], odd, _mm256_fmadd_ps(low[h], even, sum[n][h]));
        }
    }
    /* The last of an odd number has no partner: zero times what lies there need not be zero. */
    if (keys % 2)
        for (int n = 0; n < count; n++)
            for (int h = 0; h < 2; h++)
                sum[n][h] = _mm256_fmadd_ps(lower(load(values + 16 * h)),
                                            _mm256_broadcast_ss(shares + n * CHUNK + keys - 1), sum[n][h]);
    for (int n = 0; n < count; n++)
        for (int h = 0; h < 2; h++) _mm256_storeu_ps(sums + n * size + 8 * h, sum[n][h]);
}

void weigh(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    for (int e = 0; e < size; e += 16, values += 32, sums += 16) {
#define WEIGH(n) weigh_16(n, values, size, keys, shares, sums)
        FOR_COUNT(count, WEIGH)
#undef WEIGH
    }
}
