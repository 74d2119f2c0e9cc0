"""Rubrics in TOML files, so that criteria are versioned beside a run's configuration, and edited without Python.

::

    scale = [1, 5]

    [criteria.facts]
    text = "Does the sentence say all facts of the table?"
    weight = 2
    levels.1 = "none of them"
    levels.5 = "all of them, and nothing else"

    [criteria.fluency]          # without a text: the preset of this name

    [criteria.brevity]
    preset = "conciseness"
    weight = 0.5
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError, did_you_mean
from textgym.rewards.judge.presets import preset_criterion
from textgym.rewards.judge.rubric import HIGHEST, LOWEST, Criterion, Rubric

_KEYS = ("scale", "criteria")
_CRITERION_KEYS = ("text", "preset", "weight", "levels")


def load_rubric(path: str | Path) -> Rubric:
    """The rubric in a TOML file, see :func:`parse_rubric`.

    Raises:
        ConfigError: the file can't be read, or is no rubric. The message names the file.
    """
    try:
        return parse_rubric(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The rubric {path} can't be read: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"The rubric {path}: {error}") from error


def parse_rubric(text: str) -> Rubric:
    """A rubric written in TOML.

    ``scale`` is the lowest and the highest score, 1 and 5 if it is left out. Each table ``criteria.NAME`` has ``text``,
    or ``preset``, one of :data:`~textgym.rewards.judge.presets.PRESETS`; without both, it is the preset NAME. It may
    have ``weight`` (1 if it is left out) and ``levels``, what single scores mean, which replace the preset's.

    Raises:
        ConfigError: no TOML, an unknown key, a value of another kind, or what Rubric refuses.

    >>> rubric = parse_rubric('scale = [0, 4]\\n[criteria.facts]\\ntext = "All facts?"\\nweight = 2\\nlevels.4 = "all"')
    >>> rubric.criteria[0].levels, rubric.value(3.0)
    ({4: 'all'}, 0.75)
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"It is no TOML: {error}.") from error
    _check_keys(given, _KEYS, "A rubric")
    scale = given.get("scale", [LOWEST, HIGHEST])
    if not isinstance(scale, list) or len(scale) != 2 or not all(type(end) is int for end in scale):
        raise ConfigError(f"scale is {scale!r}, expected two whole numbers, such as [1, 5].")
    tables = given.get("criteria")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError('It has no criteria, expected tables such as [criteria.facts] with text = "...".')
    lowest, highest = scale
    criteria = tuple(_criterion(name, table, lowest, highest) for name, table in tables.items())
    return Rubric(criteria, lowest, highest)


def _criterion(name: str, table: Mapping[str, Any], lowest: int, highest: int) -> Criterion:
    where = f"criteria.{name}"
    _check_keys(table, _CRITERION_KEYS, where)
    weight, levels = table.get("weight", 1.0), table.get("levels", {})
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ConfigError(f"{where}.weight is {weight!r}, expected a number above 0.")
    if not isinstance(levels, dict) or not all(isinstance(words, str) for words in levels.values()):
        raise ConfigError(f'{where}.levels is {levels!r}, expected words by score, such as levels.1 = "unreadable".')
    bad = [level for level in levels if not level.isdecimal()]
    if bad:
        raise ConfigError(f"{where}.levels has {bad[0]!r}, expected a score from {lowest} to {highest}.")
    meanings = {int(level): words for level, words in levels.items()}
    if "text" in table and "preset" in table:
        raise ConfigError(f"{where} has both text and preset, expected one of them.")
    if "text" in table:
        return Criterion(table["text"], name, float(weight), meanings)
    preset = preset_criterion(
        str(table.get("preset", name)), weight=float(weight), lowest=lowest, highest=highest, called=name
    )
    return Criterion(preset.text, name, preset.weight, meanings or preset.levels)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{where} has no {key!r}. {did_you_mean(key, known)}")
