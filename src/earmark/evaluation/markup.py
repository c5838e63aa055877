"""HTML and SVG put together from parts, every text and attribute escaped on its way in."""

import html
from typing import TypeAlias

from earmark.inference.formats.escape import one_line

Value: TypeAlias = str | float | bool | None

_VOID = {"br", "col", "img", "meta", "wbr"}  # in HTML; what SVG leaves empty may have a closing tag


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: Value) -> Markup:
    """Return one element.

    Parameters
    ----------
    name : str
        Of the tag.
    *children : str
        Text, which is escaped, or `Markup`, which is not.
    **attributes : str, number, bool or None
        ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; numbers are written short, True is an
        attribute without a value, and what is None or False is left out.
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{join(*children)}</{name}>")


def join(*parts: str) -> Markup:
    """Return parts one after the other; text is escaped, `Markup` is not."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def escape(text: str) -> Markup:
    r"""Return text as it stands in markup; control characters and what is no UTF-8, as escapes such as ``\x00``."""
    return Markup(html.escape(one_line(text)))


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escape(value if isinstance(value, str) else f"{value:.6g}")}"'
