/* Attention in plain C. */
#include <math.h>
#include <string.h>

#include "exponential.h"
#include "kernels.h"
#include "numbers.h"

enum { TILE = 16 /* keys */ };

void keep_query(const float *query, int size, void *kept) { memcpy(kept, query, (size_t)size * 4); }

/* The two numbers of a pair lie side by side: one shifted and one masked, as vectors have them. */
static inline void split(const uint16_t *pairs, float *restrict even, float *restrict odd) {
    for (int i = 0; i < TILE; i++) {
        uint32_t both;
        memcpy(&both, pairs + 2 * i, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        both = both << 16 | both >> 16;
#endif
        even[i] = float_of_bits(both << 16);
        odd[i] = float_of_bits(both & 0xffff0000u);
    }
}

void score_64(int count, const uint16_t *keys, int size, const void *queries, float *scores) {
    for (int t = 0; t < 64; t += TILE) {
        float sums[QUERIES][TILE] = {{0}}, even[TILE], odd[TILE];
        const float *q = queries;
        for (int i = 0; i < size; i += 2, keys += 2 * TILE) {
            split(keys, even, odd);
            for (int n = 0; n < count; n++)
                for (int k = 0; k < TILE; k++)
                    sums[n][k] += even[k] * q[n * size + i] + odd[k] * q[n * size + i + 1];
        }
        for (int n = 0; n < count; n++) memcpy(scores + n * CHUNK + t, sums[n], sizeof sums[n]);
    }
}

void soften(float *scores, int seen, int keys, Softmax *softmax, float *sums, int size) {
    float peak = softmax->peak, weight = 0;
    for (int i = 0; i < seen; i++) peak = scores[i] > peak ? scores[i] : peak;
    if (peak == -INFINITY) peak = 0;
    if (peak != softmax->peak) {
        float shrink = exp2f(softmax->peak - peak);
        softmax->weight *= shrink;
        for (int i = 0; i < size; i++) sums[i] *= shrink;
        softmax->peak = peak;
    }
    for (int i = 0; i < keys; i++) scores[i] = i < seen ? exp2_of(scores[i] - peak) : 0;
    for (int i = 0; i < seen; i++) weight += scores[i];
    softmax->weight += weight;
}

void weigh(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums) {
    for (int j = 0; j < keys; j += 2, values += 2 * (size_t)size)
        for (int e = 0; e < size; e += TILE) {
            float even[TILE], odd[TILE];
            split(values + 2 * e, even, odd);
            /* The last of an odd number has no partner: zero times what lies there need not be zero. */
            if (j + 1 == keys) memset(odd, 0, sizeof odd);
            for (int n = 0; n < count; n++) {
                float first = shares[n * CHUNK + j], second = j + 1 < keys ? shares[n * CHUNK + j + 1] : 0;
                for (int k = 0; k < TILE; k++) sums[n * size + e + k] += even[k] * first + odd[k] * second;
            }
        }
}
