"""Writes tables.rs: the classes and decompositions of characters that WordPiece asks for.

python3 core/src/model/wordpiece/make_tables.py > core/src/model/wordpiece/tables.rs
"""

import unicodedata

CHARACTERS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(is_member):
    """First and last of every run of members."""
    runs = []
    for character in CHARACTERS:
        c = ord(character)
        if is_member(character):
            if runs and runs[-1][1] == c - 1:
                runs[-1][1] = c
            else:
                runs.append([c, c])
    return runs


def base(character):
    """What is left of a character's canonical decomposition without marks, if it is one character."""
    full = unicodedata.normalize("NFD", character)
    left = [c for c in full if unicodedata.category(c) != "Mn"]
    return left[0] if full != character and len(left) == 1 else None


def is_listed(character):
    """In the basic plane, without Hangul (computed) and compatibility ideographs."""
    c = ord(character)
    return c < 0x10000 and not 0xAC00 <= c <= 0xD7A3 and not 0xF900 <= c <= 0xFAFF


def table(doc, name, kind, pairs):
    print(f"\n/// {doc}")
    print("#[rustfmt::skip]")
    print(f"pub(super) static {name}: [({kind}, {kind}); {len(pairs)}] = [")
    line = "   "
    for first, second in pairs:
        item = f" ({first:#x}, {second:#x}),"
        if len(line + item) > 100:
            print(line)
            line = "   "
        line += item
    print(line)
    print("];")


category = unicodedata.category
print(f"//! Characters of Unicode {unicodedata.unidata_version}. Written by `make_tables.py`.")
table("First and last of runs of punctuation (categories P) beyond ASCII.", "PUNCTUATION", "u32",
      ranges(lambda c: category(c)[0] == "P" and c > "\x7f"))
table("First and last of runs of marks without width (category Mn).", "MARKS", "u32",
      ranges(lambda c: category(c) == "Mn"))
table("First and last of runs of control, format and private characters (Cc, Cf, Co).", "CONTROL",
      "u32", ranges(lambda c: category(c) in ("Cc", "Cf", "Co")))
bases = [(ord(c), ord(base(c))) for c in CHARACTERS if is_listed(c) and base(c)]
table("Characters and what is left of them without their marks, in ascending order.", "BASES",
      "u16", bases)
