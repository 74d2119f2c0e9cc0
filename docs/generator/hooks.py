"""What mkdocs calls: adds the generated pages to the site and its menu, and refuses a site that needs the network."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "agents")]

from docs.generator import pages  # noqa: E402

# Anything that a browser fetches when it shows a page.
ASSET = re.compile(r"<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=[\"']?(https?://[^\"' >]+)", re.IGNORECASE)
STYLESHEET = re.compile(
    r"<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|icon|preload))[^>]*?\bhref=[\"']?(https?://[^\"' >]+)"
)
IN_STYLES = re.compile(r"(?:url\(|@import )[\"']?(https?://[^\"')]+)")


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages.generated().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_config(config: Any) -> Any:
    """Put the generated pages where the menu says "generated: <folder>"."""
    config.nav = [_filled(entry) for entry in config.nav]
    return config


def _filled(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, inner),) = entry.items()
    if isinstance(inner, str) and inner.startswith("generated: "):
        folder = inner.removeprefix("generated: ")
        return {title: [path for path in pages.generated() if path.startswith(f"{folder}/")]}
    return {title: [_filled(one) for one in inner] if isinstance(inner, list) else inner}


def on_post_build(config: Any) -> None:
    """Fail if a page would fetch something from elsewhere."""
    from mkdocs.exceptions import PluginError

    needed = network_assets(Path(config.site_dir))
    if needed:
        raise PluginError(f"The site would fetch from the network: {'; '.join(needed[:5])}")


def network_assets(folder: Path) -> list[str]:
    """What the built pages and stylesheets of a folder fetch from other places, as "file: address"."""
    assets = []
    for path in sorted(folder.rglob("*")):
        patterns = {".html": (ASSET, STYLESHEET, IN_STYLES), ".css": (IN_STYLES,)}.get(path.suffix, ())
        text = path.read_text(encoding="utf-8") if patterns else ""
        assets += [f"{path.relative_to(folder)}: {link}" for pattern in patterns for link in pattern.findall(text)]
    return assets
