// Bits of VT-d second-stage entries (VT-d 9.8).
#ifndef CREFERENCE_VTD_SECOND_STAGE_H
#define CREFERENCE_VTD_SECOND_STAGE_H

#include "entries.h"

enum {
    VTD_READ_WRITE = 3,
    VTD_PAGE_SIZE = 1 << 7,
    VTD_ACCESSED = 1 << 8,
    VTD_DIRTY = 1 << 9,
    VTD_SNOOP = 1 << 11,

    // The rights that the format has no bits for.
    vtd_granted = REF_USER | REF_EXECUTE,
    vtd_has_contiguous_leaves = false,
    vtd_has_next_level = false,
    vtd_can_sign_extend = false,
    vtd_accessed = VTD_ACCESSED,
    vtd_dirty = VTD_DIRTY,
    vtd_mark_step = 0,
};

static inline int vtd_kind(uint64_t word, int level, const struct ref_config *config) {
    if ((word & VTD_READ_WRITE) == 0) return REF_NOT_PRESENT;
    if (level == 0) return (word & config->leaf_reserved) == 0 ? REF_OK : REF_RESERVED;
    if ((word & VTD_PAGE_SIZE) == 0) return (word & config->table_reserved) == 0 ? REF_KIND_TABLE : REF_RESERVED;
    if (!ref_has_leaves(config, level)) return REF_RESERVED;
    uint64_t low = ref_slot_size(level) - 0x1000;
    return (word & (config->leaf_reserved | low)) == 0 ? REF_OK : REF_RESERVED;
}

static inline bool vtd_is_present(uint64_t word) { return (word & VTD_READ_WRITE) != 0; }

// What vtd_is_table expects at `level`, less by `mark_step` one level down.
static inline uint64_t vtd_mark(int level) { return (void)level, 0; }

// The one question of a walk on its way down: a table, at any level above 0, and the next one is one level down.
static inline bool vtd_is_table(uint64_t word, uint64_t mark, const struct ref_config *config) {
    return (void)mark, (word & VTD_READ_WRITE) != 0 && (word & (config->table_reserved | VTD_PAGE_SIZE)) == 0;
}

static inline uint8_t vtd_rights(uint64_t word) { return word & VTD_READ_WRITE; }
static inline uint8_t vtd_root_rights(const struct ref_config *config) { return (void)config, REF_READ | REF_WRITE; }

static inline uint64_t vtd_table_address(uint64_t word, const struct ref_config *config) {
    return word & config->address_mask;
}

static inline int vtd_next_level(uint64_t word, int level) { return (void)word, level - 1; }

static inline int vtd_leaf_size_log2(uint64_t word, int level, const struct ref_config *config) {
    return (void)word, (void)config, 12 + 9 * level;
}

static inline uint64_t vtd_leaf_address(uint64_t word, int level, const struct ref_config *config) {
    return (void)level, word & config->address_mask;
}

static inline uint64_t vtd_leaf_word(uint64_t address, int log2, uint8_t rights, bool snoop,
                                     const struct ref_config *config) {
    (void)config;
    return address | (rights & VTD_READ_WRITE) | (snoop ? VTD_SNOOP : 0) | (log2 > 12 ? VTD_PAGE_SIZE : 0);
}

static inline uint64_t vtd_table_word(uint64_t address, int level, const struct ref_config *config) {
    return (void)level, (void)config, address | VTD_READ_WRITE;
}

#endif
