#define _GNU_SOURCE
#include "CReference.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The whole state as one flat file: what a store in one format of its own would be. Chunks as the store has them, each with
// its checksum: a head of 16 bytes (kind, records, bytes), then the bytes, then XXH64.

enum { AREA_BYTES = 32, AREAS_PER_CHUNK = 2048, PAGE_BYTES = 16, PAGES_PER_CHUNK = 256, HEAD_BYTES = 16 };
enum { KIND_ROW = 1, KIND_AREAS = 2, KIND_PAGES = 3 };

static uint64_t rotated(uint64_t value, int by) { return value << by | value >> (64 - by); }

static const uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu, prime3 = 0x165667B19E3779F9u,
                      prime4 = 0x85EBCA77C2B2AE63u, prime5 = 0x27D4EB2F165667C5u;

static uint64_t lane(uint64_t sum, uint64_t word) { return rotated(sum + word * prime2, 31) * prime1; }

static uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

// XXH64 with seed 0 (xxHash specification 0.1.1).
static uint64_t digest(const uint8_t *bytes, size_t count) {
    const uint8_t *end = bytes + count;
    uint64_t sum = prime5;
    if (count >= 32) {
        uint64_t a = prime1 + prime2, b = prime2, c = 0, d = 0 - prime1;
        for (; bytes + 32 <= end; bytes += 32) {
            a = lane(a, load64(bytes));
            b = lane(b, load64(bytes + 8));
            c = lane(c, load64(bytes + 16));
            d = lane(d, load64(bytes + 24));
        }
        sum = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18);
        sum = (sum ^ lane(0, a)) * prime1 + prime4;
        sum = (sum ^ lane(0, b)) * prime1 + prime4;
        sum = (sum ^ lane(0, c)) * prime1 + prime4;
        sum = (sum ^ lane(0, d)) * prime1 + prime4;
    }
    sum += count;
    for (; bytes + 8 <= end; bytes += 8) sum = rotated(sum ^ lane(0, load64(bytes)), 27) * prime1 + prime4;
    if (bytes + 4 <= end) {
        uint32_t word;
        memcpy(&word, bytes, 4);
        sum = rotated(sum ^ word * prime1, 23) * prime2 + prime3;
        bytes += 4;
    }
    for (; bytes < end; bytes++) sum = rotated(sum ^ *bytes * prime5, 11) * prime1;
    sum = (sum ^ sum >> 33) * prime2;
    sum = (sum ^ sum >> 29) * prime3;
    return sum ^ sum >> 32;
}

uint64_t ref_digest(const uint8_t *bytes, size_t count) { return digest(bytes, count); }

static uint8_t *put64(uint8_t *to, uint64_t word) {
    word = __builtin_bswap64(word);
    memcpy(to, &word, 8);
    return to + 8;
}

static uint8_t *put32(uint8_t *to, uint32_t word) {
    word = __builtin_bswap32(word);
    memcpy(to, &word, 4);
    return to + 4;
}

static uint64_t get64(const uint8_t *from) { return __builtin_bswap64(load64(from)); }

static uint32_t get32(const uint8_t *from) {
    uint32_t word;
    memcpy(&word, from, 4);
    return __builtin_bswap32(word);
}

static uint8_t *head(uint8_t *to, uint32_t kind, uint32_t owner, uint32_t records, uint32_t bytes) {
    to = put32(to, kind << 24 | records);
    to = put32(to, owner);
    to = put32(to, bytes);
    return put32(to, 0);
}

static uint8_t *seal(uint8_t *chunk, uint8_t *end) { return put64(end, digest(chunk, (size_t)(end - chunk))); }

static uint8_t *put_areas(uint8_t *to, const struct ref_state *state) {
    for (size_t start = 0; start < state->area_count;) {
        uint8_t *chunk = to;
        uint32_t owner = state->areas[start].ioas;
        size_t count = 0;
        to += HEAD_BYTES;
        for (; start + count < state->area_count && count < AREAS_PER_CHUNK; count++) {
            const struct ref_area *area = state->areas + start + count;
            if (area->ioas != owner) break;
            to = put64(to, area->first);
            to = put64(to, area->last);
            to = put64(to, area->offset);
            to = put32(to, area->backing);
            to = put32(to, (uint32_t)area->protection << 16);
        }
        head(chunk, KIND_AREAS, owner, (uint32_t)count, (uint32_t)(count * AREA_BYTES));
        to = seal(chunk, to);
        start += count;
    }
    return to;
}

static uint8_t *put_pages(uint8_t *to, const struct ref_page_set *set) {
    for (size_t start = 0; start < set->count; start += PAGES_PER_CHUNK) {
        uint8_t *chunk = to;
        size_t count = set->count - start < PAGES_PER_CHUNK ? set->count - start : PAGES_PER_CHUNK;
        const struct ref_page *pages = set->pages + start;
        size_t bytes = pages[count - 1].end - pages[0].start;
        to += HEAD_BYTES;
        for (size_t index = 0; index < count; index++) {
            to = put64(to, pages[index].address);
            to = put32(to, (uint32_t)pages[index].level << 24);
            to = put32(to, pages[index].end - pages[0].start);
        }
        memcpy(to, set->bytes + pages[0].start, bytes);
        to += bytes;
        head(chunk, KIND_PAGES, set->owner, (uint32_t)count, (uint32_t)(count * PAGE_BYTES + bytes));
        to = seal(chunk, to);
    }
    return to;
}

int ref_file_replace(
    const char *path, const char *temporary, const char *directory, const uint8_t *bytes, size_t count) {
    int error = 0, file = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) error = errno;
    if (error == 0) error = ref_bare_write(file, bytes, count);
    if (file >= 0) close(file);
    if (error == 0 && rename(temporary, path) != 0) error = errno;
    if (error != 0) return error;
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fsync(folder) != 0) error = errno;
    if (folder >= 0) close(folder);
    return error;
}

int ref_flat_write(const char *path, const char *temporary, const char *directory, const struct ref_state *state) {
    size_t room = state->row_count * (HEAD_BYTES + REF_ROW_WORDS * 8 + 8)
        + state->area_count * (AREA_BYTES + HEAD_BYTES + 8);
    for (size_t index = 0; index < state->set_count; index++) {
        const struct ref_page_set *set = state->sets + index;
        room += set->count * (PAGE_BYTES + HEAD_BYTES + 8);
        if (set->count > 0) room += set->pages[set->count - 1].end;
    }
    uint8_t *buffer = malloc(room);
    if (buffer == NULL) return ENOMEM;
    uint8_t *to = buffer;
    for (size_t row = 0; row < state->row_count; row++) {
        uint8_t *chunk = to;
        to = head(to, KIND_ROW, 0, 1, REF_ROW_WORDS * 8);
        for (size_t word = 0; word < REF_ROW_WORDS; word++) to = put64(to, state->rows[row * REF_ROW_WORDS + word]);
        to = seal(chunk, to);
    }
    to = put_areas(to, state);
    for (size_t index = 0; index < state->set_count; index++) to = put_pages(to, state->sets + index);
    int error = ref_file_replace(path, temporary, directory, buffer, (size_t)(to - buffer));
    free(buffer);
    return error;
}

// Decodes one chunk into what was asked for; false when something in it is wrong.
static bool take(const uint8_t *chunk, uint32_t kind, uint32_t records, uint32_t bytes, struct ref_loaded *loaded) {
    const uint8_t *from = chunk + HEAD_BYTES;
    uint32_t owner = get32(chunk + 4);
    if (kind == KIND_ROW) {
        if (bytes != REF_ROW_WORDS * 8) return false;
        uint64_t *row = loaded->rows + loaded->row_count++ * REF_ROW_WORDS;
        for (size_t word = 0; word < REF_ROW_WORDS; word++) row[word] = get64(from + word * 8);
        return true;
    }
    if (kind == KIND_AREAS) {
        if (bytes != records * AREA_BYTES) return false;
        for (uint32_t index = 0; index < records; index++, from += AREA_BYTES) {
            struct ref_area *area = loaded->areas + loaded->area_count++;
            *area = (struct ref_area){
                .first = get64(from), .last = get64(from + 8), .offset = get64(from + 16), .ioas = owner,
                .backing = get32(from + 24), .protection = (uint16_t)(get32(from + 28) >> 16)};
            if (area->first > area->last || area->protection > 3) return false;
        }
        return true;
    }
    if (kind != KIND_PAGES || bytes < records * PAGE_BYTES) return false;
    size_t runs = bytes - records * PAGE_BYTES, start = 0;
    memcpy(loaded->bytes + loaded->byte_count, from + records * PAGE_BYTES, runs);
    for (uint32_t index = 0; index < records; index++, from += PAGE_BYTES) {
        size_t end = get32(from + 12);
        if (end < start || end > runs) return false;
        loaded->pages[loaded->page_count++] = (struct ref_page){
            .address = get64(from), .start = (uint32_t)(loaded->byte_count + start),
            .end = (uint32_t)(loaded->byte_count + end), .level = from[8]};
        start = end;
    }
    loaded->byte_count += runs;
    return start == runs;
}

void ref_keep_memory(void) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT32_MAX);
}

uint8_t *ref_file_read(const char *path, size_t *size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0) return NULL;
    uint8_t *buffer = fstat(file, &status) == 0 ? malloc((size_t)status.st_size) : NULL;
    *size = buffer == NULL ? 0 : (size_t)status.st_size;
    for (size_t done = 0; done < *size;) {
        ssize_t got = pread(file, buffer + done, *size - done, (off_t)done);
        if (got <= 0) {
            free(buffer);
            buffer = NULL;
            break;
        }
        done += (size_t)got;
    }
    close(file);
    return buffer;
}

struct ref_loaded ref_make_loaded(const struct ref_state *counts, size_t pages, size_t bytes) {
    return (struct ref_loaded){
        .rows = malloc(counts->row_count * REF_ROW_WORDS * 8), .areas = malloc(counts->area_count * sizeof(struct ref_area)),
        .pages = malloc(pages * sizeof(struct ref_page)), .bytes = malloc(bytes)};
}

bool ref_is_loaded(const struct ref_loaded *loaded) {
    return loaded->rows != NULL && loaded->areas != NULL && loaded->pages != NULL && loaded->bytes != NULL;
}

uint64_t ref_end_loaded(struct ref_loaded *loaded, bool sound) {
    // Somebody looks at what was decoded: without this the compiler leaves out every store, and the memory they go to.
    __asm__ volatile("" : : "r"(loaded) : "memory");
    uint64_t sum = sound ? loaded->row_count + loaded->area_count + loaded->page_count : 0;
    free(loaded->rows);
    free(loaded->areas);
    free(loaded->pages);
    free(loaded->bytes);
    return sum;
}

uint64_t ref_flat_load(const char *path, const struct ref_state *counts) {
    size_t size = 0, pages = 0;
    uint8_t *buffer = ref_file_read(path, &size);
    for (size_t index = 0; index < counts->set_count; index++) pages += counts->sets[index].count;
    struct ref_loaded loaded = ref_make_loaded(counts, pages, size);
    bool sound = buffer != NULL && ref_is_loaded(&loaded);
    for (size_t place = 0; sound && place < size;) {
        const uint8_t *chunk = buffer + place;
        uint32_t first = get32(chunk), bytes = get32(chunk + 8);
        size_t whole = HEAD_BYTES + (size_t)bytes;
        sound = size - place >= whole + 8 && digest(chunk, whole) == get64(chunk + whole)
            && take(chunk, first >> 24, first & 0xffffff, bytes, &loaded);
        place += whole + 8;
    }
    uint64_t sum = ref_end_loaded(&loaded, sound);
    free(buffer);
    return sum;
}
