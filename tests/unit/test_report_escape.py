"""Nothing that a table or a suite holds becomes markup, a control sequence or a second line."""

import unicodedata
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipechaos.report.escape import clean, clip, code, html_text, listed, markdown_text, visible

HOSTILE = [
    "a|b",
    "`tick`",
    "``two",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "[link](http://evil.example)",
    "![image](x)",
    "**bold**",
    "_it_",
    "__init__",
    "~~gone~~",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "+ item",
    "---",
    "&lt;b&gt;",
    "back\\slash",
    "ends with \\",
    "\\|",
    "$x$",
    "</details>",
    " ",
    "",
]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def plain(text):
    """What a reader sees of one paragraph, and the kinds of tokens that it is made of."""
    tokens = MARKDOWN.parse(text)
    inline = [t for t in tokens if t.type == "inline"]
    children = [c for t in inline for c in t.children]
    seen = "".join(c.content for c in children if c.type in ("text", "code_inline", "text_special"))
    return seen, {t.type for t in tokens} | {c.type for c in children}


def test_controls_are_written_out_on_one_line():
    assert visible("a\x1b[31mred") == "a\\x1b[31mred"
    assert visible("one\r\ntwo\tthree") == "one\\r\\ntwo\\tthree"
    assert visible("\u202egnp.exe") == "\\u202egnp.exe"
    assert visible("\x9b2J") == "\\x9b2J"
    assert visible("zero\u200bwidth") == "zero\\u200bwidth"
    assert visible("\u2028") == "\\u2028"
    assert visible("\U000e0041") == "\\U000e0041"
    assert visible("\ud800") == "\\ud800"


def test_ordinary_text_stays_as_it_is():
    for text in ("arr_delay", "Zürich", "数据", "café 12.5 %", "a|b"):
        assert visible(text) == text


@given(st.text())
def test_visible_text_is_printable_and_stays_so(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert not any(unicodedata.category(c).startswith("C") or c in "\u2028\u2029" for c in shown)


def test_clean_reaches_every_text_of_a_record():
    @dataclass(frozen=True, kw_only=True)
    class Inner:
        names: tuple[str, ...]

    @dataclass(frozen=True, kw_only=True)
    class Outer:
        inner: Inner
        by_name: dict[str, list[str]]
        count: int

    before = Outer(inner=Inner(names=("a\n", "b")), by_name={"k\x07": ["v\x1b"]}, count=3)
    assert clean(before) == Outer(inner=Inner(names=("a\\n", "b")), by_name={"k\\x07": ["v\\x1b"]}, count=3)


def test_hostile_text_is_shown_and_not_obeyed():
    for text in HOSTILE:
        seen, kinds = plain(f"before {markdown_text(text)}")
        assert seen.rstrip() == f"before {text}".rstrip()
        assert kinds <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}, text


def test_hostile_text_opens_no_block():
    for text in HOSTILE:
        if text.strip():
            seen, kinds = plain(markdown_text(text))
            assert seen == text.strip()
            assert kinds <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}, text


def test_hostile_text_stays_in_its_cell_as_text_and_as_code():
    for text in HOSTILE:
        for cell in (markdown_text(text), code(text)):
            tokens = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {cell} | last |")
            assert sum(t.type == "td_open" for t in tokens) == 2, text
            cells = [t for t in tokens if t.type == "inline"][2:]
            assert cells[1].content == "last", text
            assert not any(c.type in ("link_open", "image", "strong_open", "em_open") for c in cells[0].children), text
            shown = "".join(c.content for c in cells[0].children if c.type in ("text", "code_inline", "text_special"))
            assert shown.strip() == text.strip()


@given(st.text(max_size=30))
def test_any_text_as_code_is_one_cell(text):
    tokens = MARKDOWN.parse(f"| a | b |\n|---|---|\n| {code(text)} | last |")
    cells = [t.content for t in tokens if t.type == "inline"][2:]
    assert len(cells) == 2
    assert cells[1] == "last"


def test_no_address_and_nobody_is_linked():
    assert "://" not in markdown_text("http://evil.example").replace("\\://", "")
    assert markdown_text("www.evil.example") == "www\\.evil.example"
    assert "@<!-- -->team" in markdown_text("ask @team")
    assert "#<!-- -->12" in markdown_text("see #12")


def test_text_in_html_is_no_element():
    assert html_text("</summary><b>x & y\n") == "&lt;/summary&gt;&lt;b&gt;x &amp; y\\n"


def test_long_texts_and_lists_say_what_is_left_out():
    assert clip("x" * 50, 10) == "x" * 9 + "…"
    assert clip("short", 10) == "short"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([], 3) == ""
