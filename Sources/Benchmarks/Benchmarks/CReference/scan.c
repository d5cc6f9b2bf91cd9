#include "CReference.h"

#include <sqlite3.h>
#include <stdio.h>

// Steps through every row of one table, touching each column.
static int scan_table(sqlite3 *db, const char *name, uint64_t *rows) {
    char text[256];
    snprintf(text, sizeof text, "SELECT * FROM \"%s\"", name);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) return -1;
    int columns = sqlite3_column_count(statement);
    int status;
    uint64_t touched = 0;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int column = 0; column < columns; column++) touched += (uint64_t)sqlite3_column_bytes(statement, column);
        *rows += 1;
    }
    sqlite3_finalize(statement);
    return status == SQLITE_DONE && touched > 0 ? 0 : status == SQLITE_DONE ? 0 : -1;
}

int ref_scan(const char *path, uint64_t *rows) {
    sqlite3 *db;
    *rows = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) return -1;
    sqlite3_stmt *tables;
    int status = sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &tables, NULL);
    while (status == SQLITE_OK && sqlite3_step(tables) == SQLITE_ROW)
        status = scan_table(db, (const char *)sqlite3_column_text(tables, 0), rows);
    sqlite3_finalize(tables);
    sqlite3_close(db);
    return status;
}
