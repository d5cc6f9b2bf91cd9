#include "entries.h"

#include <errno.h>

#define NOINLINE __attribute__((noinline))

// Tables that one check may visit, so that damaged tables cannot hold it up for ever.
#define REF_VISIT_LIMIT (1 << 22)

static inline bool mark_dirty(struct ref_arena *arena, uint64_t table) {
    uint64_t frame = (table - arena->base) >> 12;
    if (frame >= arena->frame_count) return false;
    arena->dirty[frame] = 1;
    return true;
}

// 0 when the arena has `count` frames left and a table entry can name all of them.
static inline int reserve(const struct ref_config *config, const struct ref_arena *arena, uint64_t count) {
    if (arena->frame_count - arena->allocated_count < count) return ENOMEM;
    uint64_t highest = arena->base + ((arena->frame_count - 1) << 12);
    return count > 0 && (highest & ~config->address_mask) != 0 ? ERANGE : 0;
}

// 0 when nothing is mapped in or below the table at `page`.
static int refuse_leaves(const struct ref_config *config, const struct ref_memory *memory, uint64_t page, int level,
                         int *visits) {
    uint64_t *words = ref_words(memory, page);
    if (--*visits < 0 || words == NULL) return EIO;
    for (int index = 0; index < 512; index++) {
        if (words[index] == 0) continue;
        int error = 0;
        switch (ref_entry_kind(words[index], level, config)) {
        case REF_KIND_EMPTY: break;
        case REF_KIND_LEAF: return EADDRINUSE;
        case REF_KIND_RESERVED: return EIO;
        case REF_KIND_TABLE:
            error = refuse_leaves(config, memory, words[index] & config->address_mask, level - 1, visits);
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
        if (word == 0) continue;
        words[index] = 0;
        if (ref_entry_kind(word, level, config) == REF_KIND_TABLE)
            release(config, memory, arena, word & config->address_mask, level - 1);
    }
    ref_arena_free(arena, page);
}

// Makes room for a leaf where the present entry `word` is. 0 or an error number.
static int replace(const struct ref_config *config, const struct ref_memory *memory, struct ref_arena *arena,
                   uint64_t word, int level) {
    enum ref_kind kind = ref_entry_kind(word, level, config);
    if (kind != REF_KIND_TABLE) return kind == REF_KIND_RESERVED ? EIO : EADDRINUSE;
    int visits = REF_VISIT_LIMIT;
    int error = refuse_leaves(config, memory, word & config->address_mask, level - 1, &visits);
    if (error == 0) release(config, memory, arena, word & config->address_mask, level - 1);
    return error;
}

// Writes one leaf of `2^target` bytes: one walk down, tables made on the way. 0 or an error number.
static int map_one(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                   struct ref_arena *arena, uint64_t iova, uint64_t leaf, int target) {
    uint64_t table = root;
    uint64_t *words = ref_words(memory, root);
    if (words == NULL) return EIO;
    int shift = 12 + 9 * config->top_level;
    for (; shift != target; shift -= 9) {
        uint64_t *slot = &words[iova >> shift & 511];
        int error = 0;
        switch (ref_entry_kind(*slot, (shift - 12) / 9, config)) {
        case REF_KIND_TABLE: break;
        case REF_KIND_LEAF: return EADDRINUSE;
        case REF_KIND_RESERVED: return EIO;
        case REF_KIND_EMPTY:
            error = reserve(config, arena, (uint64_t)(shift - target) / 9);
            if (error != 0) return error;
            uint64_t frame = ref_arena_allocate(arena);
            if (frame == 0) return ENOMEM;
            *slot = frame | REF_READ_WRITE;
            mark_dirty(arena, table);
        }
        table = *slot & config->address_mask;
        words = ref_words(memory, table);
        if (words == NULL) return EIO;
    }
    uint64_t *slot = &words[iova >> shift & 511];
    if ((*slot & REF_READ_WRITE) != 0) {
        int error = replace(config, memory, arena, *slot, (shift - 12) / 9);
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
    return ref_has_leaves(range->config, level) && ((range->iova ^ range->pa) & (size - 1)) == 0;
}

// The leaf that maps `position`.
static inline uint64_t leaf_at(const struct range *range, uint64_t position, bool is_large) {
    return (range->pa + (position - range->iova)) | range->flags | (is_large ? REF_PAGE_SIZE : 0);
}

// Consecutive leaves of one table page.
static inline void write_leaves(uint64_t *words, uint64_t count, uint64_t word, uint64_t size) {
    for (uint64_t index = 0; index < count; index++, word += size) words[index] = word;
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
static int check(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last, uint64_t *missing,
                 int *visits) {
    uint64_t *words = ref_words(range->memory, page);
    if (--*visits < 0 || words == NULL) return EIO;
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
            error = leaf ? refuse_leaves(range->config, range->memory, word, level - 1, visits)
                         : check(range, word, level - 1, from, to, missing, visits);
            if (error != 0) return error;
        }
    }
    return 0;
}

// Writes the leaves of `first` to `last` into the table at `page`, whose level is at least 1, and below it. Nothing is
// mapped there and there are frames enough.
static int fill(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last) {
    const struct ref_config *config = range->config;
    uint64_t *words = ref_words(range->memory, page);
    if (words == NULL) return EIO;
    int shift = 12 + 9 * level;
    uint64_t size = (uint64_t)1 << shift;
    bool leaves = has_leaves(range, level);
    mark_dirty(range->arena, page);
    uint64_t position = first;
    for (uint64_t *slot = &words[ref_index(first, level)]; position <= last && position >= first;) {
        uint64_t slot_last = position | (size - 1);
        if (leaves && (position & (size - 1)) == 0 && slot_last <= last) {
            uint64_t count = (last - position + 1) >> shift;
            for (uint64_t index = 0; index < count; index++)
                if (ref_entry_kind(slot[index], level, config) == REF_KIND_TABLE)
                    release(config, range->memory, range->arena, slot[index] & config->address_mask, level - 1);
            write_leaves(slot, count, leaf_at(range, position, true), size);
            slot += count;
            position += count << shift;
            continue;
        }
        uint64_t next;
        if (ref_is_table(*slot, ref_not_table(config))) {
            next = *slot & config->address_mask;
        } else {
            next = ref_arena_allocate(range->arena);
            if (next == 0) return ENOMEM;
            *slot = next | REF_READ_WRITE;
        }
        uint64_t end = slot_last < last ? slot_last : last;
        if (level == 1) {
            // The last step down without a call: nearly all tables are at level 0.
            uint64_t *below = ref_words(range->memory, next);
            if (below == NULL) return EIO;
            mark_dirty(range->arena, next);
            write_leaves(&below[position >> 12 & 511], (end - position + 1) >> 12, leaf_at(range, position, false), 4096);
        } else {
            int error = fill(range, next, level - 1, position, end);
            if (error != 0) return error;
        }
        slot++;
        position = slot_last + 1;
    }
    return 0;
}

static int map_range(const struct range *range, uint64_t root) {
    uint64_t missing = 0;
    int visits = REF_VISIT_LIMIT;
    int error = check(range, root, range->config->top_level, range->iova, range->last, &missing, &visits);
    if (error == 0) error = reserve(range->config, range->arena, missing);
    return error != 0 ? error : fill(range, root, range->config->top_level, range->iova, range->last);
}

// The k of a page size of 2^k bytes; of anything else a number that is no page size's.
static inline int page_shift(uint64_t byte_count) { return __builtin_ctzll(byte_count | (uint64_t)1 << 63); }

// Any mapping.
NOINLINE static int general_map(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                                struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count,
                                uint8_t rights, bool snoop) {
    if ((rights & REF_READ_WRITE) == 0) return EINVAL;
    if (byte_count == 0 || ((iova | pa | byte_count) & 0xfff) != 0) return EINVAL;
    uint64_t last = iova + (byte_count - 1), last_pa = pa + (byte_count - 1);
    if (last < iova || last >> config->address_bits != 0) return ERANGE;
    if (last_pa < pa || ((pa | last_pa) & ~(config->address_mask | 0xfff)) != 0) return ERANGE;
    if (snoop && !config->snoop_control) return EOPNOTSUPP;

    uint64_t flags = (rights & REF_READ_WRITE) | (snoop ? REF_SNOOP : 0);
    int shift = page_shift(byte_count);
    if (((iova | pa | byte_count) & (byte_count - 1)) == 0 && (config->page_sizes >> shift & 1) != 0) {
        uint64_t leaf = pa | flags | (byte_count != 4096 ? REF_PAGE_SIZE : 0);
        return map_one(config, root, memory, arena, iova, leaf, shift);
    }
    struct range range = {config, memory, arena, iova, pa, last, flags};
    return map_range(&range, root);
}

// Maps one leaf that needs no further question: a page size, both addresses a multiple of it and in range, tables there
// and in the largest segment, nothing mapped. False, and nothing written, for anything else.
static inline bool map_simple(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                              struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
                              bool snoop) {
    int target = page_shift(byte_count);
    if (((iova | pa | byte_count) & (byte_count - 1)) != 0 || (config->page_sizes >> target & 1) == 0) return false;
    if (iova >> config->address_bits != 0 || (pa & ~config->address_mask) != 0) return false;
    if ((rights & REF_READ_WRITE) == 0 || snoop) return false;
    if (!ref_is_primary(memory, root)) return false;
    const uint64_t address_mask = config->address_mask, not_table = ref_not_table(config);
    uint64_t table = root;
    for (int shift = 12 + 9 * config->top_level; shift != target; shift -= 9) {
        uint64_t word = ref_primary_words(memory, table)[iova >> shift & 511];
        table = word & address_mask;
        if (!ref_is_table(word, not_table) || !ref_is_primary(memory, table)) return false;
    }
    uint64_t *slot = &ref_primary_words(memory, table)[iova >> target & 511];
    if ((*slot & REF_READ_WRITE) != 0 || !mark_dirty(arena, table)) return false;
    *slot = pa | (rights & REF_READ_WRITE) | (byte_count != 4096 ? REF_PAGE_SIZE : 0);
    return true;
}

NOINLINE int ref_map(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                     struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
                     bool snoop) {
    if (map_simple(config, root, memory, arena, iova, pa, byte_count, rights, snoop)) return 0;
    return general_map(config, root, memory, arena, iova, pa, byte_count, rights, snoop);
}

uint64_t ref_map_each(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                      struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, size_t count) {
    // On the stack, as on the other side: where these are decides a sixth of the time.
    const struct ref_config own_config = *config;
    const struct ref_memory own_memory = *memory;
    struct ref_arena own_arena = *arena;
    uint64_t errors = 0;
    for (size_t index = 0; index < count; index++) {
        errors += (uint64_t)ref_map(&own_config, root, &own_memory, &own_arena, iova, pa, byte_count, REF_READ_WRITE,
                                    false);
        iova += byte_count;
        pa += byte_count;
    }
    *arena = own_arena;
    return errors;
}
