/* Attention for AVX-512: pairs of bfloat16 are multiplied as they lie in the cache. */
#include <math.h>

#include "kernels.h"
#include "numbers.h"
#include "vectors.h"

void keep_query(const float *query, int size, void *kept) {
    uint32_t *pairs = kept;
    for (int i = 0; i < size / 2; i++)
        pairs[i] = to_bf16(query[2 * i]) | (uint32_t)to_bf16(query[2 * i + 1]) << 16;
}

/* Scores of `count` queries with 64 keys. */
INLINE void score_some(int count, const uint16_t *keys, int size, const uint32_t *q, float *scores) {
    __m512 sums[QUERIES][4];
    for (int n = 0; n < count; n++)
        for (int t = 0; t < 4; t++) sums[n][t] = _mm512_setzero_ps();
    for (int i = 0; i < size / 2; i++) {
        __m512i tile[4];
        for (int t = 0; t < 4; t++) tile[t] = _mm512_loadu_si512(keys + (size_t)t * 16 * (size_t)size + 32 * i);
        for (int n = 0; n < count; n++)
            for (int t = 0; t < 4; t++) sums[n][t] = add_pairs(sums[n][t], tile[t], &q[n * size + i]);
    }
    for (int n = 0; n < count; n++)
        for (int t = 0; t < 4; t++) _mm512_storeu_ps(scores + n * CHUNK + 16 * t, sums[n][t]);
}

/* Adds `blocks` x 16 elements of the values, weighted by the probabilities of `pairs` pairs of keys. */
INLINE void weigh_some(int count, int blocks, const uint16_t *values, int size, int pairs, int odd, const float *shares,
                  float *sums) {
    __m512 sum[QUERIES][4];
    for (int n = 0; n < count; n++)
        for (int b = 0; b < blocks; b++) sum[n][b] = _mm512_loadu_ps(sums + n * size + 16 * b);
    for (int j = 0; j < pairs; j++) {
        __m512i value[4];
        for (int b = 0; b < blocks; b++) {
            value[b] = _mm512_loadu_si512(values + (size_t)j * 2 * (size_t)size + 32 * b);
            /* Behind the last key lies whatever was in the memory, and zero times that need not be zero. */
            if (odd && j == pairs - 1) value[b] = _mm512_and_si512(value[b], _mm512_set1_epi32(0xffff));
        }
        for (int n = 0; n < count; n++)
            for (int b = 0; b < blocks; b++)
                sum[n][b] = add_pairs(sum[n][b], value[b], (const uint32_t *)(const void *)(shares + n * CHUNK) + j);
    }
    for (int n = 0; n < count; n++)
        for (int b = 0; b < blocks; b++) _mm512_storeu_ps(sums + n * size + 16 * b, sum[n][b]);
}

#define FOR_COUNT(count, call) \
    switch (count) {           \
        case 1: call(1); break; \
        case 2: call(2); break; \
        case 3: call(3); break; \
        default: call(4);      \
    }

void score_64(int count, const uint16_t *keys, int size, const void *queries, float *scores) {
    const uint32_t *q = queries;
#define SCORE(n) score_some(n, keys, size, q, scores)
    FOR_COUNT(count, SCORE)
#undef SCORE
}

void weigh(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    int pairs = (keys + 1) / 2, odd = keys % 2;
    for (int e = 0; e < size; e += 64) {
        const uint16_t *from = values + 2 * e;
        float *to = sums + e;
        if (size - e >= 64) {
#define WEIGH(n) weigh_some(n, 4, from, size, pairs, odd, shares, to)
            FOR_COUNT(count, WEIGH)
#undef WEIGH
        } else {
#define WEIGH(n) \
    for (int b = 0; b < (size - e) / 16; b++) weigh_some(n, 1, from + 32 * b, size, pairs, odd, shares, to + 16 * b)
            FOR_COUNT(count, WEIGH)
#undef WEIGH
        }
    }
}

/* Shares are pairs of bfloat16, in the first half of the row. */
void soften(float *scores, int seen, int keys, Softmax *softmax, float *sums, int size) {
    __m512 best = _mm512_set1_ps(-INFINITY);
    for (int i = 0; i < keys; i += 16) {
        int left = seen - i;
        __mmask16 mask = left >= 16 ? 0xffff : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
        __m512 x = _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), mask, scores + i);
        _mm512_storeu_ps(scores + i, x);
        best = _mm512_max_ps(best, x);
    }
    float peak = _mm512_reduce_max_ps(best);
    if (!(peak > softmax->peak)) peak = softmax->peak;
    if (peak == -INFINITY) peak = 0;
    if (peak != softmax->peak) {
        float shrink = exp2f(softmax->peak - peak);
        softmax->weight *= shrink;
        for (int i = 0; i < size; i++) sums[i] *= shrink;
        softmax->peak = peak;
    }
    __m512 weight = _mm512_setzero_ps();
    for (int i = 0; i < keys; i += 16) {
        __m512 x = _mm512_loadu_ps(scores + i);
        __mmask16 some = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-INFINITY), _CMP_GT_OQ);
        x = _mm512_maskz_mov_ps(some, exp2_16(_mm512_sub_ps(x, _mm512_set1_ps(peak))));
        /* Rounded first, so that weight and sums are of the same shares. */
        __m512i bits = _mm512_castps_si512(x);
        bits = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)), 16);
        weight = _mm512_add_ps(weight, _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)));
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)(void *)scores + i), _mm512_cvtepi32_epi16(bits));
    }
    softmax->weight += _mm512_reduce_add_ps(weight);
}
