"""Tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table


def table(title: str, header: Sequence[str], left: Sequence[str] = ("algorithm",), wraps: Sequence[str] = ()) -> Table:
    """An empty table with its title above on the left; numbers are set flush right.

    Args:
        title: of the table.
        header: names of the columns.
        left: columns that are set flush left.
        wraps: columns whose cells may take several lines.

    >>> [column.justify for column in table("Copy", ("algorithm", "reward")).columns]
    ['left', 'right']
    """
    made = Table(title=title, title_justify="left", title_style="bold")
    for name in header:
        made.add_column(name, justify="left" if name in left else "right", no_wrap=name not in wraps)
    return made
