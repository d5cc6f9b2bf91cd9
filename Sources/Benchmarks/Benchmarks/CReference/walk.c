#include "entries.h"

#define NOINLINE __attribute__((noinline))

struct ref_config ref_make_config(int top_level, int address_bits, int host_address_width, bool snoop_control,
                                  bool device_tlb) {
    uint64_t field = ((uint64_t)1 << 52) - 1;
    uint64_t inside = ((uint64_t)1 << host_address_width) - 1;
    uint64_t transient = (uint64_t)1 << 62;
    return (struct ref_config){
        .top_level = top_level,
        .address_bits = address_bits,
        .snoop_control = snoop_control,
        .page_sizes = (uint64_t)1 << 12 | (uint64_t)1 << 21 | (uint64_t)1 << 30,
        .address_mask = inside & ~(uint64_t)0xfff,
        .table_reserved = (field & ~inside) | REF_SNOOP | transient,
        .leaf_reserved = (field & ~inside) | (snoop_control ? 0 : REF_SNOOP) | (device_tlb ? 0 : transient),
    };
}

struct ref_memory ref_make_memory(const struct ref_segment *segments, size_t count) {
    size_t primary = 0;
    for (size_t index = 1; index < count; index++)
        if (segments[index].byte_count > segments[primary].byte_count) primary = index;
    uint64_t bytes = segments[primary].byte_count;
    return (struct ref_memory){
        .base = segments[primary].base,
        .page_limit = bytes >= 4096 ? bytes - 4095 : 0,
        .pointer = segments[primary].pointer,
        .segments = segments,
        .count = count,
    };
}

NOINLINE uint64_t *ref_search(const struct ref_memory *memory, uint64_t page) {
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memory->segments[middle].base <= page) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return NULL;
    const struct ref_segment *segment = &memory->segments[low - 1];
    uint64_t offset = page - segment->base;
    if (offset >= segment->byte_count || segment->byte_count - offset < 4096) return NULL;
    return (uint64_t *)(void *)(segment->pointer + offset);
}

// What a walk ends in whose last entry is `word`, which is not a table; `rights` are those of the levels above.
__attribute__((always_inline)) static inline struct ref_translation
leaf_result(uint64_t word, uint64_t entry_address, int level, uint8_t rights, const struct ref_config *config,
            uint64_t iova, bool is_write) {
    struct ref_translation result = {.level = level, .entry_address = entry_address};
    enum ref_kind kind = ref_entry_kind(word, level, config);
    if (kind != REF_KIND_LEAF) {
        result.status = kind == REF_KIND_RESERVED ? REF_RESERVED : REF_NOT_PRESENT;
        return result;
    }
    rights &= word & REF_READ_WRITE;
    if ((rights & (is_write ? 2 : 1)) == 0) {
        result.status = REF_PERMISSION;
        return result;
    }
    int shift = 12 + 9 * level;
    result.pa = (word & config->address_mask) | (iova & (((uint64_t)1 << shift) - 1));
    result.page_size_log2 = shift;
    result.rights = rights;
    return result;
}

// Any walk, without setting bits.
NOINLINE static struct ref_translation general_translate(const struct ref_config *config, uint64_t root,
                                                         const struct ref_memory *memory, uint64_t iova,
                                                         bool is_write) {
    if (iova >> config->address_bits != 0) return (struct ref_translation){.status = REF_OUT_OF_RANGE, .level = -1};
    uint64_t table = root;
    uint8_t rights = REF_READ_WRITE;
    for (int level = config->top_level;; level--) {
        uint64_t *words = ref_words(memory, table);
        if (words == NULL)
            return (struct ref_translation){.status = REF_ABSENT, .level = level, .entry_address = table};
        int index = ref_index(iova, level);
        uint64_t word = words[index];
        if (ref_entry_kind(word, level, config) != REF_KIND_TABLE)
            return leaf_result(word, table | (uint64_t)index << 3, level, rights, config, iova, is_write);
        rights &= word & REF_READ_WRITE;
        table = word & config->address_mask;
    }
}

// As general_translate, then sets the bits that the hardware sets: accessed in every entry, dirty in a leaf written.
NOINLINE static struct ref_translation updating_translate(const struct ref_config *config, uint64_t root,
                                                          const struct ref_memory *memory, uint64_t iova,
                                                          bool is_write) {
    struct ref_translation result = general_translate(config, root, memory, iova, is_write);
    if (result.status != REF_OK) return result;
    uint64_t table = root;
    for (int level = config->top_level; level >= result.level; level--) {
        uint64_t *words = ref_words(memory, table);
        if (words == NULL) return result;
        uint64_t word = words[ref_index(iova, level)];
        uint64_t marked = word | REF_ACCESSED | (level == result.level && is_write ? REF_DIRTY : 0);
        if (marked != word) words[ref_index(iova, level)] = marked;
        table = word & config->address_mask;
    }
    return result;
}

NOINLINE struct ref_translation ref_translate(const struct ref_config *config, uint64_t root,
                                              const struct ref_memory *memory, uint64_t iova, bool is_write) {
    root &= ~(uint64_t)0xfff;
    if (config->accessed_dirty) return updating_translate(config, root, memory, iova, is_write);
    if (iova >> config->address_bits != 0 || !ref_is_primary(memory, root))
        return general_translate(config, root, memory, iova, is_write);
    const uint64_t address_mask = config->address_mask, not_table = ref_not_table(config);
    uint64_t table = root;
    uint8_t rights = REF_READ_WRITE;
    for (int shift = 12 + 9 * config->top_level; shift != 12; shift -= 9) {
        uint64_t word = ref_primary_words(memory, table)[iova >> shift & 511];
        table = word & address_mask;
        if (!ref_is_table(word, not_table) || !ref_is_primary(memory, table))
            return general_translate(config, root, memory, iova, is_write);
        rights &= word & REF_READ_WRITE;
    }
    const uint64_t *words = ref_primary_words(memory, table);
    int index = ref_index(iova, 0);
    return leaf_result(words[index], table | (uint64_t)index << 3, 0, rights, config, iova, is_write);
}

uint64_t ref_translate_each(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                            const uint64_t *iovas, size_t count) {
    uint64_t sum = 0;
    for (size_t index = 0; index < count; index++) {
        struct ref_translation result = ref_translate(config, root, memory, iovas[index], false);
        if (result.status == REF_OK) sum += result.pa;
    }
    return sum;
}
