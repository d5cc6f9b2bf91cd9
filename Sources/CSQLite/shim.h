#ifndef DOMSTORE_CSQLITE_SHIM_H
#define DOMSTORE_CSQLITE_SHIM_H

#include <sqlite3.h>

/* sqlite3_db_config is variadic, which Swift cannot call: one function per shape of arguments. */
static inline int domstore_sqlite3_db_config_flag(sqlite3 *db, int option, int value, int *result) {
    return sqlite3_db_config(db, option, value, result);
}

#endif
