"""The operator's colour, made fit to be read in light and dark (contrast, WCAG 2.2 §1.4.3 and §1.4.11)."""

from __future__ import annotations

from typing import Final

TEXT: Final = 4.5
SHAPE: Final = 3.0
"""Least contrast of text with its ground, and of what is no text, such as a button, with what lies beside it."""
LIGHT_CARD: Final = "#ffffff"
DARK_CARD: Final = "#1b1b21"
"""The ground that buttons lie on; `gateway.css` has the same."""
_INKS: Final = ("#ffffff", "#000000")
_STEPS: Final = 20


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, each `#rrggbb`: from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def fit(colour: str, ground: str, least: float) -> str:
    """Return the colour, mixed with white or black only so far that it can be told from `ground`."""
    towards = "#000000" if _luminance(ground) > 0.18 else "#ffffff"
    mixed = (_mix(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(each for each in mixed if contrast(each, ground) >= least)


def choose_ink(ground: str) -> str:
    """Return the colour of text on a ground: one of the two can always be read."""
    return max(_INKS, key=lambda ink: contrast(ink, ground))


def build_accent(accent: str) -> str:
    """Return the rules of a stylesheet that give the main button a colour."""
    light, dark = fit(accent, LIGHT_CARD, SHAPE), fit(accent, DARK_CARD, SHAPE)
    return (
        f":root {{ --main: {light}; --on-main: {choose_ink(light)}; }}\n"
        "@media (prefers-color-scheme: dark) {\n"
        f"  :root {{ --main: {dark}; --on-main: {choose_ink(dark)}; }}\n"
        "}\n"
    )


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mix(colour: str, other: str, share: float) -> str:
    pairs = ((int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)
