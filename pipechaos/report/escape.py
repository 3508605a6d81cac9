"""Text of other people's tables and suites, made safe to print.

Names, values and checks come from users' data: a column may be called ``| <script>`` or hold an escape sequence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from html import escape
from typing import Any, TypeVar, cast

__all__ = ["clean", "clip", "code", "html_text", "listed", "markdown_text", "visible"]

T = TypeVar("T")

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MARKDOWN = re.compile(r"[\\`*\[\]<|~$]")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_BLOCK_START = re.compile(r"^(\s*)(>|[#+=-](?=\s|[#+=-]|$)|\d+[.)](?=\s|$))")
_MENTION = re.compile(r"([@#])(?=\w)")
_PLAIN_CODE = re.compile(r"[^`|\\&]*")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


def visible(text: str) -> str:
    r"""Text with every control, format and bidirectional character written out, on one line.

    Parameters
    ----------
    text
        Anything.

    Examples
    --------
    >>> visible("a\x1b[31mb\n\u202ec")
    'a\\x1b[31mb\\n\\u202ec'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(c) if unicodedata.category(c) in _UNSEEN else c for c in text)


def _written(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    at = ord(char)
    return f"\\x{at:02x}" if at < 0x100 else f"\\u{at:04x}" if at < 0x10000 else f"\\U{at:08x}"


def clean(record: T) -> T:
    r"""A copy of a record in which every text is :func:`visible`; containers and records inside it too.

    Examples
    --------
    >>> clean(("a\n", {"b": ["\x07"]}))
    ('a\\n', {'b': ['\\x07']})
    """
    return cast(T, _clean(record))


def _clean(value: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return visible(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _clean(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_clean(v) for v in value)
    return value


def clip(text: str, most: int) -> str:
    """Text of at most so many characters, with a mark where it was cut.

    Examples
    --------
    >>> clip("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


def markdown_text(text: str) -> str:
    r"""Text that Markdown shows as it is: no markup, HTML, link, mention or table cell comes of it.

    Examples
    --------
    >>> markdown_text("<b>|[x](y) arr_delay")
    '\\<b>\\|\\[x\\](y) arr_delay'
    """
    text = visible(text).replace("&", "&amp;")
    text = _MARKDOWN.sub(lambda m: "\\" + m[0], text)
    text = _EDGE_UNDERSCORE.sub(r"\\_", text)
    text = _BLOCK_START.sub(_unblocked, text)
    text = text.replace("://", "\\://").replace("www.", "www\\.")
    return _MENTION.sub(r"\1<!-- -->", text)


def _unblocked(found: re.Match[str]) -> str:
    space, mark = found[1], found[2]
    return f"{space}{mark[:-1]}\\{mark[-1]}"


def html_text(text: str) -> str:
    """Text inside an HTML element, where Markdown's own escapes do not hold.

    Examples
    --------
    >>> html_text("<b> & c")
    '&lt;b&gt; &amp; c'
    """
    return _MENTION.sub(r"\1<!-- -->", escape(visible(text), quote=False))


def code(text: str) -> str:
    r"""Text as inline code, in a table too.

    Backticks, pipes and backslashes have no escape that holds everywhere inside backticks, so that text with one of
    them becomes an HTML element with every mark written as an entity.

    Examples
    --------
    >>> code("arr_delay"), code("a|b")
    ('`arr_delay`', '<code>a&#124;b</code>')
    """
    text = visible(text)
    if text.strip() and _PLAIN_CODE.fullmatch(text):
        return f"`{text}`"
    return f"<code>{_PUNCTUATION.sub(lambda m: f'&#{ord(m[0])};', text)}</code>"


def listed(names: Sequence[str], most: int) -> str:
    """Names with commas, the rest counted.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown, rest = list(names[:most]), len(names) - most
    if rest <= 0:
        return ", ".join(shown)
    return f"{', '.join(shown)} and {rest} more"
