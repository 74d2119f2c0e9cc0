"""Links lead somewhere: those between files, and those to headings."""

import posixpath
import re
from pathlib import Path

import pytest

from docs.generator import pages
from docs.generator.blocks import ROOT
from docs.generator.write import PAGES

DOCS = ROOT / "docs"
EVERY_PAGE = [*PAGES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]


def links_of(page: str) -> list[str]:
    """Where a page's links and pictures lead, those to other sites left out."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page, flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)]+)\)", prose) if not link.startswith(("http:", "https:"))]


def headings_of(page: str) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_the_pages(path: Path) -> None:
    generated = pages.generated()
    for link in links_of(path.read_text(encoding="utf-8")):
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        if path.is_relative_to(DOCS) and posixpath.normpath((target.relative_to(DOCS)).as_posix()) in generated:
            continue  # the site's builder checks their headings
        assert target.exists(), f"{path.name} links to {link}"
        assert not heading or heading in headings_of(target.read_text(encoding="utf-8")), f"{path.name} links to {link}"


def test_links_of_the_generated_pages() -> None:
    generated = pages.generated()
    for path, page in generated.items():
        for link in links_of(page):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link.partition("#")[0]))
            assert target in generated or (DOCS / target).is_file(), f"{path} links to {link}"


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        assert f" {path.relative_to(DOCS).as_posix()}\n" in menu
    folders = {path.partition("/")[0] for path in pages.generated()}
    assert folders == {*re.findall(r'"generated: (\w+)"', menu)}
