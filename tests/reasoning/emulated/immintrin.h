/* Carries out AVX-512 and AVX-VNNI on a processor with AVX2, a half at a time, to the bit: found before the compiler's
 * own header by what is compiled with this folder among its includes. Holds what sets/avx512 and sets/avx2 use. */
#ifndef DESCANT_EMULATED_H
#define DESCANT_EMULATED_H

#include_next <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define EMULATED static inline __attribute__((always_inline, unused))

typedef union {
    __m512 floats;
    __m512i bits;
    __m256 f[2];
    __m256i i[2];
    float number[16];
    int32_t integer[16];
} Halves;

/* name: the intrinsic without its prefix; made of `half`, which sees the half's number as h. */
#define HALVES(type, out, field, name, half, ...) \
    EMULATED type emulated_##name(__VA_ARGS__) {  \
        Halves to;                                \
        for (int h = 0; h < 2; h++) to.field[h] = half; \
        return to.out;                            \
    }
#define FLOATS(name, half, ...) HALVES(__m512, floats, f, name, half, __VA_ARGS__)
#define BITS(name, half, ...) HALVES(__m512i, bits, i, name, half, __VA_ARGS__)

EMULATED __m256 half_ps(__m512 x, int h) { return (Halves){.floats = x}.f[h]; }
EMULATED __m256i half_si(__m512i x, int h) { return (Halves){.bits = x}.i[h]; }

/* Sums of four products of an unsigned and a signed byte, without saturation between. */
EMULATED __m256i fours(__m256i sum, __m256i a, __m256i b) {
    __m256i even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

/* The truth table's rows one by one. */
EMULATED __m256i logic(__m256i a, __m256i b, __m256i c, int table) {
    __m256i all = _mm256_set1_epi32(-1), out = _mm256_setzero_si256();
    for (int row = 0; row < 8; row++) {
        __m256i x = row & 4 ? a : _mm256_xor_si256(a, all), y = row & 2 ? b : _mm256_xor_si256(b, all);
        __m256i z = row & 1 ? c : _mm256_xor_si256(c, all);
        if (table >> row & 1) out = _mm256_or_si256(out, _mm256_and_si256(x, _mm256_and_si256(y, z)));
    }
    return out;
}

EMULATED __m256 scaled(__m256 x, __m256 power) {
    Halves all = {.f = {x, power}};
    for (int k = 0; k < 8; k++) all.number[k] = ldexpf(all.number[k], (int)floorf(all.number[8 + k]));
    return all.f[0];
}

FLOATS(setzero_ps, _mm256_setzero_ps(), void)
FLOATS(set1_ps, _mm256_set1_ps(x), float x)
FLOATS(loadu_ps, _mm256_loadu_ps((const float *)at + 8 * h), const void *at)
FLOATS(add_ps, _mm256_add_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(sub_ps, _mm256_sub_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(mul_ps, _mm256_mul_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(div_ps, _mm256_div_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(max_ps, _mm256_max_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(min_ps, _mm256_min_ps(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(abs_ps, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), half_ps(x, h)), __m512 x)
FLOATS(fmadd_ps, _mm256_fmadd_ps(half_ps(x, h), half_ps(y, h), half_ps(z, h)), __m512 x, __m512 y, __m512 z)
FLOATS(fnmadd_ps, _mm256_fnmadd_ps(half_ps(x, h), half_ps(y, h), half_ps(z, h)), __m512 x, __m512 y, __m512 z)
FLOATS(roundscale_8, _mm256_round_ps(half_ps(x, h), 8), __m512 x)
FLOATS(scalef_ps, scaled(half_ps(x, h), half_ps(y, h)), __m512 x, __m512 y)
FLOATS(cvtepi32_ps, _mm256_cvtepi32_ps(half_si(x, h)), __m512i x)
FLOATS(cvtph_ps, _mm256_cvtph_ps(h ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x)), __m256i x)
FLOATS(castsi512_ps, _mm256_castsi256_ps(half_si(x, h)), __m512i x)

BITS(setzero_si512, _mm256_setzero_si256(), void)
BITS(set1_epi8, _mm256_set1_epi8(x), char x)
BITS(set1_epi32, _mm256_set1_epi32(x), int x)
BITS(loadu_si512, _mm256_loadu_si256((const __m256i *)at + h), const void *at)
BITS(and_si512, _mm256_and_si256(half_si(x, h), half_si(y, h)), __m512i x, __m512i y)
BITS(add_epi32, _mm256_add_epi32(half_si(x, h), half_si(y, h)), __m512i x, __m512i y)
BITS(slli_epi16, _mm256_slli_epi16(half_si(x, h), bits), __m512i x, int bits)
BITS(srli_epi16, _mm256_srli_epi16(half_si(x, h), bits), __m512i x, int bits)
BITS(slli_epi32, _mm256_slli_epi32(half_si(x, h), bits), __m512i x, int bits)
BITS(srli_epi32, _mm256_srli_epi32(half_si(x, h), bits), __m512i x, int bits)
BITS(ternarylogic_epi64, logic(half_si(x, h), half_si(y, h), half_si(z, h), table), __m512i x, __m512i y, __m512i z, int table)
BITS(dpbusd_epi32, fours(half_si(sum, h), half_si(x, h), half_si(y, h)), __m512i sum, __m512i x, __m512i y)
BITS(cvtps_epi32, _mm256_cvtps_epi32(half_ps(x, h)), __m512 x)
BITS(cvtepu8_epi32, _mm256_cvtepu8_epi32(h ? _mm_srli_si128(x, 8) : x), __m128i x)
BITS(cvtepi8_epi32, _mm256_cvtepi8_epi32(h ? _mm_srli_si128(x, 8) : x), __m128i x)
BITS(castps_si512, _mm256_castps_si256(half_ps(x, h)), __m512 x)

EMULATED void emulated_storeu_ps(void *at, __m512 x) { memcpy(at, &x, sizeof x); }

EMULATED __m512 emulated_mask_loadu_ps(__m512 x, uint16_t mask, const void *at) {
    Halves to = {.floats = x};
    for (int k = 0; k < 16; k++)
        if (mask >> k & 1) to.number[k] = ((const float *)at)[k];
    return to.floats;
}

EMULATED __m512 emulated_maskz_mov_ps(uint16_t mask, __m512 x) {
    Halves to = {.floats = x};
    for (int k = 0; k < 16; k++)
        if (!(mask >> k & 1)) to.number[k] = 0;
    return to.floats;
}

EMULATED uint16_t emulated_greater_ps(__m512 x, __m512 y) {
    int low = _mm256_movemask_ps(_mm256_cmp_ps(half_ps(x, 0), half_ps(y, 0), _CMP_GT_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(half_ps(x, 1), half_ps(y, 1), _CMP_GT_OQ));
    return (uint16_t)(low | high << 8);
}

EMULATED __m256i emulated_cvtepi32_epi16(__m512i x) {
    uint16_t out[16];
    __m256i to;
    for (int k = 0; k < 16; k++) out[k] = (uint16_t)(Halves){.bits = x}.integer[k];
    memcpy(&to, out, sizeof to);
    return to;
}

EMULATED __m128i emulated_cvtsepi32_epi8(__m512i x) {
    int8_t out[16];
    __m128i to;
    for (int k = 0; k < 16; k++) {
        int32_t whole = (Halves){.bits = x}.integer[k];
        out[k] = (int8_t)(whole > 127 ? 127 : whole < -128 ? -128 : whole);
    }
    memcpy(&to, out, sizeof to);
    return to;
}

/* In the order in which compilers add: halves, quarters, eighths, pairs. */
#define REDUCED(type, name, whole, member, add)                                                    \
    EMULATED type emulated_##name(whole x) {                                                       \
        Halves all;                                                                                \
        memcpy(&all, &x, sizeof x);                                                                \
        for (int n = 8; n; n /= 2)                                                                 \
            for (int k = 0; k < n; k++) {                                                          \
                type a = all.member[k], b = all.member[k + n];                                     \
                all.member[k] = add;                                                               \
            }                                                                                      \
        return all.member[0];                                                                      \
    }
REDUCED(float, reduce_add_ps, __m512, number, a + b)
REDUCED(float, reduce_max_ps, __m512, number, a > b ? a : b)
REDUCED(int, reduce_add_epi32, __m512i, integer, a + b)

#define _mm512_setzero_ps emulated_setzero_ps
#define _mm512_set1_ps emulated_set1_ps
#define _mm512_loadu_ps emulated_loadu_ps
#define _mm512_storeu_ps emulated_storeu_ps
#define _mm512_mask_loadu_ps emulated_mask_loadu_ps
#define _mm512_maskz_mov_ps emulated_maskz_mov_ps
#define _mm512_add_ps emulated_add_ps
#define _mm512_sub_ps emulated_sub_ps
#define _mm512_mul_ps emulated_mul_ps
#define _mm512_div_ps emulated_div_ps
#define _mm512_max_ps emulated_max_ps
#define _mm512_min_ps emulated_min_ps
#define _mm512_abs_ps emulated_abs_ps
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_fnmadd_ps emulated_fnmadd_ps
#define _mm512_scalef_ps emulated_scalef_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_castsi512_ps emulated_castsi512_ps
#define _mm512_castps_si512 emulated_castps_si512
#define _mm512_setzero_si512 emulated_setzero_si512
#define _mm512_set1_epi8 emulated_set1_epi8
#define _mm512_set1_epi32 emulated_set1_epi32
#define _mm512_loadu_si512 emulated_loadu_si512
#define _mm512_and_si512 emulated_and_si512
#define _mm512_add_epi32 emulated_add_epi32
#define _mm512_dpbusd_epi32 emulated_dpbusd_epi32
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtsepi32_epi8 emulated_cvtsepi32_epi8
#define _mm512_reduce_add_ps emulated_reduce_add_ps
#define _mm512_reduce_max_ps emulated_reduce_max_ps
#define _mm512_reduce_add_epi32 emulated_reduce_add_epi32
/* Macros in the headers of some compilers. */
#undef _mm512_ternarylogic_epi64
#undef _mm512_cmp_ps_mask
#undef _mm512_roundscale_ps
#undef _mm256_dpbusd_avx_epi32
#define _mm512_slli_epi16 emulated_slli_epi16
#define _mm512_srli_epi16 emulated_srli_epi16
#define _mm512_slli_epi32 emulated_slli_epi32
#define _mm512_srli_epi32 emulated_srli_epi32
#define _mm512_ternarylogic_epi64 emulated_ternarylogic_epi64
#define _mm512_roundscale_ps(x, how) emulated_roundscale_##how(x)
#define _mm256_dpbusd_avx_epi32 fours
#define _mm512_cmp_ps_mask(x, y, how) emulated_greater_ps(x, y) /* `how` is _CMP_GT_OQ */

#endif
