/* What this processor reports, in the words of Linux' list of flags: asked of the processor itself, because a system
 * may hide its list. A library of its own, for plain C only: it says which of the others may be loaded. */
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *name;
    int is;
} Feature;

static const char *listed(const Feature *features, int count) {
    static char names[512];
    names[0] = 0;
    for (int i = 0; i < count; i++)
        if (features[i].is && strlen(names) + strlen(features[i].name) + 2 < sizeof names) {
            strcat(names, features[i].name);
            strcat(names, " ");
        }
    return names;
}

#if defined(__x86_64__)
#include <cpuid.h>

/* Which registers the system saves when it switches threads (XCR0); without XSAVE there is nothing to be asked. */
static uint32_t saved_state(uint32_t c1) {
    uint32_t low = 0, high;
    if (c1 >> 27 & 1) __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Registers of cpuid: leaf 1 ecx, leaf 7 ebx and ecx, leaf 7.1 eax. What the system does not save cannot be used. */
static const char *reported(uint32_t c1, uint32_t b7, uint32_t c7, uint32_t a71, uint32_t state) {
    int vectors = (state & 6) == 6, wide = (state & 0xe6) == 0xe6;
    const Feature features[] = {
        {"fma", vectors && c1 >> 12 & 1},
        {"f16c", vectors && c1 >> 29 & 1},
        {"avx2", vectors && b7 >> 5 & 1},
        {"avx_vnni", vectors && a71 >> 4 & 1},
        {"avx512f", wide && b7 >> 16 & 1},
        {"avx512dq", wide && b7 >> 17 & 1},
        {"avx512bw", wide && b7 >> 30 & 1},
        {"avx512vl", wide && b7 >> 31 & 1},
        {"avx512_vnni", wide && c7 >> 11 & 1},
        {"avx512_bf16", wide && a71 >> 5 & 1},
    };
    return listed(features, sizeof features / sizeof *features);
}

const char *descant_processor(void) {
    uint32_t a, b, c, d, c1, b7 = 0, c7 = 0, a71 = 0, most;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return "";
    if (__get_cpuid_count(7, 0, &most, &b7, &c7, &d) && most >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    return reported(c1, b7, c7, a71, saved_state(c1));
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

const char *descant_processor(void) {
    const Feature features[] = {
        {"asimddp", getauxval(AT_HWCAP) >> 20 & 1},
        {"i8mm", getauxval(AT_HWCAP2) >> 13 & 1},
    };
    return listed(features, sizeof features / sizeof *features);
}

#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static int has(const char *name) {
    int value = 0;
    size_t size = sizeof value;
    return !sysctlbyname(name, &value, &size, NULL, 0) && value;
}

/* Written from Apple's documentation; it was not run. */
const char *descant_processor(void) {
    const Feature features[] = {
        {"asimddp", has("hw.optional.arm.FEAT_DotProd")},
        {"i8mm", has("hw.optional.arm.FEAT_I8MM")},
    };
    return listed(features, sizeof features / sizeof *features);
}

#else

const char *descant_processor(void) { return listed(0, 0); }

#endif
