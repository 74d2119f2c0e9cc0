"""One wrapper class for ``Env`` and ``VectorEnv``."""

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

import gymnasium
from gymnasium.vector import VectorEnv, VectorWrapper

if TYPE_CHECKING:
    _Base = gymnasium.Wrapper[Any, Any, Any, Any]
    VectorWrapperBase = VectorWrapper[Any, Any, Any, Any, Any]
else:
    _Base = object
    VectorWrapperBase = VectorWrapper  # Gymnasium 1.1's takes no type parameters


class EitherWrapper(_Base):
    """Base of wrappers that serve both kinds of environment: what is wrapped decides which Gymnasium base is used.

    Gymnasium's ``Wrapper`` and ``VectorWrapper`` have nothing in common that one class could inherit from. So calling a
    subclass makes an object of a class that is derived from the subclass and from its ``env_base`` or ``vector_base``.
    It is an instance of the subclass, it is what Gymnasium expects, and it pickles by the subclass's name.

    Around an SB3 ``VecEnv`` that holds a vector environment, ``textgym_agents``' TextVecEnv, it goes to the inside: the
    result is a VecEnv again, which holds the wrapped vector environment. Around any other VecEnv it is a
    ``VecEnvWrapper``, if ``textgym_agents`` has given it a ``vec_env_base``.
    """

    env_base: ClassVar[type]
    vector_base: ClassVar[type]
    vec_env_base: ClassVar[type | None] = None  # textgym itself imports no Stable-Baselines3

    def __new__(cls, env: Any, *args: Any, **kwargs: Any) -> Self:
        kind = "env" if isinstance(env, gymnasium.Env) else "vector" if isinstance(env, VectorEnv) else "vec_env"
        if kind == "vec_env":
            # A TextVecEnv of textgym_agents. An SB3 wrapper around one shows its attributes as if they were its own.
            if isinstance(getattr(env, "__dict__", {}).get("env"), VectorEnv):
                around: Any = type(env)
                return around(cls(env.env, *args, **kwargs))  # type: ignore[no-any-return]
            foreign = any(base.__module__.startswith("stable_baselines3.") for base in type(env).__mro__)
            if not foreign or cls.vec_env_base is None:
                raise TypeError(
                    f"{cls.__name__} wraps an Env, a VectorEnv or a TextVecEnv, got {type(env).__name__}. Wrap what is "
                    f"inside it first: textgym_agents.make_vec_env(id, wrappers=[{cls.__name__}])."
                )
        wrapper = _blank(cls, kind)
        # What gymnasium.utils.RecordConstructorArgs would record, so that env.spec can make the wrapper again.
        given = dict(inspect.signature(cls.__init__).bind(None, env, *args, **kwargs).arguments)
        extra = given.pop("kwargs", {})
        wrapper._saved_kwargs = {name: given[name] for name in list(given)[2:]} | extra
        return wrapper  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return _blank, (self._declared_class, self._kind), dict(self.__dict__)  # type: ignore[attr-defined]


@cache
def _concrete(cls: Any, kind: str) -> type:
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    base = getattr(cls, f"{kind}_base")
    made: type = type(base)(cls.__name__, (cls, base), {**names, "_declared_class": cls, "_kind": kind})
    return made


def _blank(cls: type[EitherWrapper], kind: str) -> Any:
    made: Any = cls  # mypy holds that a type is not hashable
    return object.__new__(_concrete(made, kind))
