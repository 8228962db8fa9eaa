// SPDX-License-Identifier: Apache-2.0
// Escaping, and formats whose texts are escaped.
#include "lua/report/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/base/utf8.h"

static const char *reference(uint32_t point)
{
    switch (point) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void tm_html_text(tm_buf *page, tm_view text)
{
    const unsigned char *p = (const unsigned char *)text.data, *end = p + text.size;
    while (p < end) {
        uint32_t point = 0xfffd;
        unsigned n = tm_utf8_decode(p, end, &point);
        const char *as = reference(point);
        if (as) tm_buf_str(page, as);
        else if (point < 0x20 && point != '\n' && point != '\t') tm_buf_point(page, 0x2400 + point);
        else if (point >= 0x7f && point < 0xa0) tm_buf_point(page, 0xfffd);
        else tm_buf_point(page, point);
        p += n ? n : 1;
    }
}

// Where a conversion ends: behind its letter.
static const char *conversion_end(const char *at)
{
    while (*at && !strchr("%diouxXeEfFgGcs", *at)) at++;
    return *at ? at + 1 : at;
}

// One conversion that is not of a text.
static void add_number(tm_buf *page, const char *spec, size_t size, va_list *args)
{
    char format[24], text[64] = "";
    snprintf(format, sizeof format, "%.*s", (int)size, spec);
    char kind = format[strlen(format) - 1];
    if (strchr("eEfFgG", kind)) snprintf(text, sizeof text, format, va_arg(*args, double));
    else if (strstr(format, "ll")) snprintf(text, sizeof text, format, va_arg(*args, long long));
    else if (strchr(format, 'z')) snprintf(text, sizeof text, format, va_arg(*args, size_t));
    else if (strchr(format, 'l')) snprintf(text, sizeof text, format, va_arg(*args, long));
    else snprintf(text, sizeof text, format, va_arg(*args, int));
    tm_buf_str(page, text);
}

static bool is_blank(char c)
{
    return c == '\n' || c == '\r' || c == '\t' || c == ' ';
}

bool tm_html_visible(tm_buf *page, tm_view text)
{
    tm_buf shown = {0};
    size_t blanks = 0, n;
    while (blanks < text.size && is_blank(text.data[blanks])) blanks++;
    bool nothing = blanks == text.size && blanks > 0;
    for (size_t i = 0; i < text.size; i += n) {
        char c = text.data[i];
        for (n = 1; c == '\n' && i + n < text.size && text.data[i + n] == '\n';) n++;
        if (c == '\n' && (n > 2 || nothing)) {
            for (size_t k = 0; k < n; k++) tm_buf_str(&shown, "\u21b5");
            if (!nothing) tm_buf_char(&shown, '\n');
        } else if (nothing && c != '\r')
            tm_buf_str(&shown, c == '\t' ? "\u2192" : "\u00b7");
        else
            tm_buf_add(&shown, text.data + i, n);
    }
    tm_html_text(page, tm_buf_view(&shown));
    page->failed |= shown.failed;
    tm_buf_clear(&shown);
    return nothing;
}

void tm_html(tm_buf *page, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at;) {
        size_t plain = strcspn(at, "%");
        tm_buf_add(page, at, plain);
        at += plain;
        if (!*at) break;
        const char *end = conversion_end(at + 1);
        if (end[-1] == '%') tm_buf_char(page, '%');
        else if (end[-1] == 's') {
            const char *text = va_arg(args, const char *);
            tm_html_text(page, tm_view_str(text ? text : ""));
        } else add_number(page, at, (size_t)(end - at), &args);
        at = end;
    }
    va_end(args);
}

const char *tm_html_value(double v, char text[TM_HTML_NUMBER])
{
    double size = fabs(v);
    if (!isfinite(v)) snprintf(text, TM_HTML_NUMBER, "%s", isnan(v) ? "not a number" : v > 0 ? "∞" : "−∞");
    else if (v == floor(v) && size < 1e6) snprintf(text, TM_HTML_NUMBER, "%.0f", v);
    else if (size >= 1e6 || (size > 0 && size < 1e-3)) snprintf(text, TM_HTML_NUMBER, "%.3g", v);
    else snprintf(text, TM_HTML_NUMBER, "%.*f", size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 3 : 4, v);
    return text;
}
