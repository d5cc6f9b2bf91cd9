#include "CReference.h"

#include <stdlib.h>
#include <string.h>

bool ref_arena_init(struct ref_arena *arena, uint64_t base, uint8_t *pointer, size_t frame_count) {
    arena->base = base;
    arena->pointer = pointer;
    arena->frame_count = frame_count;
    arena->freed = malloc(frame_count * sizeof *arena->freed);
    arena->used = malloc(frame_count);
    arena->dirty = malloc(frame_count);
    if (arena->freed == NULL || arena->used == NULL || arena->dirty == NULL) return false;
    ref_arena_reset(arena);
    return true;
}

void ref_arena_reset(struct ref_arena *arena) {
    arena->next = arena->freed_count = arena->allocated_count = 0;
    memset(arena->used, 0, arena->frame_count);
    memset(arena->dirty, 0, arena->frame_count);
}

void ref_arena_destroy(struct ref_arena *arena) {
    free(arena->freed);
    free(arena->used);
    free(arena->dirty);
}

uint64_t ref_arena_allocate(struct ref_arena *arena) {
    size_t frame;
    if (arena->freed_count > 0) frame = arena->freed[--arena->freed_count];
    else if (arena->next < arena->frame_count) frame = arena->next++;
    else return 0;
    memset(arena->pointer + frame * 4096, 0, 4096);
    arena->used[frame] = 1;
    arena->dirty[frame] = 1;
    arena->allocated_count++;
    return arena->base + frame * 4096;
}

void ref_arena_free(struct ref_arena *arena, uint64_t page) {
    uint64_t frame = (page - arena->base) >> 12;
    if (frame >= arena->frame_count || arena->used[frame] == 0) return;
    arena->used[frame] = 0;
    arena->dirty[frame] = 0;
    arena->allocated_count--;
    arena->freed[arena->freed_count++] = frame;
}
