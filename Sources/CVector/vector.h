#ifndef DOMSTORE_CVECTOR_VECTOR_H
#define DOMSTORE_CVECTOR_VECTOR_H

/* Instructions that Swift has no operation for: packing, a bit per lane, fetching memory ahead, and AVX2, which not every
   x86-64 processor has. */

#include <stdbool.h>
#include <stdint.h>

typedef unsigned long long domstore_words __attribute__((vector_size(16)));
typedef unsigned int domstore_halves __attribute__((vector_size(16)));

/* A lane for each of four words, 0 where the word is. */
static inline __attribute__((always_inline)) domstore_halves domstore_fold(domstore_words a, domstore_words b) {
    domstore_halves x = (domstore_halves)a, y = (domstore_halves)b;
    return __builtin_shufflevector(x, y, 0, 2, 4, 6) | __builtin_shufflevector(x, y, 1, 3, 5, 7);
}

/* Asks for the 4,096 bytes at `page`, by lines of 64. */
static inline __attribute__((always_inline)) void domstore_fetch_page(const void *page) {
    for (unsigned line = 0; line < 64; line++) __builtin_prefetch((const char *)page + line * 64);
}

#ifdef __SSE2__

#include <emmintrin.h>

/* Bit k: lane k of the sixteen is not 0. Packing saturates, so that what is not 0 stays so. */
static inline __attribute__((always_inline)) unsigned domstore_used(
    domstore_halves a, domstore_halves b, domstore_halves c, domstore_halves d) {
    __m128i low = _mm_packs_epi32((__m128i)a, (__m128i)b), high = _mm_packs_epi32((__m128i)c, (__m128i)d);
    __m128i empty = _mm_cmpeq_epi8(_mm_packs_epi16(low, high), _mm_setzero_si128());
    return 0xffffu ^ (unsigned)_mm_movemask_epi8(empty);
}

#else

static inline __attribute__((always_inline)) unsigned domstore_used(
    domstore_halves a, domstore_halves b, domstore_halves c, domstore_halves d) {
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 4; lane++) {
        bits |= (unsigned)(a[lane] != 0) << lane | (unsigned)(b[lane] != 0) << (lane + 4);
        bits |= (unsigned)(c[lane] != 0) << (lane + 8) | (unsigned)(d[lane] != 0) << (lane + 12);
    }
    return bits;
}

#endif

#ifdef __x86_64__

#include <immintrin.h>

/* Whether this processor, and its system, can do what is called "wide" here (AVX2). */
static inline bool domstore_is_wide(void) { return __builtin_cpu_supports("avx2"); }

/* Bit k of the 512 at `breaks`: under `mask`, word k of a table is not `size` more than the one before it; word 0 has none
   and is one. Only where it is wide. */
static __attribute__((noinline, target("avx2"))) void domstore_breaks(
    const uint64_t *table, uint64_t mask, uint64_t size, uint64_t *breaks) {
    const __m256i masks = _mm256_set1_epi64x((long long)mask), sizes = _mm256_set1_epi64x((long long)size);
    const __m256i zero = _mm256_setzero_si256();
    /* The words before the first four, as far as there are any. */
    __m256i before = _mm256_set_epi64x((long long)table[2], (long long)table[1], (long long)table[0], 0);
    for (unsigned group = 0; group < 8; group++) {
        const uint64_t *words = table + group * 64;
        uint64_t same = 0;
#pragma clang loop unroll(full)
        for (unsigned four = 0; four < 16; four++) {
            if (group + four > 0) before = _mm256_loadu_si256((const __m256i *)(const void *)(words + four * 4 - 1));
            __m256i found = _mm256_loadu_si256((const __m256i *)(const void *)(words + four * 4));
            __m256i other = _mm256_and_si256(_mm256_xor_si256(found, _mm256_add_epi64(before, sizes)), masks);
            uint64_t bits = (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(other, zero)));
            same |= bits << (four * 4);
        }
        breaks[group] = ~same;
    }
    breaks[0] |= 1;
}

#else

static inline bool domstore_is_wide(void) { return false; }
static inline void domstore_breaks(const uint64_t *table, uint64_t mask, uint64_t size, uint64_t *breaks) {
    (void)table, (void)mask, (void)size, (void)breaks;
    __builtin_trap();
}

#endif

#endif
