// Bits of VT-d second-stage entries (VT-d 9.8) and access to table frames.
#ifndef CREFERENCE_ENTRIES_H
#define CREFERENCE_ENTRIES_H

#include "CReference.h"

enum {
    REF_READ_WRITE = 3,
    REF_PAGE_SIZE = 1 << 7,
    REF_ACCESSED = 1 << 8,
    REF_DIRTY = 1 << 9,
    REF_SNOOP = 1 << 11,
};

enum ref_kind { REF_KIND_EMPTY, REF_KIND_TABLE, REF_KIND_LEAF, REF_KIND_RESERVED };

static inline enum ref_kind ref_entry_kind(uint64_t word, int level, const struct ref_config *config) {
    if ((word & REF_READ_WRITE) == 0) return REF_KIND_EMPTY;
    if (level == 0) return (word & config->leaf_reserved) == 0 ? REF_KIND_LEAF : REF_KIND_RESERVED;
    if ((word & REF_PAGE_SIZE) == 0) return (word & config->table_reserved) == 0 ? REF_KIND_TABLE : REF_KIND_RESERVED;
    if ((config->leaf_levels >> level & 1) == 0) return REF_KIND_RESERVED;
    uint64_t low = ((uint64_t)1 << (12 + 9 * level)) - 0x1000;
    return (word & (config->leaf_reserved | low)) == 0 ? REF_KIND_LEAF : REF_KIND_RESERVED;
}

// The one question of a walk on its way down: a table, at any level above 0.
static inline bool ref_is_table(uint64_t word, const struct ref_config *config) {
    return (word & REF_READ_WRITE) != 0 && (word & (config->table_reserved | REF_PAGE_SIZE)) == 0;
}

uint64_t *ref_search(const struct ref_memory *memory, uint64_t page);

// The 512 words of the frame at `page`, or NULL when it is not wholly present.
static inline uint64_t *ref_words(const struct ref_memory *memory, uint64_t page) {
    uint64_t offset = page - memory->base;
    if (__builtin_expect(offset < memory->page_limit, 1)) return (uint64_t *)(void *)(memory->pointer + offset);
    return ref_search(memory, page);
}

static inline int ref_index(uint64_t iova, int level) { return (int)(iova >> (12 + 9 * level) & 511); }

#endif
