"""Tasks, rewards and algorithms of your own, for the command line: modules that register them.

A plugin is a module that calls ``textgym.register``, ``textgym.register_reward`` or
``textgym_agents.register_algorithm`` when it is imported. Name it with ``textgym --import my_module``, or let your
distribution name it::

    [project.entry-points."textgym.plugins"]
    haiku = "my_package.haiku"             # a module is imported
    verses = "my_package.verses:register"  # a function is also called, without arguments
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from textgym.errors import PluginError

GROUP = "textgym.plugins"  # of entry points

_loaded: set[str] = set()  # in this process


def load_plugins(modules: Sequence[str] = (), *, installed: bool = True) -> list[str]:
    """Import plugins, each once per process. Returns the names of those that were new.

    Args:
        modules: names of modules, on Python's path or in the working directory, or paths of ``.py`` files.
        installed: load the entry points of the group ``textgym.plugins``, too.

    Raises:
        PluginError: one can't be imported. The message names it and what went wrong.

    >>> load_plugins(["textgym.rewards"], installed=False)
    ['textgym.rewards']
    >>> load_plugins(["textgym.rewards"], installed=False)
    []
    """
    new = []
    for entry in entry_points(group=GROUP) if installed else ():
        label = f"{entry.name} = {entry.value!r}"
        if label not in _loaded:
            distribution = "unknown" if entry.dist is None else entry.dist.name
            where = f"the entry point {label} of the distribution {distribution!r}"
            try:
                plugin = entry.load()
                if callable(plugin):
                    plugin()
            except (Exception, SystemExit) as error:
                raise PluginError(f"Can't load {where}: {_cause(error)} Repair or uninstall it.") from error
            _loaded.add(label)
            new.append(entry.name)
    for module in modules:
        if module not in _loaded:
            _import(module)
            _loaded.add(module)
            new.append(module)
    return new


def _import(module: str) -> None:
    folder, name = Path.cwd(), module
    if module.endswith(".py"):
        path = Path(module).expanduser().absolute()
        if not path.is_file():
            raise PluginError(f"Can't import {module!r}: there is no such file (looked at {path}).")
        folder, name = path.parent, path.stem
    # A console script doesn't have the working directory on its path. Last, so that it hides no installed module.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()  # a file may be newer than what was seen of its folder
    try:
        imported = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # one that the module itself imports
            raise PluginError(f"Can't import {module!r}: {_cause(error)}") from error
        raise PluginError(
            f"Can't import {module!r}: there is no module {error.name!r} on Python's path or in {folder}. Check the "
            "name, or give the path of its .py file."
        ) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"Can't import {module!r}: {_cause(error)}") from error
    file = getattr(imported, "__file__", None)
    if module.endswith(".py") and (file is None or Path(file).resolve() != path.resolve()):
        raise PluginError(f"Can't import {module!r}: {file} is a module of the same name. Rename the file.")


def _cause(error: BaseException) -> str:
    """The first line of an error, as a sentence."""
    if isinstance(error, SystemExit):
        return "it ends the process when imported. Put what it runs under: if __name__ == '__main__'."
    message = str(error).partition("\n")[0].strip()
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."
