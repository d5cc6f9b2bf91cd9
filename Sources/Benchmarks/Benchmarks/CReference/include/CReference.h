// The reference side of the benchmarks: page tables of three formats in C (VT-d 3.7 and 9.8; AMD 48882 2.2.3; SDM 3A
// 4.5).
//
// What both sides do, check by check:
//
//   translate   input address within the configured width (sign-extended where the configuration says so); for every
//               level: the table frame is in a segment of physical memory (largest segment first, then binary search),
//               present, what kind of entry at that level, reserved mask of the kind; AMD v1: next level below the own
//               one, skipped bits 0; rights of all levels and of the root's pointer ANDed and compared with the
//               access; accessed and dirty bits asked for only when the configuration says so; the result is address,
//               page size, level, rights and entry address, or the fault with its level and entry address.
//   map         range not empty, all of it 4 KiB aligned, within the input width (one half of it when sign-extended),
//               within the output address mask; rights not empty; snooping only where an entry can force it; largest
//               leaves that alignment, length and hardware allow (AMD v1: contiguous ones too, every slot written);
//               for every level on the way down the checks of translate; every slot is free or a table below which
//               nothing is mapped (else EADDRINUSE), and the arena has the frames that will be missing, before
//               anything is written; missing tables taken from the arena, zeroed and marked in use; left-over empty
//               tables replaced by leaves and freed; a dirty byte set for every table frame written.
//               One leaf: one walk. A range: one pass that checks, one that writes; both recursive by level.
//
// Both are laid out the same way, so that languages are compared and not layouts: a function that asks for the format
// and one copy per format in it; what is nearly always asked for (tables in the largest segment, one leaf) is a loop
// without a call in it that gives up, nothing written, on whatever is not so simple; a general path behind it does all
// of it. A range writes its lowest tables without a call.
//
// Both run with a configuration that is only known at run time, through a call that is not inlined into the caller, and
// with the bounds that the library has against damaged tables (`REF_VISIT_LIMIT`).
#ifndef CREFERENCE_H
#define CREFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One run of bytes of physical memory that are present.
struct ref_segment {
    uint64_t base;
    uint64_t byte_count;
    uint8_t *_Nonnull pointer;
};

// Physical memory: `segments` sorted and not overlapping; `primary` is the largest.
struct ref_memory {
    uint64_t base;
    uint64_t page_limit;
    uint8_t *_Nonnull pointer;
    const struct ref_segment *_Nonnull segments;
    size_t count;
};

enum ref_format { REF_VTD_SECOND_STAGE, REF_AMD_V1, REF_X86_64 };

// The shape of the tables and what the hardware can do. Leaves of 2 MiB and 1 GiB exist, execute-disable too.
struct ref_config {
    enum ref_format format;
    int top_level;
    bool accessed_dirty;
    bool can_snoop;
    // What the entry that points to the root grants: REF_READ and so on.
    uint8_t root_rights;
    // Bit `k`: leaves of `2^k` bytes exist.
    uint64_t page_sizes;
    // Those that take one slot.
    uint64_t single_sizes;
    // Half of the input space when it is sign-extended, otherwise 0.
    uint64_t bias;
    // Bits that must be 0 in an input address plus `bias`.
    uint64_t beyond;
    // The bits of a word that may hold an address, and those that an address may be written into.
    uint64_t address_mask;
    uint64_t encodable;
    // The C-bit, or 0.
    uint64_t encryption;
    uint64_t table_reserved;
    uint64_t leaf_reserved;
};

enum { REF_READ = 1, REF_WRITE = 2, REF_USER = 4, REF_EXECUTE = 8 };

enum ref_status {
    REF_OK = 0,
    REF_NOT_PRESENT,
    REF_NO_READ,
    REF_NO_WRITE,
    REF_NO_USER,
    REF_RESERVED,
    REF_INVALID_LEVEL,
    REF_INVALID_PAGE_SIZE,
    REF_LEAF_NOT_ALLOWED,
    REF_SKIPPED_BITS,
    REF_OUT_OF_RANGE,
    REF_NON_CANONICAL,
    REF_ABSENT,
};

struct ref_translation {
    enum ref_status status;
    int level;
    int page_size_log2;
    uint8_t rights;
    uint64_t pa;
    uint64_t entry_address;
};

// Frames for tables: `frame_count` consecutive ones at physical `base`, in memory at `pointer`.
struct ref_arena {
    uint64_t base;
    uint8_t *_Nullable pointer;
    size_t frame_count;
    // Frames from this one on were never given out.
    size_t next;
    // Frames given back, as a stack.
    size_t *_Nullable freed;
    size_t freed_count;
    size_t allocated_count;
    // One byte per frame: 1 when it is in use.
    uint8_t *_Nullable used;
    // One byte per frame: 1 when it was written since the last time somebody looked.
    uint8_t *_Nullable dirty;
};

// Tables of `top_level + 1` levels that translate all input addresses these reach, sign-extended for x86-64. Without a
// C-bit `encryption_bit` is -1.
struct ref_config ref_make_config(enum ref_format format, int top_level, int host_address_width, int encryption_bit);

struct ref_memory ref_make_memory(const struct ref_segment *_Nonnull segments, size_t count);

// False when there is no memory for the two lists.
bool ref_arena_init(struct ref_arena *_Nonnull arena, uint64_t base, uint8_t *_Nonnull pointer, size_t frame_count);
void ref_arena_reset(struct ref_arena *_Nonnull arena);
void ref_arena_destroy(struct ref_arena *_Nonnull arena);

// A zeroed frame, or 0 when there is none.
uint64_t ref_arena_allocate(struct ref_arena *_Nonnull arena);
void ref_arena_free(struct ref_arena *_Nonnull arena, uint64_t page);

struct ref_translation ref_translate(const struct ref_config *_Nonnull config, uint64_t root,
                                     const struct ref_memory *_Nonnull memory, uint64_t iova, bool is_write);

// 0, EINVAL, ERANGE, EOPNOTSUPP, EADDRINUSE, ENOMEM, or EIO for a damaged tree. On an error nothing has changed.
int ref_map(const struct ref_config *_Nonnull config, uint64_t root, const struct ref_memory *_Nonnull memory,
            struct ref_arena *_Nonnull arena, uint64_t iova, uint64_t pa, uint64_t byte_count, uint8_t rights,
            bool snoop);

// The loops that are timed: `count` calls each. The sum of the results, or of the errors.
uint64_t ref_map_each(const struct ref_config *_Nonnull config, uint64_t root, const struct ref_memory *_Nonnull memory,
                      struct ref_arena *_Nonnull arena, uint64_t iova, uint64_t pa, uint64_t byte_count, size_t count);
uint64_t ref_translate_each(const struct ref_config *_Nonnull config, uint64_t root,
                            const struct ref_memory *_Nonnull memory, const uint64_t *_Nonnull iovas, size_t count);

// The sum of `count` words: what reading them costs at least.
uint64_t ref_sum(const uint64_t *_Nonnull words, size_t count);

// Maps the file at `path`, all of it and private, reads every word of the `count` pages at these offsets, and unmaps
// it. The sum of the words; `*error` is 0 or an error number.
uint64_t ref_read_pages(const char *_Nonnull path, const uint64_t *_Nonnull offsets, size_t count, int *_Nonnull error);

// Writes `byte_count` bytes to `file` and waits for fdatasync. 0 or an error number.
int ref_bare_write(int file, const uint8_t *_Nonnull bytes, size_t byte_count);

// One area of an IOAS. `first` and `last` are input addresses, both included.
struct ref_area {
    uint64_t first;
    uint64_t last;
    uint64_t offset;
    uint32_t ioas;
    uint32_t backing;
    uint16_t protection;
};

// One page of a set, whose encoded words are the set's bytes from `start` to `end`.
struct ref_page {
    uint64_t address;
    uint32_t start;
    uint32_t end;
    uint8_t level;
};

// The pages of one owner, ascending.
struct ref_page_set {
    const struct ref_page *_Nullable pages;
    size_t count;
    const uint8_t *_Nullable bytes;
    uint32_t owner;
};

// Words of a row: a device, an attachment, a domain.
#define REF_ROW_WORDS 8

// A whole state. Areas are sorted by IOAS.
struct ref_state {
    const uint64_t *_Nullable rows;
    size_t row_count;
    const struct ref_area *_Nullable areas;
    size_t area_count;
    const struct ref_page_set *_Nullable sets;
    size_t set_count;
};

// What has been loaded.
struct ref_loaded {
    uint64_t *_Nullable rows;
    size_t row_count;
    struct ref_area *_Nullable areas;
    size_t area_count;
    struct ref_page *_Nullable pages;
    size_t page_count;
    uint8_t *_Nullable bytes;
    size_t byte_count;
};

// Writes a file whole: `temporary`, fdatasync, renamed to `path`, fsync of `directory`. 0 or an error number.
int ref_file_replace(const char *_Nonnull path, const char *_Nonnull temporary, const char *_Nonnull directory,
                     const uint8_t *_Nonnull bytes, size_t count);

// Reads the file at `path` whole into memory of malloc; NULL when that fails.
uint8_t *_Nullable ref_file_read(const char *_Nonnull path, size_t *_Nonnull size);

// Memory for what `counts` says, `pages` pages, and runs of at most `bytes` bytes.
struct ref_loaded ref_make_loaded(const struct ref_state *_Nonnull counts, size_t pages, size_t bytes);
bool ref_is_loaded(const struct ref_loaded *_Nonnull loaded);

// Frees it all; the number of records, 0 when they are not sound.
uint64_t ref_end_loaded(struct ref_loaded *_Nonnull loaded, bool sound);

// XXH64 with seed 0.
uint64_t ref_digest(const uint8_t *_Nonnull bytes, size_t count);

// Writes `state` in one flat file with a checksum a chunk: `temporary`, fdatasync, renamed to `path`, fsync of `directory`. 0
// or an error number.
int ref_flat_write(const char *_Nonnull path, const char *_Nonnull temporary, const char *_Nonnull directory, const struct ref_state *_Nonnull state);

// Blocks of many megabytes come fresh from the kernel or are used again, as the allocator pleases, and a fresh page costs
// more than what is written into it. From here on the process uses again what it has, on both sides.
void ref_keep_memory(void);

// Reads the file at `path`, checks and decodes it all; `counts` says how much there is. The number of records, 0 when one is
// not as it was written.
uint64_t ref_flat_load(const char *_Nonnull path, const struct ref_state *_Nonnull counts);

// As `ref_flat_write` and `ref_flat_load`, of a flattened device tree by libfdt: a node for each record, a property for each
// of its fields.
int ref_fdt_write(const char *_Nonnull path, const char *_Nonnull temporary, const char *_Nonnull directory, const struct ref_state *_Nonnull state);
uint64_t ref_fdt_load(const char *_Nonnull path, const struct ref_state *_Nonnull counts);

// How often this process has called fsync or fdatasync, libraries included: the program defines both itself.
uint64_t ref_sync_count(void);

// Steps through every row of every table of the SQLite file at `path`, touching each column. `rows` is how many table
// `counted` has, `bytes` the size of all columns. 0, or -1 for any error.
int ref_scan(
    const char *_Nonnull path, const char *_Nonnull counted, uint64_t *_Nonnull rows, uint64_t *_Nonnull bytes);

#endif
