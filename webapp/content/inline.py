"""Styles written into the elements, once per delivery: several mail programs read no style sheet."""

import css_inline
from selectolax.lexbor import LexborHTMLParser

_INLINER = css_inline.CSSInliner(
    keep_style_tags=False, keep_at_rules=True, keep_link_tags=False, load_remote_stylesheets=False
)
_NEVER = "script, link, base, iframe, object, embed, form, meta[http-equiv=refresh]"


def inline_styles(html: str) -> str:
    """Give a whole HTML document with its styles in the elements; at-rules (phones, dark mode) stay in the head.

    What no mail program runs, and what would reach out to other files, is taken out.
    """
    tree = LexborHTMLParser(html)
    for node in tree.css(_NEVER):
        node.decompose()
    cleaned = tree.html or ""
    try:
        return _INLINER.inline(cleaned)
    except css_inline.InlineError:
        return cleaned  # a style sheet that cannot be read stays where it is
