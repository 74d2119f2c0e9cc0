"""Any environment whose actions and observations are texts, played token by token.

TextArena's games, tau2-bench's gym class or an environment of your own: each turn of the policy is an action, each
observation a reply. The environment's state is no part of ours: it follows from the seed and the turns, by playing them
again.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium

from textgym.core import Prompt
from textgym.dialogue import Dialogue, Reply
from textgym.errors import PartnerError

SEED = "env_seed"  # in a prompt's metadata


class GymPartner:
    """Plays turns as actions of another environment.

    An environment must do the same again under the same seed. Those that are in the middle of an episode are kept, so
    that a turn costs one step; what was dropped, or is another process's, is played again from its seed.

    Args:
        make: makes the environment, such as ``functools.partial(gymnasium.make, "mine/Maze-v0")``, or its id.
        keep: how many running environments are kept.
        strip: leave spaces around a turn out of the action.

    >>> class Echo(gymnasium.Env):
    ...     def reset(self, seed=None, options=None):
    ...         return "Say hello.", {}
    ...     def step(self, action):
    ...         return f"You said {action}.", 1.0 * (action == "hello"), action == "hello", False, {}
    >>> import textgym
    >>> partner = GymPartner(Echo)
    >>> env = textgym.TextGenerationEnv(partner.prompts(5), partner=partner, max_prompt_tokens=16, max_new_tokens=64,
    ...     max_turns=9)
    >>> env = textgym.wrappers.CompletionAction(env)
    >>> observation, info = env.reset(seed=0)
    >>> env.step(" hi")[4]["turns"][-1].text, env.step(" hello")[1:3]
    ('You said hi.', (1.0, True))
    """

    def __init__(
        self, make: "str | Callable[[], gymnasium.Env[Any, Any]]", keep: int = 256, strip: bool = True
    ) -> None:
        self.make, self.keep, self.strip = make, keep, strip
        self._running: OrderedDict[tuple[Any, ...], gymnasium.Env[Any, Any]] = OrderedDict()

    def _made(self) -> gymnasium.Env[Any, Any]:
        return gymnasium.make(self.make) if isinstance(self.make, str) else self.make()

    def prompts(self, count: int, first_seed: int = 0, template: str = "{observation}\n") -> list[Prompt]:
        """A task of ``count`` episodes: the prompts are the first observations, under ``first_seed`` and on.

        Raises:
            PartnerError: an observation is no string.
        """
        env, prompts = self._made(), []
        for seed in range(first_seed, first_seed + count):
            text = _text(env.reset(seed=seed)[0])
            prompts.append(Prompt(template.format(observation=text), metadata={SEED: seed}))
        env.close()
        return prompts

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._reply(dialogue) for dialogue in dialogues]

    def _reply(self, dialogue: Dialogue) -> Reply:
        seed = int(dialogue.prompt.metadata.get(SEED, dialogue.seed % 2**31))
        said = tuple(text.strip() if self.strip else text for text in dialogue.said)
        env = self._running.pop((seed, *said[:-1]), None)
        if env is None:
            env = self._made()
            env.reset(seed=seed)
            for number, action in enumerate(said[:-1], start=1):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    raise PartnerError(
                        f"{env} ended after {number} of {len(said)} turns when it was played again under the seed "
                        f"{seed}, and didn't before: it does not follow its seed."
                    )
        observation, reward, terminated, truncated, _ = env.step(said[-1])
        done = bool(terminated or truncated)
        if done:
            env.close()
        else:
            self._running[(seed, *said)] = env
            if len(self._running) > self.keep:
                self._running.popitem(last=False)[1].close()
        return Reply(_text(observation), float(reward), done)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": OrderedDict()}  # played again where they are missed

    def __deepcopy__(self, memo: dict[int, Any]) -> "GymPartner":
        return GymPartner(self.make, self.keep, self.strip)

    def __repr__(self) -> str:
        return f"GymPartner({self.make!r})"


def _text(observation: object) -> str:
    if not isinstance(observation, str):
        raise PartnerError(
            f"GymPartner got an observation of type {type(observation).__name__}, expected a string. Wrap the "
            "environment so that it says its observations."
        )
    return observation
