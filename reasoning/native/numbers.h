/* Conversions between number formats, one at a time, in plain C. */
#ifndef DESCANT_NUMBERS_H
#define DESCANT_NUMBERS_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

/* Exact for all halves; the product with 2^112 moves the exponent, also of subnormal numbers. */
static inline float float_of_half(uint16_t half) {
    uint32_t size = half & 0x7fffu, special = size >= 0x7c00 ? 0x7f800000u : 0;
    float x = float_of_bits(size << 13) * 0x1p112f;
    return float_of_bits(bits_of_float(x) | special | (half & 0x8000u) << 16);
}

/* Nearest half, ties to even; beyond the greatest one infinity. */
static inline uint16_t half_of_float(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (size >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    /* Below the least normal half the sum with 0.5 has a half's least step as its own. */
    if (size < 0x38800000u) return (uint16_t)(sign | (bits_of_float(float_of_bits(size) + 0.5f) - 0x3f000000u));
    size += 0xc8000fffu + (size >> 13 & 1);
    return (uint16_t)(sign | size >> 13);
}

/* Nearest bfloat16, ties to even; for finite numbers. */
static inline uint16_t to_bf16(float x) {
    uint32_t bits = bits_of_float(x);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float of_bf16(uint16_t x) { return float_of_bits((uint32_t)x << 16); }

#endif
