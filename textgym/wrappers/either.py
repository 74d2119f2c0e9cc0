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
    result is a VecEnv again, which holds the wrapped vector environment.
    """

    env_base: ClassVar[type]
    vector_base: ClassVar[type]

    def __new__(cls, env: Any, *args: Any, **kwargs: Any) -> Self:
        if not isinstance(env, gymnasium.Env | VectorEnv):
            # A TextVecEnv of textgym_agents. An SB3 wrapper around one shows its attributes as if they were its own.
            if isinstance(getattr(env, "__dict__", {}).get("env"), VectorEnv):
                around: Any = type(env)
                return around(cls(env.env, *args, **kwargs))  # type: ignore[no-any-return]
            raise TypeError(
                f"{cls.__name__} wraps an Env, a VectorEnv or a TextVecEnv, got {type(env).__name__}. Wrap what is "
                f"inside it first: textgym_agents.make_vec_env(id, wrappers=[{cls.__name__}])."
            )
        wrapper = _blank(cls, isinstance(env, VectorEnv))
        # What gymnasium.utils.RecordConstructorArgs would record, so that env.spec can make the wrapper again.
        given = dict(inspect.signature(cls.__init__).bind(None, env, *args, **kwargs).arguments)
        extra = given.pop("kwargs", {})
        wrapper._saved_kwargs = {name: given[name] for name in list(given)[2:]} | extra
        return wrapper  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return _blank, (self._declared_class, isinstance(self, VectorEnv)), dict(self.__dict__)  # type: ignore[attr-defined]


@cache
def _concrete(cls: Any, is_vector: bool) -> type:
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    base = cls.vector_base if is_vector else cls.env_base
    return type(cls.__name__, (cls, base), {**names, "_declared_class": cls})


def _blank(cls: type[EitherWrapper], is_vector: bool) -> Any:
    made: Any = cls  # mypy holds that a type is not hashable
    return object.__new__(_concrete(made, is_vector))
