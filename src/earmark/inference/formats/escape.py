"""Names that would break a line of text, made harmless."""

import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def one_line(text: str) -> str:
    r"""Return the text with control characters, line ends and broken UTF-8 as escapes such as ``\t``."""
    return _UNSAFE.sub(lambda char: char[0].encode("unicode_escape").decode("ascii"), text)


def quotable(text: str) -> str:
    r"""Return the text as the csv module can write it: what is no UTF-8 in a file name, and ``\r``, as an escape.

    Python quotes a carriage return only from 3.13 on, and no reader takes one that is not quoted.
    """
    return text.replace("\r", r"\r").encode("utf-8", "backslashreplace").decode("utf-8")
