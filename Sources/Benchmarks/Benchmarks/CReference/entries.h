// What the three formats have in common.
#ifndef CREFERENCE_ENTRIES_H
#define CREFERENCE_ENTRIES_H

#include "CReference.h"

// What a word is: a table, or what a walk that ends in it answers, REF_OK for a leaf.
enum { REF_KIND_TABLE = 64 };

static const uint64_t REF_ADDRESS_FIELD = 0xffffffffff000;

static inline uint64_t ref_slot_size(int level) { return (uint64_t)1 << (12 + 9 * level); }

// True when a leaf at `level` exists that is as large as a table slot there.
static inline bool ref_has_leaves(const struct ref_config *config, int level) {
    return (config->page_sizes >> (12 + 9 * level) & 1) != 0;
}

// True when `iova` is an input address.
static inline bool ref_contains(const struct ref_config *config, uint64_t iova, bool can_sign_extend) {
    return ((can_sign_extend ? iova + config->bias : iova) & config->beyond) == 0;
}

#endif
