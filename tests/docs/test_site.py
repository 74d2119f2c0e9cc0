"""The site builds without a warning and needs no network."""

import re
from pathlib import Path

import pytest

from docs.generator import pages
from docs.generator.blocks import ROOT
from docs.generator.hooks import network_assets
from tests.processes import run_python

# As `mkdocs build --strict`, without what costs most and finds nothing: the index of the search, and colored code.
BUILD = """
import sys, yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

with open("mkdocs.yml", encoding="utf-8") as file:
    plugins = [plugin for plugin in yaml.safe_load(file)["plugins"] if plugin != "search"]
plugins[0]["mkdocstrings"]["handlers"]["python"]["options"] |= {"separate_signature": False, "show_source": False}
config = load_config("mkdocs.yml", strict=True, site_dir=sys.argv[1], plugins=plugins)
config.plugins.on_startup(command="build", dirty=False)
build(config)
"""


def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings", reason="needs the extra docs")
    built = run_python(["-c", BUILD, tmp_path], ROOT)
    assert built.returncode == 0, built.stderr
    for path in pages.generated():
        page = (tmp_path / path).with_suffix(".html").read_text(encoding="utf-8")
        assert "<h1" in page
        assert not re.search(r":(?:class|func|meth):<code>", page)
    assert network_assets(tmp_path) == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<img alt=x src=http://a.example/x.png>",
        '<link href="https://fonts.example/css" rel="stylesheet">',
        "<style>@import 'https://fonts.example/css';</style>",
    ],
)
def test_what_a_page_would_fetch_is_noticed(html: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f'<a href="https://arxiv.org">paper</a><img src="b.png">{html}', encoding="utf-8")
    assert len(network_assets(tmp_path)) == 1


def test_nothing_on_the_pages_makes_the_theme_fetch_something() -> None:
    """The theme loads Mermaid, and a repository's stars, from elsewhere where a page asks for them."""
    assert "repo_url" not in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in [
        *(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")),
        *pages.generated().values(),
    ]:
        assert "```mermaid" not in page
