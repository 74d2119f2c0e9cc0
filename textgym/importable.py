"""Objects by the name that imports them, ``"module:name"``: with those in its place, a spec can be written as JSON."""

import importlib
from dataclasses import replace
from typing import Any

from gymnasium.envs.registration import EnvSpec

from textgym.border import sentence
from textgym.errors import ConfigError


def name_of(thing: object) -> str | None:
    """``"module:name"`` if that imports ``thing``, else None: for lambdas, locals, and what a script defines.

    >>> name_of(ConfigError), name_of(lambda: 0)
    ('textgym.errors:ConfigError', None)
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    try:
        imported = _look_up(module, name)
    except (ImportError, AttributeError):
        return None
    return f"{module}:{name}" if imported is thing else None


def names_object(text: str) -> bool:
    """Whether ``text`` is ``"module:name"``, and no formula of a reward with a colon in quotes.

    >>> names_object("my_module:my_reward"), names_object("classifier('http://host/model')"), names_object("bleu")
    (True, False, False)
    """
    return ":" in text and not {"'", '"'} & set(text)


def named(name: str) -> Any:
    """What ``"module:name"`` imports.

    Raises:
        ConfigError: there is no such module, or it defines no such name.

    >>> named("textgym.errors:ConfigError").__name__
    'ConfigError'
    """
    module, _, path = name.partition(":")
    try:
        return _look_up(module, path)
    except ImportError as error:
        raise ConfigError(f"{name!r} can't be imported: {error}.") from error
    except AttributeError:
        raise ConfigError(f"The module {module!r} defines no {path!r}.") from None
    except Exception as error:  # whatever the module does when it is imported
        raise ConfigError(f"{name!r} can't be imported: {sentence(error)}") from error


def _look_up(module: str, path: str) -> Any:
    thing = importlib.import_module(module)
    for part in path.split("."):
        thing = getattr(thing, part)
    return thing


class SpecByName:
    """An environment whose spec has reward and partner by name, where they have one.

    ``gymnasium.make`` takes them either way.
    """

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What Gymnasium made the environment from."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        names = {} if spec is None else {key: name_of(spec.kwargs.get(key)) for key in ("reward", "partner")}
        known = {key: name for key, name in names.items() if name is not None}
        self._spec = spec if spec is None or not known else replace(spec, kwargs={**spec.kwargs, **known})
