#ifndef DOMSTORE_CVECTOR_VECTOR_H
#define DOMSTORE_CVECTOR_VECTOR_H

/* Instructions that Swift's SIMD types have no operation for: packing, and a bit per lane. */

typedef unsigned long long domstore_words __attribute__((vector_size(16)));
typedef unsigned int domstore_halves __attribute__((vector_size(16)));

/* A lane for each of four words, 0 where the word is. */
static inline __attribute__((always_inline)) domstore_halves domstore_fold(domstore_words a, domstore_words b) {
    domstore_halves x = (domstore_halves)a, y = (domstore_halves)b;
    return __builtin_shufflevector(x, y, 0, 2, 4, 6) | __builtin_shufflevector(x, y, 1, 3, 5, 7);
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

#endif
