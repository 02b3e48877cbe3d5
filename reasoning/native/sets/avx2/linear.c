/* Products for 256 bits: AVX2, and AVX-VNNI where the compiler is told that it is there.
 *
 * A line of 16 rows is two vectors of 8. `vpmaddubsw` adds pairs of products in 16 bits, where the sums of a group
 * must find room: 4-bit weights give 15 x 127 x 2 x 8 = 30,480 at most, 5-bit ones 31,496 after four, 6-bit ones
 * 32,004 after two, 8-bit ones 32,512 after one and only with the sign taken from weight to activation. `vpdpbusd`
 * adds four products in 32 bits at once. */
#include <string.h>

#include "kernels.h"
#include "layout.h"
#include "vectors.h"

enum {
    TILE = 4,     /* rows of activations: two sums of 16 bits for each stay in registers */
    AHEAD = 4096, /* bytes between a load and its prefetch */
};

const int tile_rows = TILE;

INLINE __m256i bytes32(const uint8_t *at) { return _mm256_loadu_si256((const __m256i *)(const void *)at); }

INLINE __m256 half8(const uint8_t *at) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)at)); }

INLINE __m256 unsigned8(const uint8_t *at) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
}

INLINE __m256 signed8(const uint8_t *at) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
}

/* Four activations, for 8 rows. */
INLINE __m256i four(const int8_t *q) {
    int32_t bits;
    memcpy(&bits, q, 4);
    return _mm256_set1_epi32(bits);
}

/* Columns 8i..8i+3 and 8i+4..8i+7 of 8 rows; `half` says which rows. */
INLINE void unpack(int format, Place at, int i, int half, __m256i v[2]) {
    const __m256i nibble = _mm256_set1_epi8(15);
    if (format == SIGNED8) {
        const __m256i flip = _mm256_set1_epi8(-128);
        for (int k = 0; k < 2; k++) v[k] = _mm256_xor_si256(bytes32(at.low + 64 * (2 * i + k) + 32 * half), flip);
        return;
    }
    __m256i both = bytes32(at.low + 64 * i + 32 * half);
    v[0] = _mm256_and_si256(both, nibble);
    v[1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
    if (format == K6) {
        const __m256i mask = _mm256_set1_epi8(0x30);
        __m256i high = bytes32(at.high + 64 * (i / 2) + 32 * half);
        __m256i first = i % 2 ? high : _mm256_slli_epi16(high, 4);
        __m256i second = i % 2 ? _mm256_srli_epi16(high, 2) : _mm256_slli_epi16(high, 2);
        v[0] = _mm256_or_si256(v[0], _mm256_and_si256(first, mask));
        v[1] = _mm256_or_si256(v[1], _mm256_and_si256(second, mask));
    }
    if (format == K5 || format == SIGNED5) {
        const __m256i mask = _mm256_set1_epi8(0x10);
        __m256i high = bytes32(at.high + 32 * half);
        __m256i first = i < 2 ? _mm256_slli_epi16(high, 4 - 2 * i) : _mm256_srli_epi16(high, 2 * i - 4);
        __m256i second = i < 2 ? _mm256_slli_epi16(high, 3 - 2 * i) : _mm256_srli_epi16(high, 2 * i - 3);
        v[0] = _mm256_or_si256(v[0], _mm256_and_si256(first, mask));
        v[1] = _mm256_or_si256(v[1], _mm256_and_si256(second, mask));
    }
}

/* Scale and minimum of 8 rows; for 6-bit weights the scales of the two halves of the group. */
INLINE void scales_of(int format, Place at, int half, __m256 *scale, __m256 *other) {
    const uint8_t *scales = at.scales, *halves = at.halves + 16 * half;
    switch (format) {
        case AFFINE4:
            *scale = half8(scales + 16 * half);
            *other = half8(scales + 32 + 16 * half);
            break;
        case K4:
        case K5:
            *scale = _mm256_mul_ps(unsigned8(scales + 8 * half), half8(halves));
            *other = _mm256_mul_ps(unsigned8(scales + 16 + 8 * half), half8(halves + 32));
            break;
        case K6:
            *scale = _mm256_mul_ps(signed8(scales + 8 * half), half8(halves));
            *other = _mm256_mul_ps(signed8(scales + 16 + 8 * half), half8(halves));
            break;
        default:
            *scale = half8(scales + 16 * half);
            *other = _mm256_mul_ps(*scale, _mm256_set1_ps(16));
    }
}

/* The sums of the two halves of a group's columns, 8 rows x `rows` of activations each; only 6-bit weights have use
 * for the second. */
typedef struct {
    __m256i first[TILE][2], second[TILE][2];
} Whole;

#if defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__))
#define DOTS 1
#ifdef __AVXVNNI__
#define ADD_FOURS(sum, weights, x) _mm256_dpbusd_avx_epi32(sum, weights, x)
#else
#define ADD_FOURS(sum, weights, x) _mm256_dpbusd_epi32(sum, weights, x)
#endif
#else
#define DOTS 0
#define ADD_FOURS(sum, weights, x) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(weights, x), ones))
#endif

/* Compilers would rather add a group's products at its end, and put them all into memory until then. */
INLINE __m256i in_place(__m256i sum) {
    __asm__("" : "+x"(sum));
    return sum;
}

/* Pairs whose sums 16 bits hold. */
INLINE int pairs_of(int format) { return format == K6 ? 1 : format == K5 || format == SIGNED5 ? 2 : 4; }

INLINE void multiply_group(int format, int rows, Place at, const Group *x, size_t stride, Whole *whole) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i narrow[TILE][2];
    (void)ones;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < 2; h++) {
            whole->first[r][h] = format == K6 ? _mm256_set1_epi32(x[(size_t)r * stride].offset[0]) : _mm256_setzero_si256();
            whole->second[r][h] = format == K6 ? _mm256_set1_epi32(x[(size_t)r * stride].offset[1]) : _mm256_setzero_si256();
        }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m256i v[2][2];
        for (int h = 0; h < 2; h++) unpack(format, at, i, h, v[h]);
        __m256i(*to)[2] = format == K6 && i >= 2 ? whole->second : whole->first;
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const int8_t *q = x[(size_t)r * stride].q + 8 * i;
            __m256i a = four(q), b = four(q + 4);
            for (int h = 0; h < 2; h++) {
                if (format == SIGNED8) {
                    __m256i c = _mm256_sign_epi8(a, v[h][0]), d = _mm256_sign_epi8(b, v[h][1]);
                    to[r][h] = ADD_FOURS(to[r][h], _mm256_abs_epi8(v[h][0]), c);
                    to[r][h] = ADD_FOURS(to[r][h], _mm256_abs_epi8(v[h][1]), d);
                    continue;
                }
                if (DOTS) {
                    to[r][h] = ADD_FOURS(ADD_FOURS(to[r][h], v[h][0], a), v[h][1], b);
                    continue;
                }
                __m256i sum = _mm256_maddubs_epi16(v[h][0], a);
                if (i % pairs_of(format)) sum = in_place(_mm256_add_epi16(narrow[r][h], sum));
                narrow[r][h] = in_place(_mm256_add_epi16(sum, _mm256_maddubs_epi16(v[h][1], b)));
                if ((i + 1) % pairs_of(format) == 0)
                    to[r][h] = in_place(_mm256_add_epi32(to[r][h], _mm256_madd_epi16(narrow[r][h], ones)));
            }
        }
    }
}

/* 16 outputs of `rows` rows of activations. */
INLINE void block_times_rows(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                             float *sums) {
    const int unit = unit_groups(format), bytes = unit_bytes(format);
    const int units = (columns / GROUP + unit - 1) / unit;
    const int lines = (bytes / 64 + unit - 1) / unit;
    __m256 sum[TILE][2];
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    for (int u = 0; u < units; u++, block += bytes) {
        for (int g = 0; g < unit; g++, x++) {
            Place at = place(format, block, g);
            const char *ahead = (const char *)block + AHEAD + g * lines * 64;
            for (int i = 0; i < lines; i++) _mm_prefetch(ahead + 64 * i, _MM_HINT_T0);
            Whole whole;
            multiply_group(format, rows, at, x, stride, &whole);
            for (int h = 0; h < 2; h++) {
                __m256 scale, other;
                scales_of(format, at, h, &scale, &other);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++) {
                    const Group *group = x + (size_t)r * stride;
                    __m256 all = _mm256_mul_ps(_mm256_cvtepi32_ps(whole.first[r][h]), scale);
                    if (format == K6) all = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole.second[r][h]), other, all);
                    sum[r][h] = _mm256_fmadd_ps(all, _mm256_set1_ps(group->scale), sum[r][h]);
                    /* 8-bit weights are multiplied with their sign, and 6-bit sums begin with their offset. */
                    if (format != K6 && format != SIGNED8)
                        sum[r][h] = _mm256_fnmadd_ps(other, _mm256_set1_ps(group->sum), sum[r][h]);
                }
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < 2; h++) _mm256_store_ps(sums + 16 * r + 8 * h, sum[r][h]);
}

typedef void (*Kernel)(const uint8_t *block, int columns, const Group *x, size_t stride, float *sums);

#define KERNEL(format, rows)                                                                                    \
    static void format##_##rows(const uint8_t *block, int columns, const Group *x, size_t stride, float *sums) { \
        block_times_rows(format, rows, block, columns, x, stride, sums);                                        \
    }
#define KERNELS(format) KERNEL(format, 1) KERNEL(format, 2) KERNEL(format, 3) KERNEL(format, 4)
#define NAMES(format) {format##_1, format##_2, format##_3, format##_4}

KERNELS(AFFINE4) KERNELS(K4) KERNELS(K5) KERNELS(K6) KERNELS(SIGNED5) KERNELS(SIGNED8)

static const Kernel kernels[FORMATS][TILE] = {
    [AFFINE4] = NAMES(AFFINE4), [K4] = NAMES(K4),           [K5] = NAMES(K5),
    [K6] = NAMES(K6),           [SIGNED5] = NAMES(SIGNED5), [SIGNED8] = NAMES(SIGNED8),
};

void multiply_block(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                    float *sums) {
    kernels[format][rows - 1](block, columns, x, stride, sums);
}
