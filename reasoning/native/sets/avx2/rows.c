/* What is done row by row, for AVX2. */
#include <string.h>

#include "kernels.h"
#include "vectors.h"

void normed(const float *x, const float *weight, int size, float epsilon, float *out) {
    __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
    for (int i = 0; i < size; i += 16) {
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + 8);
        even = _mm256_fmadd_ps(a, a, even);
        odd = _mm256_fmadd_ps(b, b, odd);
    }
    float mean = total(_mm256_add_ps(even, odd)) / (float)size;
    __m256 factor = _mm256_set1_ps(1 / __builtin_sqrtf(mean + epsilon));
    for (int i = 0; i < size; i += 8) {
        __m256 some = _mm256_mul_ps(_mm256_loadu_ps(x + i), factor);
        _mm256_storeu_ps(out + i, _mm256_mul_ps(some, _mm256_loadu_ps(weight + i)));
    }
}

void gated(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i += 8) {
        __m256 x = _mm256_loadu_ps(gate + i);
        __m256 power = exp2_8(_mm256_min_ps(_mm256_mul_ps(x, _mm256_set1_ps(-1.44269504f)), _mm256_set1_ps(126)));
        x = _mm256_div_ps(x, _mm256_add_ps(power, _mm256_set1_ps(1)));
        _mm256_storeu_ps(gate + i, _mm256_mul_ps(x, _mm256_loadu_ps(up + i)));
    }
}

void quantise(const float *x, int columns, Group *out) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int g = 0; g < columns / GROUP; g++, x += GROUP, out++) {
        __m256 part[4], most = _mm256_setzero_ps();
        for (int i = 0; i < 4; i++) {
            part[i] = _mm256_loadu_ps(x + 8 * i);
            most = _mm256_max_ps(most, _mm256_andnot_ps(sign, part[i]));
        }
        float peak = greatest(most);
        __m256 factor = _mm256_set1_ps(quantising_factor(peak));
        __m256i q[4];
        for (int i = 0; i < 4; i++) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(part[i], factor));
        int first = whole_total(_mm256_add_epi32(q[0], q[1])), second = whole_total(_mm256_add_epi32(q[2], q[3]));
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        _mm256_storeu_si256((__m256i *)(void *)out->q, _mm256_permutevar8x32_epi32(bytes, order));
        out->scale = peak / 127;
        out->sum = out->scale * (float)(first + second);
        out->offset[0] = -32 * first;
        out->offset[1] = -32 * second;
    }
    if (columns / GROUP % 2) memset(out, 0, sizeof *out);
}
