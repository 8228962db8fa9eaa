// SPDX-License-Identifier: Apache-2.0
// Charts as inline SVG: curves with their names at their ends, and bars.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lua/report/parts.h"

#define WIDTH 520.0
#define LEFT 52.0
#define RIGHT 108.0
#define TOP 12.0
#define HEIGHT 230.0
#define BOTTOM 34.0
#define MOST_CURVES 8
#define POINTS 120  // of a drawn curve, at most twice as many

typedef struct scale {
    double min, max, from, to;  // values and pixels
    bool tens;                  // values are logarithms to the base of ten
} scale;

static double at(const scale *s, double v)
{
    return s->from + (s->max > s->min ? (v - s->min) / (s->max - s->min) : 0.5) * (s->to - s->from);
}

double tm_chart_step(double range, int n)
{
    if (!(range > 0) || !isfinite(range)) return 1;
    double rough = range / n, power = pow(10, floor(log10(rough))), part = rough / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 2.5 ? 2.5 : part <= 5 ? 5 : 10);
}

static const char *tick_text(double v, double step, char text[TM_HTML_NUMBER])
{
    int digits = 0;
    for (double s = step; digits < 7 && fabs(s - round(s)) > 1e-6 * s; s *= 10) digits++;
    if (fabs(v) < step / 1000) v = 0;
    if (fabs(v) >= 1e6 || digits > 6) snprintf(text, TM_HTML_NUMBER, "%.3g", v);
    else snprintf(text, TM_HTML_NUMBER, "%.*f", digits, v);
    return text;
}

// How many steps lie on an axis; none where they are too fine for numbers of that size.
static int ticks(const scale *s, double step)
{
    double n = floor((s->max + step / 1e6) / step) - ceil(s->min / step) + 1;
    return n >= 0 && n <= 32 ? (int)n : 0;
}

static void y_axis(tm_buf *page, const scale *y, double right)
{
    char text[TM_HTML_NUMBER];
    double step = tm_chart_step(y->max - y->min, 5);
    int n = ticks(y, step);
    for (int i = 0; i < n; i++) {
        double v = (ceil(y->min / step) + i) * step;
        tm_html(
            page,
            "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/><text class=\"tick end\" x=\"%.0f\" y=\"%.1f\">%s</text>",
            LEFT, at(y, v), right, LEFT - 6, at(y, v) + 4, tick_text(v, step, text));
    }
}

static void tens_axis(tm_buf *page, const scale *x)
{
    char text[TM_HTML_NUMBER];
    bool few = x->max - x->min < 2;
    int every = x->max - x->min > 8 ? 4 : 1;
    for (int k = (int)floor(x->min); k <= (int)ceil(x->max); k += every)
        for (int part = 1; part <= (few ? 5 : 1); part += part == 1 ? 1 : 3) {
            double v = k + log10(part);
            if (v < x->min - 1e-9 || v > x->max + 1e-9) continue;
            snprintf(text, sizeof text, "%g", part * pow(10, k));
            tm_html(page, "<text class=\"tick mid\" x=\"%.1f\" y=\"%.0f\">%s</text>", at(x, v),
                    HEIGHT - BOTTOM + 16, text);
        }
}

static void x_axis(tm_buf *page, const scale *x, const char *unit)
{
    char text[TM_HTML_NUMBER];
    double step = tm_chart_step(x->max - x->min, 5);
    int n = ticks(x, step);
    for (int i = 0; i < n; i++) {
        double v = (ceil(x->min / step) + i) * step;
        tm_html(page, "<text class=\"tick mid\" x=\"%.1f\" y=\"%.0f\">%s</text>", at(x, v),
                HEIGHT - BOTTOM + 16, tick_text(v, step, text));
    }
    tm_html(page, "<text class=\"tick mid\" x=\"%.0f\" y=\"%.0f\">%s</text>", (x->from + x->to) / 2,
            HEIGHT - 6, unit);
}

// ---- curves ----

static void find_range(const tm_curve *c, scale *x, scale *y)
{
    for (size_t i = 0; i < c->n; i++) {
        if (!isfinite(c->ys[i])) continue;
        double step = (double)c->xs[i];
        if (!(step >= x->min)) x->min = step;
        if (!(step <= x->max)) x->max = step;
        if (!(c->ys[i] >= y->min)) y->min = c->ys[i];
        if (!(c->ys[i] <= y->max)) y->max = c->ys[i];
    }
}

static void add_point(tm_buf *page, const tm_curve *c, size_t i, const scale *x, const scale *y, bool *pen)
{
    if (!isfinite(c->ys[i])) {
        *pen = false;
        return;
    }
    tm_html(page, "%s%.1f %.1f", *pen ? "L" : "M", at(x, (double)c->xs[i]), at(y, c->ys[i]));
    *pen = true;
}

// Long curves: of each part the least and the greatest value, in their order.
static void add_path(tm_buf *page, const tm_curve *c, const scale *x, const scale *y)
{
    bool pen = false;
    size_t parts = c->n > 2 * POINTS ? POINTS : c->n;
    for (size_t k = 0; k < parts; k++) {
        size_t from = k * c->n / parts, to = (k + 1) * c->n / parts, low = from, high = from;
        for (size_t i = from; i < to; i++) {
            if (c->ys[i] < c->ys[low] || !isfinite(c->ys[low])) low = i;
            if (c->ys[i] > c->ys[high]) high = i;
        }
        add_point(page, c, low < high ? low : high, x, y, &pen);
        if (low != high) add_point(page, c, low < high ? high : low, x, y, &pen);
    }
}

static void add_curve(tm_buf *page, const tm_curve *c, const scale *x, const scale *y)
{
    tm_html(page, "<g class=\"curve s%d%s\"><path d=\"", c->style % 6, c->earlier ? " earlier" : "");
    add_path(page, c, x, y);
    tm_buf_str(page, "\"/>");
    for (size_t i = 0; c->n <= 24 && i < c->n; i++)
        if (isfinite(c->ys[i]))
            tm_html(page, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>", at(x, (double)c->xs[i]),
                    at(y, c->ys[i]), c->earlier ? "1.8" : "2.6");
    tm_buf_str(page, "</g>");
}

// Where the names stand: at the ends of the curves, but not on one another.
static void place_names(const tm_curve *curves, size_t n, const scale *y, double *places, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t last = curves[i].n;
        while (last > 1 && !isfinite(curves[i].ys[last - 1])) last--;
        places[i] = at(y, curves[i].ys[last - 1]);
        size_t k = i;
        for (; k > 0 && places[order[k - 1]] > places[i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (size_t k = 1; k < n; k++)
        if (places[order[k]] < places[order[k - 1]] + 16)
            places[order[k]] = places[order[k - 1]] + 16;
    double below = n ? places[order[n - 1]] - (HEIGHT - BOTTOM) : 0;
    for (size_t k = n; below > 0 && k-- > 0;) {
        double most = k + 1 < n ? places[order[k + 1]] - 16 : HEIGHT - BOTTOM;
        if (places[order[k]] > most) places[order[k]] = most;
    }
}

static void add_names(tm_buf *page, const tm_curve *curves, size_t n, const scale *y, double right)
{
    double places[MOST_CURVES];
    size_t order[MOST_CURVES];
    place_names(curves, n, y, places, order);
    for (size_t i = 0; i < n; i++)
        tm_html(
            page,
            "<path class=\"curve s%d%s\" d=\"M%.0f %.1fh12\"/><text class=\"name\" x=\"%.0f\" y=\"%.1f\">%s</text>",
            curves[i].style % 6, curves[i].earlier ? " earlier" : "", right + 5, places[i], right + 20,
            places[i] + 4, curves[i].name);
}

static void begin(tm_buf *page, const char *id, const char *title, const tm_curve *curves, size_t n)
{
    char first[TM_HTML_NUMBER], last[TM_HTML_NUMBER];
    tm_html(page,
            "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">",
            WIDTH, HEIGHT, id, id);
    tm_html(page, "<title id=\"%s-t\">%s</title><desc id=\"%s-d\">", id, title, id);
    for (size_t i = 0; i < n; i++)
        tm_html(page, "%s: from %s at step %lld to %s at step %lld. ", curves[i].name,
                tm_html_value(curves[i].ys[0], first), (long long)curves[i].xs[0],
                tm_html_value(curves[i].ys[curves[i].n - 1], last),
                (long long)curves[i].xs[curves[i].n - 1]);
    tm_buf_str(page, "</desc>");
}

void tm_chart_curves(tm_buf *page, const char *id, const char *title, const tm_curve *curves, size_t n)
{
    scale x = {NAN, NAN, LEFT, WIDTH - RIGHT, false}, y = {NAN, NAN, HEIGHT - BOTTOM, TOP, false};
    if (n > MOST_CURVES) n = MOST_CURVES;
    for (size_t i = 0; i < n; i++) find_range(&curves[i], &x, &y);
    if (!isfinite(x.min) || !isfinite(y.min)) return;
    if (y.max - y.min <= 1e-9 * fabs(y.max)) y = (scale){y.min - 1, y.max + 1, y.from, y.to, false};
    begin(page, id, title, curves, n);
    y_axis(page, &y, WIDTH - RIGHT);
    x_axis(page, &x, "step");
    for (size_t i = n; i-- > 0;) add_curve(page, &curves[i], &x, &y);
    add_names(page, curves, n, &y, WIDTH - RIGHT);
    tm_buf_str(page, "</svg>");
}

// ---- bars ----

static void add_bars(tm_buf *page, const scale *x, const scale *y, int n_bins, const tm_bars *bars, size_t n)
{
    double width = (x->to - x->from) / n_bins;
    for (int bin = 0; bin < n_bins; bin++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            double count = bars[k].counts[bin];
            if (count <= 0) continue;
            tm_html(page, "<rect class=\"bar b%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                    k, x->from + bin * width + 0.5, at(y, sum + count), width - 1,
                    at(y, sum) - at(y, sum + count));
            sum += count;
        }
    }
}

static void bars_names(tm_buf *page, const tm_bars *bars, size_t n)
{
    for (size_t k = 0; k < n; k++)
        tm_html(
            page,
            "<rect class=\"bar b%zu\" x=\"%.0f\" y=\"%zu\" width=\"12\" height=\"12\"/>"
            "<text class=\"name\" x=\"%.0f\" y=\"%zu\">%s</text>",
            k, WIDTH - RIGHT + 6, 14 + 20 * k, WIDTH - RIGHT + 23, 24 + 20 * k, bars[k].name);
}

static void bars_begin(tm_buf *page, const char *id, const char *title, double min, double max, int n_bins,
                       const tm_bars *bars, size_t n)
{
    char from[TM_HTML_NUMBER], to[TM_HTML_NUMBER];
    tm_html(page,
            "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">",
            WIDTH, HEIGHT, id, id);
    tm_html(page, "<title id=\"%s-t\">%s</title><desc id=\"%s-d\">%d bars from %s to %s.", id, title, id,
            n_bins, tm_html_value(min, from), tm_html_value(max, to));
    for (size_t k = 0; k < n; k++) {
        tm_html(page, " %s:", bars[k].name);
        for (int bin = 0; bin < n_bins; bin++) tm_html(page, " %.0f", bars[k].counts[bin]);
        tm_buf_str(page, ".");
    }
    tm_buf_str(page, "</desc>");
}

static void add_mark(tm_buf *page, const scale *x, double mark, const char *name)
{
    double place = at(x, mark);
    if (!isfinite(mark) || mark < x->min || mark > x->max) return;
    const char *anchor = place > x->to - 40 ? "end" : place < x->from + 40 ? "start" : "mid";
    tm_html(
        page,
        "<path class=\"mark\" d=\"M%.1f %.0fV%.0f\"/><text class=\"tick %s\" x=\"%.1f\" y=\"%.0f\">%s %g</text>",
        place, TOP + 4, HEIGHT - BOTTOM, anchor, place, TOP, name, x->tens ? pow(10, mark) : mark);
}

void tm_chart_bars(tm_buf *page, const char *id, const char *title, double min, double max, bool tens,
                   int n_bins, const tm_bars *bars, size_t n, const double marks[2])
{
    scale x = {min, max, LEFT, WIDTH - RIGHT, tens}, y = {0, 1, HEIGHT - BOTTOM, TOP + 14, false};
    for (int bin = 0; bin < n_bins; bin++) {
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += bars[k].counts[bin];
        if (sum > y.max) y.max = sum;
    }
    bars_begin(page, id, title, tens ? pow(10, min) : min, tens ? pow(10, max) : max, n_bins, bars, n);
    y_axis(page, &y, WIDTH - RIGHT);
    if (tens) tens_axis(page, &x);
    else x_axis(page, &x, "");
    add_bars(page, &x, &y, n_bins, bars, n);
    for (int i = 0; marks && i < 2; i++) add_mark(page, &x, marks[i], i ? "at most" : "at least");
    bars_names(page, bars, n);
    tm_buf_str(page, "</svg>");
}
