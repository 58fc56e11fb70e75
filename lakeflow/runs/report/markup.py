"""HTML from values: every text is escaped, because nothing here takes markup as text.

Elements are the standard library's, and so is the escaping. A run's names, messages and tracebacks
come from whoever wrote the function and the data; a page is opened by whoever asks what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Node", "document", "make"]

Node = Element | str | None

_KEPT = "\t\n"
# Controls that HTML forbids are shown by their pictures; what UTF-8 can't hold, by U+FFFD.
# Marks that turn the direction of text around would let a message rearrange what stands beside it.
_TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT},
    0x7F: "␡",
    **dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF, *_TURNING], "�"),
}


def make(tag: str, *children: Node | Iterable[Node], **attributes: object) -> Element:
    """An element.

    Args:
        tag: Its name.
        children: Elements and texts in order; None is left out, a list stands for what is in it.
        attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False are left out.
    """
    element = Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            element.set(name.rstrip("_").replace("_", "-"), "" if value is True else _clean(str(value)))
    for child in children:
        for each in [child] if child is None or isinstance(child, str | Element) else child:
            _append(element, each)
    return element


def _append(element: Element, child: Node) -> None:
    if child is None:
        return
    if isinstance(child, Element):
        element.append(child)
    elif len(element):
        element[-1].tail = (element[-1].tail or "") + _clean(child)
    else:
        element.text = (element.text or "") + _clean(child)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").translate(_SHOWN)


def document(root: Element) -> str:
    """The page as text."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
