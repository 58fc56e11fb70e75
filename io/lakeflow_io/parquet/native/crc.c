/* Page checksums: CRC-32 as in zlib, by carry-less multiplication where the processor has it. */
#include "parts.h"

/* Without: eight bytes a step ("slicing-by-8", Kounavis and Berry 2005). */
static uint32_t crc_table[8][256];

__attribute__((constructor)) static void make_crc_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        crc_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[0][crc_table[t - 1][i] & 0xff] ^ (crc_table[t - 1][i] >> 8);
}

static uint32_t by_table(uint32_t c, const uint8_t *in, int64_t size) {
    for (; size >= 8; in += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, in, 8);
        word ^= c;
        c = crc_table[7][word & 0xff] ^ crc_table[6][word >> 8 & 0xff] ^ crc_table[5][word >> 16 & 0xff] ^
            crc_table[4][word >> 24 & 0xff] ^ crc_table[3][word >> 32 & 0xff] ^ crc_table[2][word >> 40 & 0xff] ^
            crc_table[1][word >> 48 & 0xff] ^ crc_table[0][word >> 56];
    }
    while (size-- > 0) c = crc_table[0][(c ^ *in++) & 0xff] ^ (c >> 8);
    return c;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>

#define LEAST_FOLDED 128

/* Move `x` over `next`, by as many bits as `by` is made for. */
__attribute__((target("pclmul,sse4.1"))) static inline __m128i fold(__m128i x, __m128i by, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(x, by, 0x00), high = _mm_clmulepi64_si128(x, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* Whole blocks of 16 bytes, 64 or more in all, folded into one, whose checksum is theirs. Method and constants: Gopal
 * et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t by_folding(uint32_t c, const uint8_t *in, int64_t size) {
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i *at = (const __m128i *)in;
    __m128i x[4];
    for (int k = 0; k < 4; k++) x[k] = _mm_loadu_si128(at + k);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)c));
    for (at += 4, size -= 64; size >= 64; at += 4, size -= 64)
        for (int k = 0; k < 4; k++) x[k] = fold(x[k], by_512, _mm_loadu_si128(at + k));
    for (int k = 1; k < 4; k++) x[0] = fold(x[0], by_128, x[k]);
    for (; size >= 16; at++, size -= 16) x[0] = fold(x[0], by_128, _mm_loadu_si128(at));
    uint8_t folded[16];
    memcpy(folded, x, 16);
    return by_table(0, folded, 16);
}

static int can_fold;

__attribute__((constructor)) static void look_at_processor(void) {
    __builtin_cpu_init();
    can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
#define LEAST_FOLDED INT64_MAX
#define can_fold 0
#define by_folding by_table
#endif

uint32_t lf_crc32(const uint8_t *in, int64_t size) {
    uint32_t c = 0xffffffffu;
    if (can_fold && size >= LEAST_FOLDED) {
        int64_t whole = size & ~(int64_t)15;
        c = by_folding(c, in, whole);
        in += whole;
        size -= whole;
    }
    return by_table(c, in, size) ^ 0xffffffffu;
}
