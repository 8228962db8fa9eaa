// SPDX-License-Identifier: Apache-2.0
// Tables for people (columns aligned, empty ones left out) and as CSV. Filled cell by cell, row by row.
#pragma once

#include <stdbool.h>
#include <stdio.h>

typedef struct tm_table tm_table;

tm_table *tm_table_new(void);  // NULL without memory; the calls below do nothing then
void tm_table_free(tm_table *table);
// All columns before the first cell. `right`: cells end under one another, as numbers should.
void tm_table_column(tm_table *table, const char *heading, bool right);
// That column may be left out on a narrow terminal: the highest order first, then from the right.
void tm_table_optional(tm_table *table, int order);
void tm_table_cell(tm_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

// On a terminal, tables that are too wide lose optional columns, then the end of the last one. Control
// characters become blanks. Gives how many columns were left out.
size_t tm_table_print(const tm_table *table, FILE *file);
// A table that is too wide comes in parts, one below the other: the first `head` columns with some of the
// others each. As wide as the terminal, 80 where there is none.
void tm_table_print_parts(const tm_table *table, size_t head, FILE *file);
// How many parts that would be.
size_t tm_table_parts(const tm_table *table, size_t head, FILE *file);
void tm_table_csv(const tm_table *table, FILE *file);  // as RFC 4180 has it, with line feeds
