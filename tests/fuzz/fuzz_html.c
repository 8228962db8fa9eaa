// SPDX-License-Identifier: Apache-2.0
// HTML extraction: any bytes give valid UTF-8, or an error; both with boilerplate dropped and kept.
#include <stdlib.h>

#include "engine/base/utf8.h"
#include "stages/text/html.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tm_html_page page = {0};
    for (int keep = 0; keep < 2; keep++) {
        tm_html_options options = {
            .keep_boilerplate = keep, .max_memory_bytes = 64 << 20, .max_bytes = 1 << 20};
        tm_status status = tm_html_extract(tm_view_of(data, size), &options, &page, NULL);
        if (status == TM_OK && tm_utf8_valid(tm_buf_view(&page.text)) != page.text.size) abort();
    }
    tm_html_page_clear(&page);
    return 0;
}
