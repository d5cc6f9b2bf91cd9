// The mapper of one format. `F(name)` is the format's own name; included once per format.

// 0 when the arena has `count` frames left and a table entry can name all of them.
static inline int F(reserve)(const struct ref_config *config, const struct ref_arena *arena, uint64_t count) {
    if (arena->frame_count - arena->allocated_count < count) return ENOMEM;
    uint64_t highest = arena->base + ((arena->frame_count - 1) << 12);
    return count > 0 && (highest & ~config->encodable) != 0 ? ERANGE : 0;
}

// 0 when nothing is mapped in or below the table at `page`.
static int F(refuse_leaves)(const struct ref_config *config, const struct ref_memory *memory, uint64_t page, int level,
                            int *visits) {
    uint64_t *words = ref_words(memory, page);
    if (--*visits < 0 || words == NULL) return EIO;
    for (int index = 0; index < 512; index++) {
        uint64_t word = words[index];
        if (word == 0) continue;
        int kind = F(kind)(word, level, config);
        if (kind == REF_NOT_PRESENT) continue;
        if (kind == REF_OK) return EADDRINUSE;
        if (kind != REF_KIND_TABLE) return EIO;
        uint64_t next = F(table_address)(word, config);
        int error = F(refuse_leaves)(config, memory, next, F(next_level)(word, level), visits);
        if (error != 0) return error;
    }
    return 0;
}

// Gives the table at `page` and all below it back to the arena.
static void F(release)(const struct ref_config *config, const struct ref_memory *memory, struct ref_arena *arena,
                       uint64_t page, int level) {
    uint64_t *words = level > 0 ? ref_words(memory, page) : NULL;
    for (int index = 0; index < 512 && words != NULL; index++) {
        uint64_t word = words[index];
        if (word == 0) continue;
        words[index] = 0;
        if (F(kind)(word, level, config) == REF_KIND_TABLE)
            F(release)(config, memory, arena, F(table_address)(word, config), F(next_level)(word, level));
    }
    ref_arena_free(arena, page);
}

// Makes room for a leaf where the present entry `word` is. 0 or an error number.
static int F(replace)(const struct ref_config *config, const struct ref_memory *memory, struct ref_arena *arena,
                      uint64_t word, int level) {
    int kind = F(kind)(word, level, config);
    if (kind != REF_KIND_TABLE) return kind == REF_OK || kind == REF_NOT_PRESENT ? EADDRINUSE : EIO;
    int visits = REF_VISIT_LIMIT;
    uint64_t next = F(table_address)(word, config);
    int error = F(refuse_leaves)(config, memory, next, F(next_level)(word, level), &visits);
    if (error == 0) F(release)(config, memory, arena, next, F(next_level)(word, level));
    return error;
}

// Writes one leaf of `2^target` bytes: one walk down, tables made on the way. 0 or an error number.
static int F(map_one)(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                      struct ref_arena *arena, uint64_t iova, uint64_t leaf, int target) {
    uint64_t table = root;
    uint64_t *words = ref_words(memory, root);
    if (words == NULL) return EIO;
    int level = config->top_level, last_level = (target - 12) / 9;
    for (; level != last_level; level--) {
        uint64_t *slot = &words[ref_index(iova, level)];
        int kind = F(kind)(*slot, level, config);
        if (kind == REF_NOT_PRESENT) {
            int error = F(reserve)(config, arena, (uint64_t)(level - last_level));
            if (error != 0) return error;
            uint64_t frame = ref_arena_allocate(arena);
            if (frame == 0) return ENOMEM;
            *slot = F(table_word)(frame, level, config);
            mark_dirty(arena, table);
        } else if (kind != REF_KIND_TABLE) {
            return kind == REF_OK ? EADDRINUSE : EIO;
        }
        if (F(next_level)(*slot, level) != level - 1) return EIO;
        table = F(table_address)(*slot, config);
        words = ref_words(memory, table);
        if (words == NULL) return EIO;
    }
    uint64_t *slot = &words[ref_index(iova, level)];
    if (F(is_present)(*slot)) {
        int error = F(replace)(config, memory, arena, *slot, level);
        if (error != 0) return error;
    }
    *slot = leaf;
    mark_dirty(arena, table);
    return 0;
}

// Leaves of several slots each, as large as alignment allows, all slots of one leaf with the same word.
static void F(write_contiguous_leaves)(const struct range *range, uint64_t *words, uint64_t count, uint64_t position,
                                       int slot) {
    const uint64_t end = position + (count << slot) - 1, sizes = range->config->page_sizes & (uint64_t)0x1ff << slot;
    const int widest = widest_leaf_log2(range, sizes);
    while (count > 0) {
        int log2 = leaf_log2(range, sizes, position, end);
        // Once the widest ones fit, they fit up to the end, but for what is left over.
        uint64_t leaves = log2 == widest ? (end - position + 1) >> log2 : 1, slots = (uint64_t)1 << (log2 - slot);
        uint64_t word = F(leaf_word)(address_of(range, position), log2, range->rights, range->snoop, range->config);
        count -= leaves * slots;
        position += leaves << log2;
        for (; leaves > 0; leaves--, words += slots, word += (uint64_t)1 << log2) write_leaves(words, slots, word, 0);
    }
}

// The leaves of `count` slots of one table at `level`, from `position` on.
static inline void F(write_table)(const struct range *range, uint64_t *words, uint64_t count, uint64_t position,
                                  int level) {
    int slot = 12 + 9 * level;
    // Where even two slots are never one leaf, the slots differ by their addresses alone, as in other formats.
    if (F(has_contiguous_leaves) && ((range->iova ^ range->pa) & (((uint64_t)2 << slot) - 1)) == 0) {
        F(write_contiguous_leaves)(range, words, count, position, slot);
        return;
    }
    uint64_t first = F(leaf_word)(address_of(range, position), slot, range->rights, range->snoop, range->config);
    write_leaves(words, count, first, (uint64_t)1 << slot);
}

// Adds to `missing` the tables that are missing in `first` to `last`; refuses when something is mapped there.
static int F(check)(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last,
                    uint64_t *missing, int *visits) {
    const struct ref_config *config = range->config;
    uint64_t *words = ref_words(range->memory, page);
    if (--*visits < 0 || words == NULL) return EIO;
    int shift = 12 + 9 * level;
    uint64_t size = (uint64_t)1 << shift, unit = leaf_unit(range, level);
    for (uint64_t slot = first >> shift; slot <= last >> shift; slot++) {
        uint64_t word = words[slot & 511];
        if (level == 0 && word == 0) continue;
        uint64_t base = slot << shift;
        uint64_t from = first > base ? first : base, to = last < base + size - 1 ? last : base + size - 1;
        bool leaf = is_leaf(range, base, unit);
        int kind = F(kind)(word, level, config), error = 0;
        if (kind == REF_NOT_PRESENT) {
            if (!leaf) *missing += tables_needed(range, from, to, level);
            continue;
        }
        if (kind != REF_KIND_TABLE) return kind == REF_OK ? EADDRINUSE : EIO;
        if (F(next_level)(word, level) != level - 1) return EIO;
        uint64_t next = F(table_address)(word, config);
        error = leaf ? F(refuse_leaves)(config, range->memory, next, level - 1, visits)
                     : F(check)(range, next, level - 1, from, to, missing, visits);
        if (error != 0) return error;
    }
    return 0;
}

// Writes the leaves of `first` to `last` into the table at `page`, whose level is at least 1, and below it. Nothing is
// mapped there and there are frames enough.
static int F(fill)(const struct range *range, uint64_t page, int level, uint64_t first, uint64_t last) {
    const struct ref_config *config = range->config;
    uint64_t *words = ref_words(range->memory, page);
    if (words == NULL) return EIO;
    int shift = 12 + 9 * level;
    uint64_t size = (uint64_t)1 << shift, unit = leaf_unit(range, level), mark = F(mark)(level);
    mark_dirty(range->arena, page);
    uint64_t position = first;
    for (uint64_t *slot = &words[ref_index(first, level)]; position <= last && position >= first;) {
        if (unit != 0 && (position & (unit - 1)) == 0 && last - position >= unit - 1) {
            uint64_t bytes = (last - position + 1) & ~(unit - 1), count = bytes >> shift;
            for (uint64_t index = 0; index < count; index++)
                if (F(kind)(slot[index], level, config) == REF_KIND_TABLE)
                    F(release)(config, range->memory, range->arena, F(table_address)(slot[index], config),
                               F(next_level)(slot[index], level));
            F(write_table)(range, slot, count, position, level);
            slot += count;
            position += bytes;
            continue;
        }
        uint64_t next;
        if (F(is_table)(*slot, mark, config)) {
            next = F(table_address)(*slot, config);
        } else {
            next = ref_arena_allocate(range->arena);
            if (next == 0) return ENOMEM;
            *slot = F(table_word)(next, level, config);
        }
        uint64_t slot_last = position | (size - 1), end = slot_last < last ? slot_last : last;
        if (level == 1) {
            // The last step down without a call: nearly all tables are at level 0.
            uint64_t *below = ref_words(range->memory, next);
            if (below == NULL) return EIO;
            mark_dirty(range->arena, next);
            F(write_table)(range, &below[position >> 12 & 511], (end - position + 1) >> 12, position, 0);
        } else {
            int error = F(fill)(range, next, level - 1, position, end);
            if (error != 0) return error;
        }
        slot++;
        position = slot_last + 1;
    }
    return 0;
}

static int F(map_range)(const struct range *range, uint64_t root) {
    const struct ref_config *config = range->config;
    uint64_t missing = 0;
    int visits = REF_VISIT_LIMIT;
    int error = F(check)(range, root, config->top_level, range->iova, range->last, &missing, &visits);
    if (error == 0) error = F(reserve)(config, range->arena, missing);
    return error != 0 ? error : F(fill)(range, root, config->top_level, range->iova, range->last);
}

// Any mapping.
NOINLINE static int F(general_map)(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                                   struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count,
                                   uint8_t rights, bool snoop) {
    rights &= REF_READ | REF_WRITE;
    if (rights == 0) return EINVAL;
    if (byte_count == 0 || ((iova | pa | byte_count) & 0xfff) != 0) return EINVAL;
    uint64_t last = iova + (byte_count - 1), last_pa = pa + (byte_count - 1);
    // Both ends in the lower half, or both in the upper one.
    if (last < iova || ((iova ^ last) & config->beyond) != 0) return ERANGE;
    if (!ref_contains(config, iova, F(can_sign_extend))) return ERANGE;
    if (!ref_contains(config, last, F(can_sign_extend))) return ERANGE;
    if (last_pa < pa || ((pa | last_pa) & ~(config->encodable | 0xfff)) != 0) return ERANGE;
    if (snoop && !config->can_snoop) return EOPNOTSUPP;

    int shift = page_shift(byte_count);
    uint64_t linear = iova & ~config->beyond;
    if (((iova | pa | byte_count) & (byte_count - 1)) == 0 && (config->single_sizes >> shift & 1) != 0)
        return F(map_one)(config, root, memory, arena, linear, F(leaf_word)(pa, shift, rights, snoop, config), shift);
    struct range range = {config, memory, arena, linear, pa, last & ~config->beyond, rights, snoop};
    return F(map_range)(&range, root);
}

// Maps one leaf that needs no further question: a page size, both addresses a multiple of it and in range, tables there
// and in the largest segment, nothing mapped. False, and nothing written, for anything else.
static inline bool F(map_simple)(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                                 struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count,
                                 uint8_t rights, bool snoop) {
    int target = page_shift(byte_count);
    if (((iova | pa | byte_count) & (byte_count - 1)) != 0 || (config->single_sizes >> target & 1) == 0) return false;
    if (!ref_contains(config, iova | (byte_count - 1), F(can_sign_extend))) return false;
    if ((pa & ~config->encodable) != 0) return false;
    rights &= REF_READ | REF_WRITE;
    if (rights == 0 || snoop) return false;
    if (!ref_is_primary(memory, root)) return false;
    uint64_t table = root, mark = F(mark)(config->top_level);
    for (int shift = 12 + 9 * config->top_level; shift != target; shift -= 9, mark -= F(mark_step)) {
        uint64_t word = ref_primary_words(memory, table)[iova >> shift & 511];
        table = F(table_address)(word, config);
        if (!F(is_table)(word, mark, config) || !ref_is_primary(memory, table)) return false;
    }
    uint64_t *slot = &ref_primary_words(memory, table)[iova >> target & 511];
    if (F(is_present)(*slot) || !mark_dirty(arena, table)) return false;
    *slot = F(leaf_word)(pa, target, rights, false, config);
    return true;
}

static inline int F(map)(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                         struct ref_arena *arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
                         bool snoop) {
    if (F(map_simple)(config, root, memory, arena, iova, pa, byte_count, rights, snoop)) return 0;
    return F(general_map)(config, root, memory, arena, iova, pa, byte_count, rights, snoop);
}
