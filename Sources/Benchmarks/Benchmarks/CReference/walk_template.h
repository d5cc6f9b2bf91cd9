// The walk of one format. `F(name)` is the format's own name; included once per format.

// What a walk ends in whose last entry is `word`; `rights` are those of the levels above.
__attribute__((always_inline)) static inline struct ref_translation
F(leaf_result)(uint64_t word, uint64_t entry_address, int level, uint8_t rights, const struct ref_config *config,
               uint64_t iova, bool is_write) {
    struct ref_translation result = {.level = level, .entry_address = entry_address};
    int kind = F(kind)(word, level, config);
    if (kind != REF_OK) {
        result.status = kind == REF_KIND_TABLE ? REF_NOT_PRESENT : (enum ref_status)kind;
        return result;
    }
    rights = (rights & F(rights)(word)) | F(granted);
    uint8_t missing = (is_write ? REF_WRITE | REF_USER : REF_READ | REF_USER) & ~rights;
    if (missing != 0) {
        result.status = (missing & REF_READ) != 0 ? REF_NO_READ : REF_NO_WRITE;
        if ((missing & REF_USER) != 0) result.status = REF_NO_USER;
        return result;
    }
    int shift = F(leaf_size_log2)(word, level, config);
    result.pa = F(leaf_address)(word, level, config) | (iova & (((uint64_t)1 << shift) - 1));
    result.page_size_log2 = shift;
    result.rights = rights;
    return result;
}

// Any walk, without setting bits.
NOINLINE static struct ref_translation F(general_translate)(const struct ref_config *config, uint64_t root,
                                                            const struct ref_memory *memory, uint64_t iova,
                                                            bool is_write) {
    if (!ref_contains(config, iova, F(can_sign_extend)))
        return (struct ref_translation){
            .status = config->bias == 0 ? REF_OUT_OF_RANGE : REF_NON_CANONICAL, .level = -1};
    uint64_t table = root;
    uint8_t rights = F(root_rights)(config);
    for (int level = config->top_level;;) {
        uint64_t *words = ref_words(memory, table);
        if (words == NULL)
            return (struct ref_translation){.status = REF_ABSENT, .level = level, .entry_address = table};
        int index = ref_index(iova, level);
        uint64_t word = words[index];
        if (F(kind)(word, level, config) != REF_KIND_TABLE)
            return F(leaf_result)(word, table | (uint64_t)index << 3, level, rights, config, iova, is_write);
        int next = F(next_level)(word, level);
        // The bits that the levels between would index.
        if (F(has_next_level) && (iova & (ref_slot_size(level) - ref_slot_size(next + 1))) != 0)
            return (struct ref_translation){
                .status = REF_SKIPPED_BITS, .level = level, .entry_address = table | (uint64_t)index << 3};
        rights &= F(rights)(word);
        table = F(table_address)(word, config);
        level = next;
    }
}

// As general_translate, then sets the bits that the hardware sets: accessed in every entry, dirty in a leaf written.
NOINLINE static struct ref_translation F(updating_translate)(const struct ref_config *config, uint64_t root,
                                                             const struct ref_memory *memory, uint64_t iova,
                                                             bool is_write) {
    struct ref_translation result = F(general_translate)(config, root, memory, iova, is_write);
    if (result.status != REF_OK) return result;
    uint64_t table = root;
    for (int level = config->top_level; level >= result.level;) {
        uint64_t *words = ref_words(memory, table);
        if (words == NULL) return result;
        uint64_t word = words[ref_index(iova, level)];
        uint64_t marked = word | F(accessed) | (level == result.level && is_write ? F(dirty) : 0);
        if (marked != word) words[ref_index(iova, level)] = marked;
        table = F(table_address)(word, config);
        level = F(next_level)(word, level);
    }
    return result;
}

static inline struct ref_translation F(translate)(const struct ref_config *config, uint64_t root,
                                                  const struct ref_memory *memory, uint64_t iova, bool is_write) {
    root &= ~(uint64_t)0xfff;
    if (config->accessed_dirty) return F(updating_translate)(config, root, memory, iova, is_write);
    if (!ref_contains(config, iova, F(can_sign_extend)) || !ref_is_primary(memory, root))
        return F(general_translate)(config, root, memory, iova, is_write);
    uint64_t table = root;
    uint8_t rights = F(root_rights)(config);
    uint64_t mark = F(mark)(config->top_level);
    for (int shift = 12 + 9 * config->top_level; shift != 12; shift -= 9, mark -= F(mark_step)) {
        uint64_t word = ref_primary_words(memory, table)[iova >> shift & 511];
        table = F(table_address)(word, config);
        if (!F(is_table)(word, mark, config) || !ref_is_primary(memory, table))
            return F(general_translate)(config, root, memory, iova, is_write);
        rights &= F(rights)(word);
    }
    const uint64_t *words = ref_primary_words(memory, table);
    int index = ref_index(iova, 0);
    return F(leaf_result)(words[index], table | (uint64_t)index << 3, 0, rights, config, iova, is_write);
}
