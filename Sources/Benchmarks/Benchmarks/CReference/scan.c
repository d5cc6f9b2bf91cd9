#include "CReference.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

// Steps through every row of one table, touching each column; the size of them all goes into `bytes`.
static int scan_table(sqlite3 *db, const char *name, uint64_t *rows, uint64_t *bytes) {
    char text[256];
    snprintf(text, sizeof text, "SELECT * FROM \"%s\"", name);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) return -1;
    int columns = sqlite3_column_count(statement);
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int column = 0; column < columns; column++) *bytes += (uint64_t)sqlite3_column_bytes(statement, column);
        *rows += 1;
    }
    sqlite3_finalize(statement);
    return status == SQLITE_DONE ? 0 : -1;
}

int ref_scan(const char *path, const char *counted, uint64_t *rows, uint64_t *bytes) {
    sqlite3 *db;
    *rows = *bytes = 0;
    int status = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK ? 0 : -1;
    sqlite3_stmt *tables = NULL;
    if (status == 0 &&
        sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &tables, NULL) != SQLITE_OK)
        status = -1;
    while (status == 0 && sqlite3_step(tables) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(tables, 0);
        uint64_t own = 0;
        status = scan_table(db, name, &own, bytes);
        if (strcmp(name, counted) == 0) *rows = own;
    }
    sqlite3_finalize(tables);
    sqlite3_close(db);
    return status;
}
