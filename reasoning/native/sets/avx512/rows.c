/* What is done row by row between products, for AVX-512. */
#include "kernels.h"
#include "vectors.h"

void normed(const float *x, const float *weight, int size, float epsilon, float *out) {
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < size; i += 16) {
        __m512 some = _mm512_loadu_ps(x + i);
        sum = _mm512_fmadd_ps(some, some, sum);
    }
    __m512 factor = _mm512_set1_ps(1 / __builtin_sqrtf(_mm512_reduce_add_ps(sum) / (float)size + epsilon));
    for (int i = 0; i < size; i += 16) {
        __m512 some = _mm512_mul_ps(_mm512_loadu_ps(x + i), factor);
        _mm512_storeu_ps(out + i, _mm512_mul_ps(some, _mm512_loadu_ps(weight + i)));
    }
}

void gated(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i += 16) {
        __m512 x = _mm512_loadu_ps(gate + i);
        __m512 power = exp2_16(_mm512_min_ps(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f)), _mm512_set1_ps(126)));
        x = _mm512_div_ps(x, _mm512_add_ps(power, _mm512_set1_ps(1)));
        _mm512_storeu_ps(gate + i, _mm512_mul_ps(x, _mm512_loadu_ps(up + i)));
    }
}
