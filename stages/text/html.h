// SPDX-License-Identifier: Apache-2.0
// HTML to prose: parse, drop boilerplate, write paragraphs.
//
// The parser is gumbo (HTML5 rules, so broken pages never fail). What a reader would not call the text is
// dropped in three passes: elements by name, role and class (navigation, forms, footers, cookie bars); what
// lies outside <main> or <article> when the page has one with text; and blocks by what they hold, in the
// spirit of jusText (Pomikalek 2011): link-dense lists, tables and paragraphs go, short lines between them go
// too, headings stay when kept text follows.
//
// Paragraphs are separated by an empty line; list items stand one per line as "- x" or "1. x", table rows
// one per line with " | " between the cells; `pre` keeps its spaces and line ends; other runs of white space
// become one space. Output is valid UTF-8.
#pragma once

#include "engine/base/bytes.h"

typedef struct tm_html_options {
    const char *charset;     // from the HTTP header, or NULL
    bool keep_boilerplate;   // everything visible, no pass drops anything but scripts and styles
    size_t max_bytes;        // 0: 32 MiB; larger input fails with TM_EFORMAT
    size_t max_memory_bytes; // 0: 1 GiB for the tree; beyond it tags are stripped without a tree
    unsigned max_depth;      // 0: 512, at most 512; start tags of deeper elements are ignored
} tm_html_options;

typedef struct tm_html_page {
    tm_buf text;
    tm_buf title;      // of <title>, white space collapsed; empty if there is none
    char charset[32];  // that the bytes were read in, in lower case ("utf-8", "windows-1252")
    size_t n_replaced; // undecodable sequences, each now U+FFFD
    bool stripped;     // the tree would have been too large
} tm_html_page;

// Extract the text of one page into `page` (all zero or used before; its buffers are reset and reused).
// `options` may be NULL. Fails only for input that is too large, or with TM_ENOMEM.
tm_status tm_html_extract(tm_view html, const tm_html_options *options, tm_html_page *page, tm_error *err);
void tm_html_page_clear(tm_html_page *page);
