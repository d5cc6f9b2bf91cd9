#ifndef DOMSTORE_CSQLITE_SHIM_H
#define DOMSTORE_CSQLITE_SHIM_H

#include <stdint.h>

#include <sqlite3.h>

/* sqlite3_db_config is variadic, which Swift cannot call: one function per shape of arguments. */
static inline int domstore_sqlite3_db_config_flag(sqlite3 *db, int option, int value, int *result) {
    return sqlite3_db_config(db, option, value, result);
}

/* sync_file_range(SYNC_FILE_RANGE_WRITE), which glibc declares for GNU sources only: begins to write a range to the disk. */
static inline int domstore_begin_writing(int descriptor, int64_t offset, int64_t count) {
    extern int sync_file_range(int, int64_t, int64_t, unsigned int);
    return sync_file_range(descriptor, offset, count, 2);
}

/* The descriptor of a file that SQLite's unix layer opened, by the beginning of its structure; -1 where that does not lead to
   one. The layer has no call for it. The caller makes sure that it is the file that it means (fstat). */
static inline int domstore_sqlite3_unix_descriptor(const sqlite3_file *file, int size) {
    const struct { const void *methods, *layer, *inode; int descriptor; } *begin = (const void *)file;
    return size >= (int)sizeof *begin ? begin->descriptor : -1;
}

#endif
