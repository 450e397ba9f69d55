"""Units of length as files spell them, in µm."""

from __future__ import annotations

EXPONENTS = {
    "yotta": 24, "zetta": 21, "exa": 18, "peta": 15, "tera": 12, "giga": 9, "mega": 6, "kilo": 3, "hecto": 2,
    "deca": 1, "": 0, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "pico": -12, "femto": -15,
    "atto": -18, "zepto": -21, "yocto": -24,
}  # fmt: skip
LETTERS = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2,
    "m": -3, "µ": -6, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
INCH = 25400.0
OTHERS = {
    "angstrom": 1e-4,
    "ångström": 1e-4,
    "micron": 1.0,
    "thou": INCH / 1000,
    "inch": INCH,
    "foot": INCH * 12,
    "feet": INCH * 12,
    "yard": INCH * 36,
    "mile": INCH * 63360,
    "parsec": 3.0856775814913673e22,
}
"""By name, in letters of either case and with or without an s."""
SYMBOLS = {
    **{f"{letter}m": float(f"1e{exponent + 6}") for letter, exponent in LETTERS.items()},
    "Å": 1e-4,
    "in": INCH,
    '"': INCH,
    "li": INCH / 12,
    "pt": INCH / 72,
    "ft": INCH * 12,
    "yd": INCH * 36,
    "mi": INCH * 63360,
    "ua": 1.495978707e17,
    "ly": 9.4607304725808e21,
    "pc": OTHERS["parsec"],
}
"""As OME-XML writes them. Letters count: Mm is a megametre, mm a millimetre."""
NAMES = OTHERS | {
    f"{prefix}{metre}": float(f"1e{exponent + 6}")
    for prefix, exponent in EXPONENTS.items()
    for metre in ("meter", "metre")
}
TYPED = {"um", "µm", "nm", "mm", "cm"}
"""Symbols that people type in capitals, where nothing else can be meant."""
SAME = {"\\u00b5": "µ", "\\u00B5": "µ", "Âµ": "µ", "\N{GREEK SMALL LETTER MU}": "µ", "\N{ANGSTROM SIGN}": "Å"}
"""Other letters for the same, as programs write them, or read them wrongly."""


def um_per(unit: str | None) -> float | None:
    """µm in one `unit`, or None for a unit that is missing or not a length.

    >>> um_per("nanometer"), um_per("nm"), um_per("inches"), um_per("pixel")
    (0.001, 0.001, 25400.0, None)
    """
    plain = (unit or "").strip()
    for found, meant in SAME.items():
        plain = plain.replace(found, meant)
    if plain in SYMBOLS:
        return SYMBOLS[plain]
    small = plain.lower()
    if small in TYPED:
        return SYMBOLS[small]
    return NAMES.get(small, NAMES.get(small.removesuffix("es"), NAMES.get(small.removesuffix("s"))))
