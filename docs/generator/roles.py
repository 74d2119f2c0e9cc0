"""Docstrings as Markdown: doctests and reStructuredText tables become blocks, roles become code."""

import re

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([^`]+)`")
DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).+)*", re.MULTILINE)
TABLE = re.compile(r"^=+(?: +=+)+$(?:\n.+)*", re.MULTILINE)


def as_markdown(docstring: str) -> str:
    """The text of a docstring without what isn't Markdown.

    >>> as_markdown("See :func:`~textgym.register` and ``make``.")
    'See `textgym.register` and `make`.'
    """
    text = ROLE.sub(r"`\1`", docstring.replace("``", "`"))
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)  # before an indented block
    text = TABLE.sub(lambda match: f"```text\n{match[0]}\n```", text)
    return DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
