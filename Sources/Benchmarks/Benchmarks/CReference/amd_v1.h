// Bits of AMD v1 entries (AMD 48882 2.2.3). The vendor's level is the one here plus one.
#ifndef CREFERENCE_AMD_V1_H
#define CREFERENCE_AMD_V1_H

#include "entries.h"

#define AMD_LEAF_RESERVED ((uint64_t)0x7f << 52)
#define AMD_UNTRANSLATED ((uint64_t)1 << 59)
#define AMD_COHERENT ((uint64_t)1 << 60)
#define AMD_READ_WRITE ((uint64_t)3 << 61)

enum {
    AMD_PRESENT = 1,
    AMD_NEXT_LEVEL = 7 << 9,
    // The Next Level of a leaf that has its size in its address.
    AMD_SIZED = 7,
    // Tables of this level hold no leaves.
    AMD_LEAFLESS = 5,

    amd_granted = REF_USER | REF_EXECUTE,
    amd_has_contiguous_leaves = true,
    amd_has_next_level = true,
    amd_can_sign_extend = false,
    amd_accessed = 1 << 5,
    amd_dirty = 1 << 6,
    amd_mark_step = 1 << 9,
};

static inline int amd_code(uint64_t word) { return (int)(word >> 9 & 7); }

// Of a sized leaf: the address is ones from bit 12 up to the first zero, which is half the size.
static inline int amd_leaf_size_log2(uint64_t word, int level, const struct ref_config *config) {
    if (amd_code(word) != AMD_SIZED) return 12 + 9 * level;
    uint64_t zeros = ~(word & config->address_mask) & REF_ADDRESS_FIELD;
    return zeros == 0 ? 65 : __builtin_ctzll(zeros) + 1;
}

static inline int amd_kind(uint64_t word, int level, const struct ref_config *config) {
    if ((word & AMD_PRESENT) == 0) return REF_NOT_PRESENT;
    int code = amd_code(word);
    if (code == 0 || code == AMD_SIZED) {
        if (level == AMD_LEAFLESS) return REF_LEAF_NOT_ALLOWED;
        if (code == AMD_SIZED) {
            int log2 = amd_leaf_size_log2(word, level, config), slot = 12 + 9 * level;
            if (log2 <= slot || log2 > slot + 8) return REF_INVALID_PAGE_SIZE;
        }
        return (word & AMD_LEAF_RESERVED) == 0 ? REF_OK : REF_RESERVED;
    }
    if (code > level) return REF_INVALID_LEVEL;
    return (word & config->table_reserved) == 0 ? REF_KIND_TABLE : REF_RESERVED;
}

static inline bool amd_is_present(uint64_t word) { return (word & AMD_PRESENT) != 0; }

static inline uint64_t amd_mark(int level) { return AMD_PRESENT | (uint64_t)level << 9; }

static inline bool amd_is_table(uint64_t word, uint64_t mark, const struct ref_config *config) {
    (void)config;
    return (word & (AMD_PRESENT | AMD_NEXT_LEVEL | AMD_LEAF_RESERVED | AMD_UNTRANSLATED | AMD_COHERENT)) == mark;
}

static inline uint8_t amd_rights(uint64_t word) { return word >> 61 & 3; }
static inline uint8_t amd_root_rights(const struct ref_config *config) { return config->root_rights; }

static inline uint64_t amd_table_address(uint64_t word, const struct ref_config *config) {
    return word & config->address_mask;
}

static inline int amd_next_level(uint64_t word, int level) { return (void)level, amd_code(word) - 1; }

static inline uint64_t amd_leaf_address(uint64_t word, int level, const struct ref_config *config) {
    return word & config->address_mask & (~(uint64_t)0 << amd_leaf_size_log2(word, level, config));
}

static inline uint64_t amd_leaf_word(uint64_t address, int log2, uint8_t rights, bool snoop,
                                     const struct ref_config *config) {
    bool is_slot = (log2 - 12) % 9 == 0;
    uint64_t code = is_slot ? 0 : (((uint64_t)1 << (log2 - 1)) - 0x1000) | AMD_NEXT_LEVEL;
    return address | AMD_PRESENT | code | (uint64_t)(rights & 3) << 61 | (snoop ? AMD_COHERENT : 0)
        | config->encryption;
}

static inline uint64_t amd_table_word(uint64_t address, int level, const struct ref_config *config) {
    return address | amd_mark(level) | AMD_READ_WRITE | config->encryption;
}

#endif
