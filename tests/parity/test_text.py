# SPDX-License-Identifier: Apache-2.0
"""Unicode repair against ftfy, quality filters against NeMo Curator, MinHash against plain Python.

usage: python tests/parity/test_text.py PROBE [FOLDER_OF_TEXT]

Each part runs where its peer is installed. Documents are made here from a fixed seed; those of a folder (*.txt) are
scored as well.
"""
import glob
import os
import random
import re
import struct
import subprocess
import sys

PROBE = sys.argv[1]
FOLDER = sys.argv[2] if len(sys.argv) > 2 else None


def frames(texts):
    return b"".join(struct.pack("<I", len(t)) + t for t in texts)


def probe(operation, texts):
    out = subprocess.run([PROBE, operation], input=frames(texts), stdout=subprocess.PIPE, check=True).stdout
    results, at = [], 0
    while at < len(out):
        (size,) = struct.unpack_from("<I", out, at)
        results.append(out[at + 4:at + 4 + size])
        at += 4 + size
    return results


def utf8(text):
    return text.encode("utf-8", "surrogatepass")


# ---- Unicode ----

WORDS = ("the quick brown fox café naïve Ångström über señor façade “quoted” ‘single’ it’s — dash … € £5 ½ °C © ® ™ "
         "русский текст привет Ελληνικά κείμενο עברית العربية 日本語 中文字符 한국어 हिन्दी ไทย żółć příliš žluťoučký kůň "
         "İstanbul ğüş ıI ﬁne ﬂag Ｆｕｌｌ ﾊﾝｶｸ 😀 👍🏽 🇩🇪 à la mode voilà às quel ÀÉÎ fÃ cil Â§ × ² ³ "
         "&amp; &lt; &eacute; &EACUTE; &SZLIG; &#233; &#x1f4a9; &#0; &#128; &#59; &nosuch; &notit; &hellip; &AMP; "
         "&amp;amp;amp;lt; &GTDOT; &ALPHA; &#xD83D; &CounterClockwiseContourIntegral; "
         "<b> \x1b[31mred\x1b[0m \x1b[1;2Z \x00 \x07 \x0b \x0c \x7f \x80 \x85 \x92 \x99 \x9d \xa0 \xad "
         "\u200b \u200d \ufeff \ufffd \ufffc \u2028 \u206a \ud83d\udca9 \ud83d \udca9 \r").split(" ")
SETS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253",
        "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]


def break_text(text, pick):
    """Reads the text wrongly, as the world does."""
    for _ in range(pick.choice([0, 1, 1, 1, 2, 3])):
        try:
            text = text.encode("utf-8", "surrogatepass").decode(pick.choice(SETS[:2] * 4 + SETS))
        except UnicodeDecodeError:
            pass
    damage = pick.random()
    if damage < 0.15:
        text = text.replace("\xa0", " ")
    elif damage < 0.25:
        text = re.sub("[\x80-\x9f]", "\ufffd", text)
    elif damage < 0.3:
        text = re.sub("[\x80-\x9f]", "?", text)
    return text


def unicode_texts(n):
    pick = random.Random(20261121)
    texts = []
    for _ in range(n):
        words = [pick.choice(WORDS) for _ in range(pick.randrange(1, 9))]
        parts = [break_text(" ".join(words), pick)]
        if pick.random() < 0.4:
            parts.append(" ".join(pick.choice(WORDS) for _ in range(3)))
        if pick.random() < 0.2:
            parts.append("\n" + break_text(pick.choice(WORDS), pick))
        if pick.random() < 0.1:
            parts.append("".join(chr(pick.choice([pick.randrange(0x20, 0x500), pick.randrange(0x2000, 0x2600)]))
                                 for _ in range(6)))
        pick.shuffle(parts)
        texts.append(" ".join(parts))
    return texts


def test_unicode():
    try:
        import ftfy
    except ImportError:
        return None
    config = ftfy.TextFixerConfig(fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False,
                                  fix_line_breaks=False, normalization=None, explain=False)
    texts = [t for t in unicode_texts(6000)]
    ours = probe("unicode", [utf8(t) for t in texts])
    wrong, changed = [], 0
    for text, mine in zip(texts, ours):
        theirs = ftfy.fix_text(text, config)
        changed += theirs != text
        if utf8(theirs) != mine:
            wrong.append((text, theirs, mine.decode("utf-8", "replace")))
    for text, theirs, mine in wrong[:20]:
        print("unicode: %r\n  ftfy %r\n  ours %r" % (text, theirs, mine))
    print("unicode: %d texts, %d of them repaired, %d different" % (len(texts), changed, len(wrong)))
    return not wrong


# ---- quality ----

def curator_filters():
    from nemo_curator.stages.text.filters.heuristic import string as s
    from nemo_curator.stages.text.filters.heuristic.repetition import repetition as r
    rows = {
        "non_alpha_numeric": s.NonAlphaNumericFilter(), "symbols_to_words": s.SymbolsToWordsFilter(),
        "numbers": s.NumbersFilter(), "urls": s.UrlsFilter(), "white_space": s.WhiteSpaceFilter(),
        "parentheses": s.ParenthesesFilter(), "boilerplate_string": s.BoilerPlateStringFilter(),
        "repeated_lines": r.RepeatedLinesFilter(), "repeated_paragraphs": r.RepeatedParagraphsFilter(),
        "repeated_lines_char": r.RepeatedLinesByCharFilter(),
        "repeated_paragraphs_char": r.RepeatedParagraphsByCharFilter(), "word_count": s.WordCountFilter(),
        "punctuation": s.PunctuationFilter(), "mean_word_length": s.MeanWordLengthFilter(),
        "long_word": s.LongWordFilter(), "ellipsis": s.EllipsisFilter(),
        "words_without_alphabets": s.WordsWithoutAlphabetsFilter(),
        "common_english_words": s.CommonEnglishWordsFilter(), "bullets": s.BulletsFilter(),
        "pornographic_urls": s.PornographicUrlsFilter(),
    }
    for n, most in ((2, 0.2), (3, 0.18), (4, 0.16)):
        rows["top_%dgrams" % n] = r.RepeatingTopNGramsFilter(n=n, max_repeating_ngram_ratio=most)
    for n, most in ((5, .15), (6, .14), (7, .13), (8, .12), (9, .11), (10, .10)):
        rows["duplicate_%dgrams" % n] = r.RepeatingDuplicateNGramsFilter(n=n, max_repeating_duplicate_ngram_ratio=most)
    return rows


PHRASES = (
    "the cat sat on the mat . | We use cookies to improve. | Lorem ipsum dolor | https://example.com/a%20b?c=d#e | "
    "http://porn.example/x, | see https:// and http://é | Read more | ... and so on… | [...] | # ## ### #tag | "
    "• bullet one | ◦ two | (a) [b] {c} ⟨d⟩ | 12345 67,890 ٣٤ | THE END OF AND | with that have to be | "
    "\tindented\t| privacy policy | terms of use | ÜBER größe café | 日本語の 文章。 | привет мир | "
    "supercalifragilistic" + "x" * 1100 + " | x | read more.. | -» | “quoted” | he said 'no' | "
    "\u00a0nbsp\u2003em\u3000wide\x1csep\x85nel | ⓐ ⓑ | necessary cookies are absolutely essential | "
    "a b c d e f g h i j k l m").split(" | ")


def quality_texts(n):
    pick = random.Random(7)
    texts = []
    for _ in range(n):
        pool = pick.sample(PHRASES, pick.randrange(1, 10))
        lines = []
        for _ in range(pick.randrange(1, 30)):
            lines.append(" ".join(pick.choice(pool) for _ in range(pick.randrange(0, 5))))
        text = pick.choice(["\n", "\n\n", "\n\n\n"]).join(lines)
        if pick.random() < 0.3:
            text = "  " + text + "\n"
        if text.strip():
            texts.append(text)
    if FOLDER:
        for path in sorted(glob.glob(os.path.join(FOLDER, "**", "*.txt"), recursive=True))[:400]:
            text = open(path, encoding="utf-8", errors="replace").read()
            if text.strip():
                texts.append(text)
    return texts


def tied_scores(text, n):
    """All scores of the most frequent n-grams: Curator takes any one of them, by the order of a hash set."""
    words = text.split()
    grams = list(zip(*[words[i:] for i in range(n)]))
    counts = {}
    for gram in grams:
        counts[gram] = counts.get(gram, 0) + 1
    most = max(counts.values())
    tied = [g for g in counts if counts[g] == most]
    return [(len(text) - len(text.replace(" ".join(g), ""))) / len(text) for g in tied[:2000]]


def same_score(name, text, theirs, mine):
    if abs(theirs - mine) < 1e-12:
        return True
    if not name.startswith("top_"):
        return False
    return any(abs(mine - score) < 1e-12 for score in tied_scores(text, int(name[4])))


def test_quality():
    try:
        rows = curator_filters()
    except ImportError:
        return None
    listing = subprocess.run([PROBE, "filters"], stdout=subprocess.PIPE, check=True, text=True).stdout.split("\n")
    names = [line.split()[0] for line in listing if line]
    texts = quality_texts(500)
    scores = probe("quality", [utf8(t) for t in texts])
    wrong = kept = 0
    for text, packed in zip(texts, scores):
        for name, line, mine in zip(names, listing, struct.unpack("<%dd" % len(names), packed)):
            theirs = rows[name].score_document(text)
            low, high = map(float, line.split()[1:])
            same = same_score(name, text, theirs, mine)
            verdict = rows[name].keep_document(mine) == (low <= mine <= high)
            kept += verdict and low <= mine <= high
            if same and verdict:
                continue
            wrong += 1
            if wrong < 20:
                print("quality: %s: Curator %r, ours %r on %r" % (name, theirs, mine, text[:200]))
    print("quality: %d documents x %d filters, %d kept, %d different" % (len(texts), len(names), kept, wrong))
    return not wrong and set(names) == set(rows)


# ---- near duplicates ----

def shingle_set(text):
    words = re.sub(r"[!-/:-@\[-`{-~]", "", text.lower()).split()
    return {tuple(words[i:i + 5]) for i in range(len(words) - 4)} or ({tuple(words)} if words else set())


def test_minhash():
    pick = random.Random(3)
    vocabulary = ["w%d" % i for i in range(3000)] + ["Don't", "end.", "UPPER", "x-y", "(z)"]
    pairs = []
    for _ in range(300):
        a = [pick.choice(vocabulary) for _ in range(pick.randrange(1, 400))]
        b = [pick.choice(vocabulary) if pick.random() < pick.choice([0, 0.01, 0.05]) else w for w in a]
        pairs += [" ".join(a), pick.choice([" ", "\n", "  "]).join(b)]
    exact = [struct.unpack("<d", f)[0] for f in probe("jaccard", [utf8(t) for t in pairs])]
    signs = [struct.unpack("<112I", f) for f in probe("sign", [utf8(t) for t in pairs])]
    wrong, error = 0, 0.0
    for i, mine in enumerate(exact):
        a, b = shingle_set(pairs[2 * i]), shingle_set(pairs[2 * i + 1])
        truth = len(a & b) / len(a | b)
        wrong += abs(truth - mine) > 1e-12
        estimate = sum(x == y for x, y in zip(signs[2 * i], signs[2 * i + 1])) / 112
        if 0 < truth < 1:
            error += (estimate - truth) ** 2 / (truth * (1 - truth) / 112)
        else:
            wrong += estimate != truth
    spread = (error / sum(0 < e < 1 for e in exact)) ** 0.5
    print("minhash: %d pairs, %d with another exact similarity; error of the estimates %.2f of the expected"
          % (len(exact), wrong, spread))
    return wrong == 0 and 0.7 < spread < 1.3


def main():
    parts = {"ftfy": test_unicode, "nemo-curator": test_quality, "nothing": test_minhash}
    results = {peer: part() for peer, part in parts.items()}
    for peer, result in results.items():
        if result is None:
            print("not compared: %s is not installed" % peer)
    return 1 if False in results.values() else 0


if __name__ == "__main__":
    sys.exit(main())
