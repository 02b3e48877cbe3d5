/* What is done row by row, in plain C. Sums go in eight lanes, so that compilers may make vectors of them. */
#include <math.h>
#include <string.h>

#include "exponential.h"
#include "kernels.h"
#include "numbers.h"

enum { LANES = 8 };

void normed(const float *x, const float *weight, int size, float epsilon, float *out) {
    float sums[LANES] = {0}, sum = 0;
    for (int i = 0; i < size; i += LANES)
        for (int k = 0; k < LANES; k++) sums[k] += x[i + k] * x[i + k];
    for (int k = 0; k < LANES; k++) sum += sums[k];
    float factor = 1 / sqrtf(sum / (float)size + epsilon);
    for (int i = 0; i < size; i++) out[i] = x[i] * factor * weight[i];
}

void gated(float *gate, const float *up, int count) {
    for (int i = 0; i < count; i++) {
        float power = gate[i] * -1.44269504f;
        gate[i] = gate[i] / (1 + exp2_of(power < 126 ? power : 126)) * up[i];
    }
}

void quantise(const float *x, int columns, Group *out) {
    /* Beside this number the floats are the whole numbers: adding it rounds, ties to even, as the processor does. */
    const float whole = 0x1.8p23f;
    for (int g = 0; g < columns / GROUP; g++, x += GROUP, out++) {
        float most[LANES] = {0}, peak = 0;
        for (int i = 0; i < GROUP; i += LANES)
            for (int k = 0; k < LANES; k++) most[k] = fabsf(x[i + k]) > most[k] ? fabsf(x[i + k]) : most[k];
        for (int k = 0; k < LANES; k++) peak = most[k] > peak ? most[k] : peak;
        float factor = quantising_factor(peak);
        int32_t q[GROUP], halves[2] = {0, 0};
        for (int i = 0; i < GROUP; i++) q[i] = (int32_t)(bits_of_float(x[i] * factor + whole) - bits_of_float(whole));
        for (int i = 0; i < GROUP; i++) out->q[i] = (int8_t)q[i];
        for (int i = 0; i < GROUP; i++) halves[i / 16] += q[i];
        out->scale = peak / 127;
        out->sum = out->scale * (float)(halves[0] + halves[1]);
        out->offset[0] = -32 * halves[0];
        out->offset[1] = -32 * halves[1];
    }
    if (columns / GROUP % 2) memset(out, 0, sizeof *out);
}
