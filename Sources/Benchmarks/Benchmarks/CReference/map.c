#include "entries.h"

#include <errno.h>

#define NOINLINE __attribute__((noinline))

static inline void mark_dirty(struct ref_arena *arena, uint64_t table) {
    uint64_t frame = (table - arena->base) >> 12;
    if (frame < arena->frame_count) arena->dirty[frame] = 1;
}

// 0 when the arena has `count` frames left and a table entry can name all of them.
static inline int reserve(const struct ref_config *config, const struct ref_arena *arena, uint64_t count) {
    if (arena->frame_count - arena->allocated_count < count) return ENOMEM;
    uint64_t highest = arena->base + ((arena->frame_count - 1) << 12);
    return count > 0 && (highest & ~config->address_mask) != 0 ? ERANGE : 0;
}

// 0 when nothing is mapped in or below the table at `page`.
static int refuse_leaves(const struct ref_config *config, const struct ref_memory *memory, uint64_t page, int level) {
    uint64_t *words = ref_words(memory, page);
    if (words == NULL) return EIO;
    for (int index = 0; index < 512; index++) {
        int error = 0;
        switch (ref_entry_kind(words[index], level, config)) {
        case REF_KIND_EMPTY: break;
        case REF_KIND_LEAF: return EADDRINUSE;
        case REF_KIND_RESERVED: return EIO;
        case REF_KIND_TABLE:
            error = refuse_leaves(config, memory, words[index] & config->address_mask, level - 1);
            if (error != 0) return error;
        }
    }
    return 0;
}

// Gives the table at `page` and all below it back to the arena.
static void release(const struct ref_config *config, const struct ref_memory *memory, struct ref_arena *arena,
                    uint64_t page, int level) {
    uint64_t *words = level > 0 ? ref_words(memory, page) : NULL;
    for (int index = 0; index < 512 && words != NULL; index++) {
        uint64_t word = words[index];
        words[index] = 0;
        if (ref_entry_kind(word, level, config) == REF_KIND_TABLE)
            release(config, memory, arena, word & config->address_mask, level - 1);
    }
    ref_arena_free(arena, page);
}

// Makes room for a leaf where `word` is. 0 or an error number.
NOINLINE static int replace(const struct ref_config *config, const struct ref_memory *memory, struct ref_arena *arena,
                            uint64_t word, enum ref_kind kind, int level) {
    if (kind != REF_KIND_TABLE) return kind == REF_KIND_RESERVED ? EIO : EADDRINUSE;
    int error = refuse_leaves(config, memory, word & config->address_mask, level - 1);
    if (error == 0) release(config, memory, arena, word & config->address_mask, level - 1);
    return error;
}

// Puts a new table into the empty slot `slot` of the table at `page`. 0 or an error number.
NOINLINE static int make_table(const struct ref_config *config, struct ref_arena *arena, uint64_t *slot, uint64_t page,
                               int level, int target) {
    switch (ref_entry_kind(*slot, level, config)) {
    case REF_KIND_TABLE: return 0;
    case REF_KIND_LEAF: return EADDRINUSE;
    case REF_KIND_RESERVED: return EIO;
    case REF_KIND_EMPTY: break;
    }
    int error = reserve(config, arena, (uint64_t)(level - target));
    if (error != 0) return error;
    *slot = ref_arena_allocate(arena) | REF_READ_WRITE;
    mark_dirty(arena, page);
    return 0;
}

// Writes the one leaf `leaf` at level `target`.
static inline int map_one(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                          struct ref_arena *arena, uint64_t iova, uint64_t leaf, int target) {
    uint64_t table = root;
    uint64_t *words = ref_words(memory, root);
    if (words == NULL) return EIO;
    for (int level = config->top_level; level != target; level--) {
        uint64_t *slot = &words[ref_index(iova, level)];
        if (__builtin_expect(!ref_is_table(*slot, config), 0)) {
            int error = make_table(config, arena, slot, table, level, target);
            if (error != 0) return error;
        }
        table = *slot & config->address_mask;
        words = ref_words(memory, table);
        if (__builtin_expect(words == NULL, 0)) return EIO;
    }
    uint64_t *slot = &words[ref_index(iova, target)];
    if (__builtin_expect((*slot & REF_READ_WRITE) != 0, 0)) {
        int error = replace(config, memory, arena, *slot, ref_entry_kind(*slot, target, config), target);
        if (error != 0) return error;
    }
    *slot = leaf;
    mark_dirty(arena, table);
    return 0;
}

// A mapping of several leaves.
struct range {
    const struct ref_config *config;
    const struct ref_memory *memory;
    struct ref_arena *arena;
    uint64_t iova;
    uint64_t pa;
    uint64_t last;
    uint64_t flags;
};

static inline bool has_leaves(const struct range *range, int level) {
    uint64_t size = (uint64_t)1 << (12 + 9 * level);
    return (range->config->leaf_levels >> level & 1) != 0 && ((range->iova ^ range->pa) & (size - 1)) == 0;
}

// Tables that `first` to `last` needs at and below `top`, where there is none yet.
static uint64_t tables_needed(const struct range *range, uint64_t first, uint64_t last, int top) {
    uint64_t count = 0;
    for (int level = 0; level <= top; level++) {
        int slot = 12 + 9 * (level + 1);
        count += (last >> slot) - (first >> slot) + 1;
        int larger = level + 1;
        while (larger <= top && !has_leaves(range, larger)) larger++;
        if (larger > top) continue;
        int size = 12 + 9 * larger;
        uint64_t begin = (first + ((uint64_t)1 << size) - 1) >> size, end = (last + 1) >> size;
        if (end > begin) count -= (end - begin) << (size - slot);
    }
    return count;
}

// Adds to `missing` the tables that are missing in `first` to `last`; refuses when something is mapped there.
static int check(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last, uint64_t *missing) {
    uint64_t *words = ref_words(range->memory, page);
    if (words == NULL) return EIO;
    int shift = 12 + 9 * level;
    uint64_t size = (uint64_t)1 << shift;
    bool leaves = has_leaves(range, level);
    for (uint64_t slot = first >> shift; slot <= last >> shift; slot++) {
        uint64_t word = words[slot & 511];
        if (level == 0 && word == 0) continue;
        uint64_t base = slot << shift;
        uint64_t from = first > base ? first : base, to = last < base + size - 1 ? last : base + size - 1;
        bool leaf = leaves && to - from == size - 1;
        int error = 0;
        switch (ref_entry_kind(word, level, range->config)) {
        case REF_KIND_EMPTY:
            if (!leaf) *missing += tables_needed(range, from, to, level - 1);
            break;
        case REF_KIND_LEAF: return EADDRINUSE;
        case REF_KIND_RESERVED: return EIO;
        case REF_KIND_TABLE:
            word &= range->config->address_mask;
            error = leaf ? refuse_leaves(range->config, range->memory, word, level - 1)
                         : check(range, word, level - 1, from, to, missing);
            if (error != 0) return error;
        }
    }
    return 0;
}

// Writes the leaves of `first` to `last`. Nothing is mapped there and there are frames enough.
static int fill(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last) {
    uint64_t *words = ref_words(range->memory, page);
    if (words == NULL) return EIO;
    const struct ref_config *config = range->config;
    int shift = 12 + 9 * level;
    uint64_t size = (uint64_t)1 << shift;
    bool leaves = has_leaves(range, level);
    mark_dirty(range->arena, page);
    uint64_t position = first;
    for (uint64_t *slot = &words[ref_index(first, level)]; position <= last && position >= first;) {
        uint64_t slot_last = position | (size - 1);
        if (leaves && (position & (size - 1)) == 0 && slot_last <= last) {
            uint64_t count = (last - position + 1) >> shift;
            uint64_t word = (range->pa + (position - range->iova)) | range->flags | (level > 0 ? REF_PAGE_SIZE : 0);
            for (uint64_t index = 0; index < count && level > 0; index++)
                if (ref_entry_kind(slot[index], level, config) == REF_KIND_TABLE)
                    release(config, range->memory, range->arena, slot[index] & config->address_mask, level - 1);
            for (uint64_t index = 0; index < count; index++, word += size) slot[index] = word;
            slot += count;
            position += count << shift;
        } else {
            uint64_t next;
            if (ref_entry_kind(*slot, level, config) == REF_KIND_TABLE) {
                next = *slot & config->address_mask;
            } else {
                next = ref_arena_allocate(range->arena);
                if (next == 0) return ENOMEM;
                *slot = next | REF_READ_WRITE;
            }
            int error = fill(range, next, level - 1, position, slot_last < last ? slot_last : last);
            if (error != 0) return error;
            slot++;
            position = slot_last + 1;
        }
    }
    return 0;
}

NOINLINE static int map_range(const struct range *range, uint64_t root) {
    uint64_t missing = 0;
    int error = check(range, root, range->config->top_level, range->iova, range->last, &missing);
    if (error == 0) error = reserve(range->config, range->arena, missing);
    return error != 0 ? error : fill(range, root, range->config->top_level, range->iova, range->last);
}

// The level of the one leaf that is the whole mapping, or -1.
static inline int single_leaf_level(const struct ref_config *config, uint64_t addresses, uint64_t byte_count) {
    if (byte_count == 4096) return 0;
    for (int level = 1; level <= 2; level++)
        if (byte_count == (uint64_t)1 << (12 + 9 * level))
            return (config->leaf_levels >> level & 1) != 0 && (addresses & (byte_count - 1)) == 0 ? level : -1;
    return -1;
}

NOINLINE int ref_map(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                     struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
                     bool snoop) {
    if ((rights & REF_READ_WRITE) == 0) return EINVAL;
    if (byte_count == 0 || ((iova | pa | byte_count) & 0xfff) != 0) return EINVAL;
    uint64_t last = iova + (byte_count - 1), last_pa = pa + (byte_count - 1);
    if (last < iova || last >> config->address_bits != 0) return ERANGE;
    if (last_pa < pa || ((pa | last_pa) & ~(config->address_mask | 0xfff)) != 0) return ERANGE;
    if (snoop && !config->snoop_control) return EOPNOTSUPP;

    uint64_t flags = (rights & REF_READ_WRITE) | (snoop ? REF_SNOOP : 0);
    int level = single_leaf_level(config, iova | pa, byte_count);
    if (level >= 0) {
        uint64_t leaf = pa | flags | (level > 0 ? REF_PAGE_SIZE : 0);
        return map_one(config, root, memory, arena, iova, leaf, level);
    }
    struct range range = {config, memory, arena, iova, pa, last, flags};
    return map_range(&range, root);
}

uint64_t ref_map_each(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                      struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, size_t count) {
    uint64_t errors = 0;
    for (size_t index = 0; index < count; index++) {
        errors += (uint64_t)ref_map(config, root, memory, arena, iova, pa, byte_count, REF_READ_WRITE, false);
        iova += byte_count;
        pa += byte_count;
    }
    return errors;
}
