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

// True when a leaf at `level` exists that is as large as a table slot there.
static inline bool ref_has_leaves(const struct ref_config *config, int level) {
    return (config->page_sizes >> (12 + 9 * level) & 1) != 0;
}

static inline enum ref_kind ref_entry_kind(uint64_t word, int level, const struct ref_config *config) {
    if ((word & REF_READ_WRITE) == 0) return REF_KIND_EMPTY;
    if (level == 0) return (word & config->leaf_reserved) == 0 ? REF_KIND_LEAF : REF_KIND_RESERVED;
    if ((word & REF_PAGE_SIZE) == 0) return (word & config->table_reserved) == 0 ? REF_KIND_TABLE : REF_KIND_RESERVED;
    if (!ref_has_leaves(config, level)) return REF_KIND_RESERVED;
    uint64_t low = ((uint64_t)1 << (12 + 9 * level)) - 0x1000;
    return (word & (config->leaf_reserved | low)) == 0 ? REF_KIND_LEAF : REF_KIND_RESERVED;
}

// The one question of a walk on its way down: a table, at any level above 0. `not_table` is what a table may not have.
static inline bool ref_is_table(uint64_t word, uint64_t not_table) {
    return (word & REF_READ_WRITE) != 0 && (word & not_table) == 0;
}

static inline uint64_t ref_not_table(const struct ref_config *config) {
    return config->table_reserved | REF_PAGE_SIZE;
}

uint64_t *ref_search(const struct ref_memory *memory, uint64_t page);

// True when the frame at `page` is in the largest segment; its words are then ref_primary_words(memory, page).
static inline bool ref_is_primary(const struct ref_memory *memory, uint64_t page) {
    return page - memory->base < memory->page_limit;
}

static inline uint64_t *ref_primary_words(const struct ref_memory *memory, uint64_t page) {
    return (uint64_t *)(void *)(memory->pointer + (page - memory->base));
}

// The 512 words of the frame at `page`, or NULL when it is not wholly present.
static inline uint64_t *ref_words(const struct ref_memory *memory, uint64_t page) {
    return ref_is_primary(memory, page) ? ref_primary_words(memory, page) : ref_search(memory, page);
}

static inline int ref_index(uint64_t iova, int level) { return (int)(iova >> (12 + 9 * level) & 511); }

#endif
