// Bits of x86-64 paging entries as an IOMMU reads them for a user's request (SDM 3A 4.5; VT-d 3.6).
#ifndef CREFERENCE_X86_64_H
#define CREFERENCE_X86_64_H

#include "entries.h"

#define X86_EXECUTE_DISABLE ((uint64_t)1 << 63)

enum {
    X86_PRESENT = 1,
    X86_WRITE = 1 << 1,
    X86_USER = 1 << 2,
    X86_ACCESSED = 1 << 5,
    X86_DIRTY = 1 << 6,
    X86_PAGE_SIZE = 1 << 7,
    // Of a leaf above level 0.
    X86_LARGE_PAT = 1 << 12,

    x86_granted = 0,
    x86_has_contiguous_leaves = false,
    x86_has_next_level = false,
    x86_can_sign_extend = true,
    x86_accessed = X86_ACCESSED,
    x86_dirty = X86_DIRTY,
    x86_mark_step = 0,
};

static inline int x86_kind(uint64_t word, int level, const struct ref_config *config) {
    if ((word & X86_PRESENT) == 0) return REF_NOT_PRESENT;
    if (level == 0) return (word & config->leaf_reserved) == 0 ? REF_OK : REF_RESERVED;
    if ((word & X86_PAGE_SIZE) == 0) return (word & config->table_reserved) == 0 ? REF_KIND_TABLE : REF_RESERVED;
    if (!ref_has_leaves(config, level)) return REF_RESERVED;
    uint64_t low = ref_slot_size(level) - 0x2000;
    return (word & (config->leaf_reserved | low)) == 0 ? REF_OK : REF_RESERVED;
}

static inline bool x86_is_present(uint64_t word) { return (word & X86_PRESENT) != 0; }

static inline uint64_t x86_mark(int level) { return (void)level, X86_PRESENT; }

static inline bool x86_is_table(uint64_t word, uint64_t mark, const struct ref_config *config) {
    return (word & (config->table_reserved | X86_PRESENT | X86_PAGE_SIZE)) == mark;
}

static inline uint8_t x86_rights(uint64_t word) {
    return (uint8_t)((word & (X86_WRITE | X86_USER)) | REF_READ | ((word ^ X86_EXECUTE_DISABLE) >> 60 & REF_EXECUTE));
}

static inline uint8_t x86_root_rights(const struct ref_config *config) { return config->root_rights; }

static inline uint64_t x86_table_address(uint64_t word, const struct ref_config *config) {
    return word & config->address_mask;
}

static inline int x86_next_level(uint64_t word, int level) { return (void)word, level - 1; }

static inline int x86_leaf_size_log2(uint64_t word, int level, const struct ref_config *config) {
    return (void)word, (void)config, 12 + 9 * level;
}

static inline uint64_t x86_leaf_address(uint64_t word, int level, const struct ref_config *config) {
    return word & config->address_mask & ~(uint64_t)(level == 0 ? 0 : X86_LARGE_PAT);
}

static inline uint64_t x86_leaf_word(uint64_t address, int log2, uint8_t rights, bool snoop,
                                     const struct ref_config *config) {
    (void)snoop;
    return address | X86_PRESENT | X86_USER | X86_ACCESSED | ((rights & 2) != 0 ? X86_WRITE | X86_DIRTY : 0)
        | (log2 > 12 ? X86_PAGE_SIZE : 0) | config->encryption;
}

static inline uint64_t x86_table_word(uint64_t address, int level, const struct ref_config *config) {
    return (void)level, address | X86_PRESENT | X86_WRITE | X86_USER | X86_ACCESSED | config->encryption;
}

#endif
