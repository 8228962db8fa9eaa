# SPDX-License-Identifier: Apache-2.0
"""A picture of a run, for people: starts a command in a terminal and writes what it shows, once a text is there, as SVG.

    python3 tests/commands/picture.py docs/img/run.svg --when 'curve .* snapshot' -- \\
        build/tidemill run graphs/quickstart.lua --set steps=400

The command is interrupted then."""
import argparse
import os
import re
import sys
from xml.sax.saxutils import escape

from screen import Terminal

CELL, LINE, FONT, LEFT, TOP = 8.4, 19, 14, 18, 54  # pixels
COLOURS = {31: "#ef6b73", 32: "#8ccf7e", 33: "#e5c76b", 36: "#67b0e8"}
BLOCKS = "\u2588\u2589\u258a\u258b\u258c\u258d\u258e\u258f"  # of eight eighths of a cell, of seven, ...


def paint(style):
    colour = next((COLOURS[n] for n in style if n in COLOURS), "#dadee6")
    return f'fill="{colour}"' + (' font-weight="bold"' if 1 in style else "") + (' opacity=".62"' if 2 in style else "")


def runs(row):
    """(first column, characters, style) of stretches in one style; blocks and blanks apart."""
    start = 0
    for i in range(1, len(row) + 1):
        kind = row[start][1], row[start][0] in BLOCKS, row[start][0] == " "
        if i == len(row) or (row[i][1], row[i][0] in BLOCKS, row[i][0] == " ") != kind:
            yield start, "".join(c for c, _ in row[start:i]), row[start][1]
            start = i


def draw_row(row, y):
    for column, text, style in runs(row):
        x, width = LEFT + column * CELL, len(text) * CELL
        if text[0] in BLOCKS:
            filled = sum(8 - BLOCKS.index(c) for c in text) / 8 * CELL
            yield f'<rect x="{x:.1f}" y="{y - FONT + 2:.1f}" width="{filled:.1f}" height="{LINE - 5}" {paint(style)}/>'
        elif text.strip():
            yield (f'<text x="{x:.1f}" y="{y:.1f}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" '
                   f'{paint(style)}>{escape(text)}</text>')


def svg(rows, columns, title):
    width, height = 2 * LEFT + columns * CELL, TOP + LINE * len(rows) + 8
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
           f'height="{height:.0f}" role="img" aria-labelledby="t">')
    yield f'<title id="t">{escape(title)}</title>'
    yield f'<rect width="{width:.0f}" height="{height:.0f}" rx="9" fill="#15181e"/>'
    for i, colour in enumerate(("#ef6b73", "#e5c76b", "#8ccf7e")):
        yield f'<circle cx="{22 + 20 * i}" cy="21" r="6" fill="{colour}"/>'
    yield (f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
           f'font-size="{FONT}">')
    yield (f'<text x="{width / 2:.0f}" y="26" text-anchor="middle" fill="#9aa3b2" font-size="13">'
           f'{escape(title)}</text>')
    for i, row in enumerate(rows):
        yield from draw_row(row, TOP + LINE * i)
    yield "</g>\n</svg>"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--when", required=True, help="the picture is taken when this is on the screen")
    parser.add_argument("--columns", type=int, default=110)
    parser.add_argument("--lines", type=int, default=26)
    parser.add_argument("--title", help="instead of the command")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    terminal = Terminal(args.command, os.getcwd(), size=(args.columns, args.lines))
    try:
        terminal.until(lambda text: re.search(args.when, text), args.when)
        rows = [list(row) for row in terminal.screen.rows]
        terminal.type(b"\x03")
        terminal.finish()
    finally:
        terminal.close()
    folded = [row[i:i + args.columns] for row in rows for i in range(0, max(len(row), 1), args.columns)]
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join(svg(folded[-args.lines:], args.columns, args.title or " ".join(args.command))) + "\n")


if __name__ == "__main__":
    sys.exit(main())
