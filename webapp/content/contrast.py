"""Text that is hard to tell from its background (WCAG 2.2, 1.4.3), where both colours are written in style attributes."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webapp.content.findings import Finding

LEAST = 4.5
_COLOUR = re.compile(r"(?:^|;)\s*color\s*:\s*([^;!]+)", re.IGNORECASE)
_BACKGROUND = re.compile(r"(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", re.IGNORECASE)
_NAMES = {"white": (255, 255, 255), "black": (0, 0, 0), "gray": (128, 128, 128), "grey": (128, 128, 128)}

Colour = tuple[int, int, int]


def findings(tree: LexborHTMLParser) -> Iterator[Finding]:
    """Yield one finding that counts the texts whose contrast is too low and shows the first."""
    weak = [found for node in tree.css("[style*=color i]") if (found := _weak(node))]
    if weak:
        text, colour, background, ratio = weak[0]
        params = {"count": len(weak), "text": text[:60], "colour": colour, "background": background, "ratio": ratio}
        yield Finding("contrast", "warning", "html", params)


def _weak(node: LexborNode) -> tuple[str, str, str, str] | None:
    text = node.text(strip=True)
    written = _written(node, _COLOUR)
    if not text or not written:
        return None
    behind, colour = _behind(node), _read(written)
    background = _read(behind)
    if colour is None or background is None:
        return None
    ratio = contrast(colour, background)
    return (text, written, behind, f"{ratio:.1f}") if ratio < LEAST else None


def _behind(node: LexborNode) -> str:
    """The background that the nearest element around a text sets; a picture or a gradient tells nothing."""
    at: LexborNode | None = node
    while at is not None:
        if found := _written(at, _BACKGROUND) or str(at.attributes.get("bgcolor") or ""):
            return found
        at = at.parent
    return ""


def _written(node: LexborNode, what: re.Pattern[str]) -> str:
    found = what.search(str(node.attributes.get("style") or ""))
    return found[1].strip() if found else ""


def _read(written: str) -> Colour | None:
    if found := _HEX.fullmatch(written):
        digits = found[1] if len(found[1]) == 6 else "".join(digit * 2 for digit in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := _RGB.fullmatch(written):
        return int(found[1]), int(found[2]), int(found[3])
    return _NAMES.get(written.lower())


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
