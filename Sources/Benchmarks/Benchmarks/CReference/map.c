#include "amd_v1.h"
#include "memory.h"
#include "vtd_second_stage.h"
#include "x86_64.h"

#include <errno.h>

// Tables that one check may visit, so that damaged tables cannot hold it up for ever.
#define REF_VISIT_LIMIT (1 << 22)

static inline bool mark_dirty(struct ref_arena *arena, uint64_t table) {
    uint64_t frame = (table - arena->base) >> 12;
    if (frame >= arena->frame_count) return false;
    arena->dirty[frame] = 1;
    return true;
}

// The k of a page size of 2^k bytes; of anything else a number that is no page size's.
static inline int page_shift(uint64_t byte_count) { return __builtin_ctzll(byte_count | (uint64_t)1 << 63); }

// A mapping of several leaves. Input addresses are those without sign bits.
struct range {
    const struct ref_config *config;
    const struct ref_memory *memory;
    struct ref_arena *arena;
    uint64_t iova;
    uint64_t pa;
    uint64_t last;
    uint8_t rights;
    bool snoop;
};

// What `position` maps to.
static inline uint64_t address_of(const struct range *range, uint64_t position) {
    return range->pa + (position - range->iova);
}

// The smallest leaf in tables of `level` that both addresses are congruent for, 0 when there is none.
static inline uint64_t leaf_unit(const struct range *range, int level) {
    uint64_t sizes = range->config->page_sizes & (uint64_t)0x1ff << (12 + 9 * level);
    uint64_t unit = sizes & -sizes;
    return ((range->iova ^ range->pa) & (unit - 1)) == 0 ? unit : 0;
}

// True when the slot at `base` becomes part of a leaf.
static inline bool is_leaf(const struct range *range, uint64_t base, uint64_t unit) {
    return unit != 0 && (base & ~(unit - 1)) >= range->iova && (base | (unit - 1)) <= range->last;
}

// The k of the largest of `sizes` that fits at `position` and up to `end`; 4 KiB always does.
static inline int leaf_log2(const struct range *range, uint64_t sizes, uint64_t position, uint64_t end) {
    int aligned = __builtin_ctzll(position | address_of(range, position) | (uint64_t)1 << 63);
    int fitting = 63 - __builtin_clzll(end - position + 1), bound = aligned < fitting ? aligned : fitting;
    return 63 - __builtin_clzll(sizes & (((uint64_t)2 << bound) - 1));
}

// The k of the largest of `sizes` that both addresses are congruent for.
static inline int widest_leaf_log2(const struct range *range, uint64_t sizes) {
    int bound = __builtin_ctzll((range->iova ^ range->pa) | (uint64_t)1 << 63);
    return 63 - __builtin_clzll(sizes & (((uint64_t)2 << bound) - 1));
}

// Consecutive leaves of one table page.
static inline void write_leaves(uint64_t *words, uint64_t count, uint64_t word, uint64_t step) {
    for (uint64_t index = 0; index < count; index++, word += step) words[index] = word;
}

// Tables that `first` to `last` needs below an empty table at `level`.
static uint64_t tables_needed(const struct range *range, uint64_t first, uint64_t last, int level) {
    uint64_t count = 0;
    for (int lower = 0; lower < level; lower++) {
        int slot = 12 + 9 * (lower + 1);
        count += (last >> slot) - (first >> slot) + 1;
        // Except where a larger leaf stands.
        uint64_t unit = 0;
        for (int larger = lower + 1; larger <= level && unit == 0; larger++) unit = leaf_unit(range, larger);
        if (unit == 0) continue;
        int size = __builtin_ctzll(unit);
        uint64_t begin = (first >> size) + ((first & (unit - 1)) == 0 ? 0 : 1);
        uint64_t end = (last >> size) + ((last & (unit - 1)) == unit - 1 ? 1 : 0);
        if (end > begin) count -= (end - begin) << (size - slot);
    }
    return count;
}

#define F(name) vtd_##name
#include "map_template.h"
#undef F
#define F(name) amd_##name
#include "map_template.h"
#undef F
#define F(name) x86_##name
#include "map_template.h"
#undef F

NOINLINE int ref_map(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                     struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
                     bool snoop) {
    switch (config->format) {
    case REF_VTD_SECOND_STAGE: return vtd_map(config, root, memory, arena, iova, pa, byte_count, rights, snoop);
    case REF_AMD_V1: return amd_map(config, root, memory, arena, iova, pa, byte_count, rights, snoop);
    case REF_X86_64: return x86_map(config, root, memory, arena, iova, pa, byte_count, rights, snoop);
    }
    __builtin_unreachable();
}

uint64_t ref_map_each(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                      struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, size_t count) {
    // On the stack, as on the other side: where these are decides a sixth of the time.
    const struct ref_config own_config = *config;
    const struct ref_memory own_memory = *memory;
    struct ref_arena own_arena = *arena;
    uint64_t errors = 0;
    for (size_t index = 0; index < count; index++) {
        errors += (uint64_t)ref_map(&own_config, root, &own_memory, &own_arena, iova, pa, byte_count,
                                    REF_READ | REF_WRITE, false);
        iova += byte_count;
        pa += byte_count;
    }
    *arena = own_arena;
    return errors;
}
