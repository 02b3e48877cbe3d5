/* Vector functions that several files of this set share. */
#ifndef DESCANT_VECTORS_H
#define DESCANT_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

#include "layout.h"

/* 2^x for x <= 127, to about 2e-7 relative; polynomial of degree 6 on [-0.5, 0.5]. */
INLINE __m512 exp2_16(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-150));
    __m512 whole = _mm512_roundscale_ps(x, 8);
    __m512 f = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(1.5403530e-4f);
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.3333558e-3f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.6181291e-3f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.5504109e-2f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.4022651e-1f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9314718e-1f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1));
    return _mm512_scalef_ps(y, whole);
}

/* Adds the products of 16 pairs of bfloat16 with one pair that is broadcast. */
INLINE __m512 add_pairs(__m512 sum, __m512i pairs, const uint32_t *pair) {
#ifdef __AVX512BF16__
    __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(pairs), "m"(*pair));
    return sum;
#else
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    __m512i both = _mm512_set1_epi32((int)*pair);
    sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
                          _mm512_castsi512_ps(_mm512_slli_epi32(both, 16)), sum);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(pairs, upper)),
                           _mm512_castsi512_ps(_mm512_and_si512(both, upper)), sum);
#endif
}

#endif
