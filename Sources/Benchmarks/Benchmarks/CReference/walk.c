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
        .leaf_levels = 7,
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

// Sets the accessed bit in every entry that a walk known to succeed uses, and `dirty` in its leaf.
NOINLINE static void mark_used(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                               uint64_t iova, int leaf_level, uint64_t dirty) {
    uint64_t table = root;
    for (int level = config->top_level; level >= leaf_level; level--) {
        uint64_t *words = ref_words(memory, table);
        if (words == NULL) return;
        uint64_t word = words[ref_index(iova, level)];
        words[ref_index(iova, level)] = word | REF_ACCESSED | (level == leaf_level ? dirty : 0);
        table = word & config->address_mask;
    }
}

// The walk; `updates` is a constant at each of its two uses.
__attribute__((always_inline)) static inline struct ref_translation
walk(const struct ref_config *config, uint64_t root, const struct ref_memory *memory, uint64_t iova, bool is_write,
     bool updates) {
    if (iova >> config->address_bits != 0) return (struct ref_translation){.status = REF_OUT_OF_RANGE, .level = -1};
    uint64_t table = root;
    uint8_t rights = REF_READ_WRITE;
    uint64_t all_words = ~(uint64_t)0;
    int level = config->top_level;
    for (;;) {
        uint64_t *words = ref_words(memory, table);
        if (__builtin_expect(words == NULL, 0))
            return (struct ref_translation){.status = REF_ABSENT, .level = level, .entry_address = table};
        int index = ref_index(iova, level);
        uint64_t word = words[index];
        if (level > 0 && ref_is_table(word, config)) {
            rights &= word & REF_READ_WRITE;
            if (updates) all_words &= word;
            table = word & config->address_mask;
            level--;
            continue;
        }
        struct ref_translation result = {.level = level, .entry_address = table | (uint64_t)index << 3};
        enum ref_kind kind = ref_entry_kind(word, level, config);
        if (kind != REF_KIND_LEAF) {
            result.status = kind == REF_KIND_EMPTY ? REF_NOT_PRESENT : REF_RESERVED;
            return result;
        }
        rights &= word & REF_READ_WRITE;
        if ((rights & (is_write ? 2 : 1)) == 0) {
            result.status = REF_PERMISSION;
            return result;
        }
        if (updates) {
            uint64_t dirty = is_write ? REF_DIRTY : 0;
            uint64_t wanted = REF_ACCESSED | dirty;
            if (((all_words | dirty) & word & wanted) != wanted) mark_used(config, root, memory, iova, level, dirty);
        }
        int shift = 12 + 9 * level;
        result.pa = (word & config->address_mask) | (iova & (((uint64_t)1 << shift) - 1));
        result.page_size_log2 = shift;
        result.rights = rights;
        return result;
    }
}

NOINLINE static struct ref_translation updating_walk(const struct ref_config *config, uint64_t root,
                                                     const struct ref_memory *memory, uint64_t iova, bool is_write) {
    return walk(config, root, memory, iova, is_write, true);
}

NOINLINE struct ref_translation ref_translate(const struct ref_config *config, uint64_t root,
                                              const struct ref_memory *memory, uint64_t iova, bool is_write) {
    root &= ~(uint64_t)0xfff;
    if (config->accessed_dirty) return updating_walk(config, root, memory, iova, is_write);
    return walk(config, root, memory, iova, is_write, false);
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
