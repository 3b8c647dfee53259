import pytest

from webapp.content.checks import Draft, check
from webapp.content.contrast import contrast


def found(html, **draft):
    checked = check(Draft(subject="S", html=f"<html lang='en'><body>{html}</body></html>", text="T", **draft))
    return {finding.code: finding for finding in checked.findings}


def test_black_on_white_is_twenty_one_to_one():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize(
    ("html", "weak"),
    [
        ("<p style='color:#999;background:#fff'>Text</p>", True),
        ("<p style='color:#333;background:#fff'>Text</p>", False),
        ("<table bgcolor='#ffffff'><tr><td style='COLOR: rgb(200, 200, 200)'>Text</td></tr></table>", True),
        ("<div style='background-color:#222'><p style='color:white'>Text</p></div>", False),
        ("<div style='background-color:#222'><p style='color:white; background: white'>Text</p></div>", True),
        ("<div style='background:url(x.png)'><p style='color:#eee'>Text</p></div>", False),
        ("<p style='color:#eee'>The background is not known</p>", False),
        ("<p style='color:#eee;background:#fff'> </p>", False),
        ("<p style='background-color:#fff'>Text</p>", False),
    ],
)
def test_text_is_told_from_its_background_where_both_are_written(html, weak):
    assert ("contrast" in found(html)) == weak


def test_the_finding_counts_and_shows_the_first():
    finding = found("<p style='color:#aaa;background:#fff'>One</p><p style='color:#bbb;background:#fff'>Two</p>")[
        "contrast"
    ]
    assert finding.params == {"count": 2, "text": "One", "colour": "#aaa", "background": "#fff", "ratio": "2.3"}


@pytest.mark.parametrize(
    ("base", "told"),
    [("https://mail.example.com", False), ("http://mail.example.com", True), ("http://127.0.0.1:5000", False)],
)
def test_one_click_needs_https_but_where_it_is_only_tried_out(base, told):
    assert ("one_click" in found("<p>T</p>", base_url=base)) == told
