"""What a benchmark says, as sections of text, tables and pictures: for ``results.md`` and for the leaderboard's page.

``everything`` has them in order. Tables of each task come first: nothing is averaged over tasks before they are shown.
"""

from textgym_agents.benchmark.sections.everything import samples, sections
from textgym_agents.benchmark.sections.section import Picture, Section

__all__ = ["Picture", "Section", "samples", "sections"]
