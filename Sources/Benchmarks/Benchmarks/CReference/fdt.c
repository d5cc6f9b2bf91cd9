#define _GNU_SOURCE
#include "CReference.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The whole state as a flattened device tree, as the kernel's handover has used them: a node for each record, a property for
// each of its fields, written in order (the sequential API of libfdt 1.6.1) and read with its ordinary one. No checksums.

// The tree has 32-bit offsets with a sign.
enum { LARGEST = INT32_MAX };
// Of one node: its name and marks, and five properties of at most 8 bytes with their heads.
enum { NODE_BYTES = 160 };

static void put_row(void *tree, const uint64_t *row, size_t index, int *error) {
    static const char *const names[REF_ROW_WORDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    char name[32];
    snprintf(name, sizeof name, "row@%zx", index);
    if (*error == 0) *error = fdt_begin_node(tree, name);
    for (size_t word = 0; *error == 0 && word < REF_ROW_WORDS; word++) {
        *error = fdt_property_u64(tree, names[word], row[word]);
    }
    if (*error == 0) *error = fdt_end_node(tree);
}

static void put_area(void *tree, const struct ref_area *area, int *error) {
    char name[32];
    snprintf(name, sizeof name, "area@%" PRIx64, area->first);
    if (*error == 0) *error = fdt_begin_node(tree, name);
    if (*error == 0) *error = fdt_property_u64(tree, "first", area->first);
    if (*error == 0) *error = fdt_property_u64(tree, "last", area->last);
    if (*error == 0) *error = fdt_property_u64(tree, "offset", area->offset);
    if (*error == 0) *error = fdt_property_u32(tree, "backing", area->backing);
    if (*error == 0) *error = fdt_property_u32(tree, "protection", area->protection);
    if (*error == 0) *error = fdt_end_node(tree);
}

static void put_page(void *tree, const struct ref_page_set *set, const struct ref_page *page, int *error) {
    char name[32];
    snprintf(name, sizeof name, "page@%" PRIx64 ",%u", page->address, page->level);
    if (*error == 0) *error = fdt_begin_node(tree, name);
    if (*error == 0) *error = fdt_property_u64(tree, "address", page->address);
    if (*error == 0) *error = fdt_property_u32(tree, "level", page->level);
    if (*error == 0) {
        *error = fdt_property(tree, "words", set->bytes + page->start, (int)(page->end - page->start));
    }
    if (*error == 0) *error = fdt_end_node(tree);
}

static void begin_group(void *tree, const char *kind, uint32_t owner, int *error) {
    char name[32];
    snprintf(name, sizeof name, "%s@%x", kind, owner);
    if (*error == 0) *error = fdt_begin_node(tree, name);
}

static void put_state(void *tree, const struct ref_state *state, int *error) {
    *error = fdt_finish_reservemap(tree);
    if (*error == 0) *error = fdt_begin_node(tree, "");
    begin_group(tree, "rows", 0, error);
    for (size_t row = 0; row < state->row_count; row++) put_row(tree, state->rows + row * REF_ROW_WORDS, row, error);
    if (*error == 0) *error = fdt_end_node(tree);
    for (size_t start = 0; *error == 0 && start < state->area_count;) {
        uint32_t owner = state->areas[start].ioas;
        begin_group(tree, "ioas", owner, error);
        for (; start < state->area_count && state->areas[start].ioas == owner; start++) {
            put_area(tree, state->areas + start, error);
        }
        if (*error == 0) *error = fdt_end_node(tree);
    }
    for (size_t index = 0; *error == 0 && index < state->set_count; index++) {
        const struct ref_page_set *set = state->sets + index;
        begin_group(tree, "domain", set->owner, error);
        for (size_t page = 0; page < set->count; page++) put_page(tree, set, set->pages + page, error);
        if (*error == 0) *error = fdt_end_node(tree);
    }
    if (*error == 0) *error = fdt_end_node(tree);
    if (*error == 0) *error = fdt_finish(tree);
}

int ref_fdt_write(const char *path, const char *temporary, const char *directory, const struct ref_state *state) {
    size_t pages = 0, room = 4096;
    for (size_t index = 0; index < state->set_count; index++) {
        const struct ref_page_set *set = state->sets + index;
        pages += set->count;
        if (set->count > 0) room += set->pages[set->count - 1].end;
    }
    room += (state->row_count * 2 + state->area_count + pages + state->set_count * 2) * NODE_BYTES;
    if (room > LARGEST) return EFBIG;
    void *tree = malloc(room);
    if (tree == NULL) return ENOMEM;
    int problem = fdt_create(tree, (int)room);
    if (problem == 0) put_state(tree, state, &problem);
    int error = problem == 0 ? 0 : ENOSPC;
    if (error == 0) error = ref_file_replace(path, temporary, directory, tree, fdt_totalsize(tree));
    free(tree);
    return error;
}

static uint64_t get64(const void *tree, int node, const char *name, bool *sound) {
    int count = 0;
    const void *value = fdt_getprop(tree, node, name, &count);
    if (value == NULL || count != 8) {
        *sound = false;
        return 0;
    }
    return fdt64_ld(value);
}

static uint32_t get32(const void *tree, int node, const char *name, bool *sound) {
    int count = 0;
    const void *value = fdt_getprop(tree, node, name, &count);
    if (value == NULL || count != 4) {
        *sound = false;
        return 0;
    }
    return fdt32_ld(value);
}

static void take(const void *tree, int node, uint32_t owner, struct ref_loaded *loaded, bool *sound) {
    const char *name = fdt_get_name(tree, node, NULL);
    if (name == NULL) {
        *sound = false;
    } else if (strncmp(name, "area@", 5) == 0) {
        struct ref_area *area = loaded->areas + loaded->area_count++;
        *area = (struct ref_area){
            .first = get64(tree, node, "first", sound), .last = get64(tree, node, "last", sound),
            .offset = get64(tree, node, "offset", sound), .ioas = owner,
            .backing = get32(tree, node, "backing", sound),
            .protection = (uint16_t)get32(tree, node, "protection", sound)};
        if (area->first > area->last || area->protection > 3) *sound = false;
    } else if (strncmp(name, "page@", 5) == 0) {
        int count = 0;
        const void *words = fdt_getprop(tree, node, "words", &count);
        if (words == NULL || count < 0) {
            *sound = false;
            return;
        }
        memcpy(loaded->bytes + loaded->byte_count, words, (size_t)count);
        loaded->pages[loaded->page_count++] = (struct ref_page){
            .address = get64(tree, node, "address", sound), .start = (uint32_t)loaded->byte_count,
            .end = (uint32_t)(loaded->byte_count + (size_t)count), .level = (uint8_t)get32(tree, node, "level", sound)};
        loaded->byte_count += (size_t)count;
    } else {
        static const char *const names[REF_ROW_WORDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
        uint64_t *row = loaded->rows + loaded->row_count++ * REF_ROW_WORDS;
        for (size_t word = 0; word < REF_ROW_WORDS; word++) row[word] = get64(tree, node, names[word], sound);
    }
}

uint64_t ref_fdt_load(const char *path, const struct ref_state *counts) {
    size_t size = 0, pages = 0;
    uint8_t *tree = ref_file_read(path, &size);
    for (size_t index = 0; index < counts->set_count; index++) pages += counts->sets[index].count;
    struct ref_loaded loaded = ref_make_loaded(counts, pages, size);
    bool sound = tree != NULL && ref_is_loaded(&loaded) && fdt_check_header(tree) == 0 && fdt_totalsize(tree) == size;
    if (sound) {
        int group, node;
        fdt_for_each_subnode(group, tree, 0) {
            const char *name = fdt_get_name(tree, group, NULL), *mark = name == NULL ? NULL : strchr(name, '@');
            uint32_t owner = mark == NULL ? 0 : (uint32_t)strtoul(mark + 1, NULL, 16);
            fdt_for_each_subnode(node, tree, group) {
                if (sound) take(tree, node, owner, &loaded, &sound);
            }
        }
    }
    uint64_t sum = ref_end_loaded(&loaded, sound);
    free(tree);
    return sum;
}
