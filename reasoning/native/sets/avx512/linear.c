/* Products for AVX-512 VNNI.
 *
 * `vpdpbusd` multiplies the four columns of all 16 rows with four activations that are broadcast. A group of 32
 * columns is unpacked once and used for up to `TILE` rows of activations. */
#include <string.h>

#include "kernels.h"
#include "layout.h"
#include "vectors.h"

enum {
    TILE = 12,    /* rows whose sums stay in registers */
    AHEAD = 4096, /* bytes between a load and its prefetch */
};

const int tile_rows = TILE;

INLINE __m512 half16(const uint8_t *at) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at)); }

INLINE __m512 bytes16(const uint8_t *at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)at)));
}

INLINE __m512 signed16(const uint8_t *at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)at)));
}

INLINE void unpack(int format, Place at, __m512i v[8]) {
    const __m512i nibble = _mm512_set1_epi8(15);
    if (format == SIGNED8) {
        for (int i = 0; i < 8; i++) v[i] = _mm512_loadu_si512(at.low + 64 * i);
        return;
    }
    for (int i = 0; i < 4; i++) {
        __m512i both = _mm512_loadu_si512(at.low + 64 * i);
        v[2 * i] = _mm512_and_si512(both, nibble);
        v[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    }
    if (format == K6) {
        const __m512i mask = _mm512_set1_epi8(0x30);
        for (int i = 0; i < 2; i++) {
            __m512i high = _mm512_loadu_si512(at.high + 64 * i);
            __m512i *to = v + 4 * i;
            to[0] = _mm512_ternarylogic_epi64(_mm512_slli_epi16(high, 4), mask, to[0], 0xEA);
            to[1] = _mm512_ternarylogic_epi64(_mm512_slli_epi16(high, 2), mask, to[1], 0xEA);
            to[2] = _mm512_ternarylogic_epi64(high, mask, to[2], 0xEA);
            to[3] = _mm512_ternarylogic_epi64(_mm512_srli_epi16(high, 2), mask, to[3], 0xEA);
        }
    }
    if (format == K5 || format == SIGNED5) {
        const __m512i mask = _mm512_set1_epi8(0x10);
        __m512i high = _mm512_loadu_si512(at.high);
#define FIFTH(i, shifted) v[i] = _mm512_ternarylogic_epi64(shifted, mask, v[i], 0xEA)
        FIFTH(0, _mm512_slli_epi16(high, 4));
        FIFTH(1, _mm512_slli_epi16(high, 3));
        FIFTH(2, _mm512_slli_epi16(high, 2));
        FIFTH(3, _mm512_slli_epi16(high, 1));
        FIFTH(4, high);
        FIFTH(5, _mm512_srli_epi16(high, 1));
        FIFTH(6, _mm512_srli_epi16(high, 2));
        FIFTH(7, _mm512_srli_epi16(high, 3));
#undef FIFTH
    }
}

/* Scale and minimum of 16 rows; for 6-bit weights the scales of the two halves of the group. */
INLINE void scales_of(int format, Place at, __m512 *scale, __m512 *other) {
    switch (format) {
        case AFFINE4:
            *scale = half16(at.scales);
            *other = half16(at.scales + 32);
            break;
        case K4:
        case K5:
            *scale = _mm512_mul_ps(bytes16(at.scales), half16(at.halves));
            *other = _mm512_mul_ps(bytes16(at.scales + 16), half16(at.halves + 32));
            break;
        case K6:
            *scale = _mm512_mul_ps(signed16(at.scales), half16(at.halves));
            *other = _mm512_mul_ps(signed16(at.scales + 16), half16(at.halves));
            break;
        default:
            *scale = half16(at.scales);
            *other = _mm512_mul_ps(*scale, _mm512_set1_ps(format == SIGNED5 ? 16 : 128));
    }
}

/* Adds 16 rows x 4 columns of weights times four activations. Written out because compilers load the activations
 * into a register first: the front end is the bottleneck, and the load comes free inside the instruction. */
INLINE __m512i four_columns(__m512i sum, __m512i weights, const int8_t *q) {
#ifdef __AVX512VNNI__
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(weights), "m"(*(const int32_t *)(const void *)q));
    return sum;
#else
    /* Emulated, in a test. */
    return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(*(const int32_t *)(const void *)q));
#endif
}

INLINE __m512 one_group(int format, const __m512i v[8], __m512 scale, __m512 other, const Group *x, __m512 sum) {
    __m512i a = format == K6 ? _mm512_set1_epi32(x->offset[0]) : _mm512_setzero_si512();
    __m512i b = format == K6 ? _mm512_set1_epi32(x->offset[1]) : _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a = four_columns(a, v[i], x->q + 4 * i);
        b = four_columns(b, v[4 + i], x->q + 16 + 4 * i);
    }
    if (format == K6) {
        __m512 both = _mm512_mul_ps(_mm512_cvtepi32_ps(a), scale);
        both = _mm512_fmadd_ps(_mm512_cvtepi32_ps(b), other, both);
        return _mm512_fmadd_ps(both, _mm512_set1_ps(x->scale), sum);
    }
    __m512 all = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(a, b)), scale);
    sum = _mm512_fmadd_ps(all, _mm512_set1_ps(x->scale), sum);
    return _mm512_fnmadd_ps(other, _mm512_set1_ps(x->sum), sum);
}

/* 16 outputs of `rows` rows of activations. */
INLINE void block_times_rows(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                             __m512 sums[]) {
    const int unit = unit_groups(format), bytes = unit_bytes(format);
    const int units = (columns / GROUP + unit - 1) / unit;
    const int lines = (bytes / 64 + unit - 1) / unit;
    for (int r = 0; r < rows; r++) sums[r] = _mm512_setzero_ps();
    for (int u = 0; u < units; u++, block += bytes) {
        for (int g = 0; g < unit; g++, x++) {
            Place at = place(format, block, g);
            /* A few lines a group: a whole unit's at once would fill the queue that the loads wait in. */
            const char *ahead = (const char *)block + AHEAD + g * lines * 64;
            for (int i = 0; i < lines; i++) _mm_prefetch(ahead + 64 * i, _MM_HINT_T0);
            __m512i v[8];
            __m512 scale, other;
            unpack(format, at, v);
            scales_of(format, at, &scale, &other);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) sums[r] = one_group(format, v, scale, other, x + (size_t)r * stride, sums[r]);
        }
    }
}

typedef void (*Kernel)(const uint8_t *block, int columns, const Group *x, size_t stride, __m512 sums[]);

#define KERNEL(format, rows)                                                                                       \
    static void format##_##rows(const uint8_t *block, int columns, const Group *x, size_t stride, __m512 sums[]) { \
        __m512 local[rows];                                                                                        \
        block_times_rows(format, rows, block, columns, x, stride, local);                                          \
        for (int r = 0; r < rows; r++) sums[r] = local[r];                                                         \
    }
#define KERNELS(format)                                                                    \
    KERNEL(format, 1) KERNEL(format, 2) KERNEL(format, 3) KERNEL(format, 4) KERNEL(format, 5) \
    KERNEL(format, 6) KERNEL(format, 7) KERNEL(format, 8) KERNEL(format, 9) KERNEL(format, 10) \
    KERNEL(format, 11) KERNEL(format, 12)
#define NAMES(format)                                                                              \
    {format##_1, format##_2, format##_3, format##_4,  format##_5,  format##_6,                     \
     format##_7, format##_8, format##_9, format##_10, format##_11, format##_12}

KERNELS(AFFINE4) KERNELS(K4) KERNELS(K5) KERNELS(K6) KERNELS(SIGNED5) KERNELS(SIGNED8)

static const Kernel kernels[FORMATS][TILE] = {
    [AFFINE4] = NAMES(AFFINE4), [K4] = NAMES(K4),           [K5] = NAMES(K5),
    [K6] = NAMES(K6),           [SIGNED5] = NAMES(SIGNED5), [SIGNED8] = NAMES(SIGNED8),
};

void multiply_block(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                    float *sums) {
    kernels[format][rows - 1](block, columns, x, stride, (__m512 *)(void *)sums);
}

void quantise(const float *x, int columns, Group *out) {
    for (int g = 0; g < columns / GROUP; g++, x += GROUP, out++) {
        __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
        float peak = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
        /* The choice is between numbers: compilers have been seen to get one between vectors wrong. */
        __m512 factor = _mm512_set1_ps(quantising_factor(peak));
        __m512i p = _mm512_cvtps_epi32(_mm512_mul_ps(a, factor)), q = _mm512_cvtps_epi32(_mm512_mul_ps(b, factor));
        _mm_storeu_si128((__m128i *)out->q, _mm512_cvtsepi32_epi8(p));
        _mm_storeu_si128((__m128i *)(out->q + 16), _mm512_cvtsepi32_epi8(q));
        int first = _mm512_reduce_add_epi32(p), second = _mm512_reduce_add_epi32(q);
        out->scale = peak / 127;
        out->sum = out->scale * (float)(first + second);
        out->offset[0] = -32 * first;
        out->offset[1] = -32 * second;
    }
    if (columns / GROUP % 2) memset(out, 0, sizeof *out);
}
