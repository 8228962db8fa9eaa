# SPDX-License-Identifier: Apache-2.0
"""Awkward strings, and how they go through a probe: as frames, each its size (32 bits, little-endian) and its bytes."""
import struct

ATOMS = (
    "a b c S s t T LL ll ve VE re d the The and ing Ġ ' 's 'S 'll 'LL '\u017f \u017f ’s 1 23 456 7890 \u0663\u0664 ² Ⅷ ½ "
    "é e\u0301 a\u0323\u0307 \u0301 \u0327\u0301 ß ﬁ Å \u212b 中 文字 ひらがな か\u3099 한국 \u1112\u1161\u11ab עִבְ ไทย नमस्ते "
    "😀 👩\u200d👩\u200d👧 🏳️\u200d🌈 🇩🇪 \ufe0f \u200b \u200d \ufeff \u00ad \ufffd \U0010ffff \U000e0041 \U00011938 \u0898 \u10d40 "
    "! ? ... -- === /* */ {} [] \" \\ @ # $ % ^ & ~ ` | < > <| |> _ __").split(" ") + [
    " ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\t\t", "\v", "\f", "\x85", "\u00a0", "\u1680", "\u2003",
    "\u2028", "\u202f", "\u3000", "\u180e", "\x00", "\x01", "\x1b", "\x7f", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<tool>", "<to", "[PAD]", "word", "\u00c5ngstro\u0308m"]


def awkward(rng, n):
    """Strings of atoms, of any characters, of runs, and of pieces of real text."""
    for i in range(n):
        if i % 4 == 0:
            yield "".join(chr(c) for c in (rng.choice((rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x3000),
                                                       rng.randrange(0x110000))) for _ in range(rng.randrange(30)))
                          if not 0xD800 <= c < 0xE000)
        elif i % 50 == 1:
            yield rng.choice(ATOMS) * rng.randrange(1, 3000) + rng.choice(ATOMS)
        else:
            yield "".join(rng.choice(ATOMS) for _ in range(rng.randrange(25)))


def frames(items):
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def unframe(data):
    at, items = 0, []
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        items.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return items


def ids_of(data):
    return [list(struct.unpack(f"<{len(item) // 4}I", item)) for item in unframe(data)]


def pack(ids):
    return struct.pack(f"<{len(ids)}I", *ids)


def same(what, ours, theirs, shown):
    bad = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    for i in bad[:5]:
        print(f"  {what}: {ascii(shown[i])[:200]}\n    ours   {ours[i]!r:.200}\n    theirs {theirs[i]!r:.200}")
    if bad:
        raise SystemExit(f"{what}: {len(bad)} of {len(ours)} differ")
