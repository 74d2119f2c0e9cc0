"""What training has to beat: the initial model as it is, with several ways to decode from it, and chance.

A baseline is not trained, so ``learn`` plays no episodes: it calls the callbacks' start and end, where evaluations
are made, and ends with ``num_timesteps`` 0, whatever the budget.
"""

from typing import Any, Self, Unpack

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import MaybeCallback

from textgym.errors import ConfigError
from textgym_agents.algorithms import origins
from textgym_agents.algorithms.options import SB3Options, check_arguments
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.greedy import GreedyPolicy
from textgym_agents.policies.uniform import UniformPolicy


class Baseline(BaseAlgorithm):
    """The initial model. The policy decides how it decodes: sampling, greedily with ``GreedyPolicy``, ...

    Args:
        policy: ``LanguageModelPolicy``, ``GreedyPolicy`` or ``UniformPolicy``.
        env: a VecEnv, or an id.
        sb3: ``policy_kwargs``, ``verbose``, ``seed``, ``device``, ...: as for every SB3 algorithm.

    >>> from textgym_agents.policies.base import LanguageModelPolicy
    >>> Baseline(LanguageModelPolicy, "textgym/Copy-v1").learn(10_000).num_timesteps
    0
    """

    groups_compared = None  # a reward that compares completions of a prompt is a matter of evaluations
    policy: LanguageModelPolicy

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        **sb3: Unpack[SB3Options],
    ) -> None:
        check_arguments(type(self), sb3)
        options: dict[str, Any] = {**sb3}
        setup = options.pop("_init_setup_model", True)
        super().__init__(
            policy,
            make_vec_env(env, 1) if isinstance(env, str) else env,
            learning_rate=0.0,
            support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
            **options,
        )
        if setup:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        policy: Any = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self.policy = policy.to(self.device)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "baseline",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Nothing but the callbacks' start and end."""
        _, callback = self._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        callback.on_training_start(locals(), globals())
        callback.on_training_end()
        return self


class SamplingOptions(SB3Options, total=False):
    """What ``ZeroShot`` takes."""

    temperature: float | None
    top_k: int | None
    top_p: float | None


class ZeroShot(Baseline):
    """Samples of the initial model, which a temperature, top-k and top-p may make more like its most probable ones.

    Args:
        temperature, top_k, top_p: of the policy, see ``Sampling``. None: as ``policy_kwargs`` has them.
        policy, env: as for ``Baseline``.
        sb3: as for ``Baseline``.

    >>> from textgym_agents.policies.base import LanguageModelPolicy
    >>> ZeroShot(LanguageModelPolicy, "textgym/Copy-v1", temperature=0.5).policy.sampling
    Sampling(temperature=0.5, top_k=0, top_p=1.0)
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        **sb3: Unpack[SB3Options],
    ) -> None:
        given = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        chosen = {name: value for name, value in given.items() if value is not None}
        sb3["policy_kwargs"] = {**(sb3.get("policy_kwargs") or {}), **chosen}
        super().__init__(policy, env, **sb3)


class BestOfN(ZeroShot):
    """The best of n samples for each prompt, as the environment's own reward sees them.

    Nakano et al., "WebGPT" (2021), section 3.2, https://arxiv.org/abs/2112.09332, where a learned reward model chooses.
    Here the reward that is reported chooses, on the evaluation's own prompts: the result is an upper bound
    for selection among samples, not comparable with one sample. ``evaluate`` selects; ``predict`` gives samples.

    Args:
        n: samples of each prompt; 1 is sampling.
        policy, env: as for ``Baseline``.
        sampling: as for ``ZeroShot``.

    Raises:
        ConfigError: ``n`` is no integer of at least 1.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        n: int = 4,
        **sampling: Unpack[SamplingOptions],
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"n is {n!r}, expected an integer of at least 1: how many samples the best is taken of.")
        self.n = n
        super().__init__(policy, env, **sampling)

    def _setup_model(self) -> None:
        super()._setup_model()
        self.policy.best_of = self.n  # type: ignore[assignment]  # what evaluate() looks at


ZERO_SHOT = Algorithm(
    ZeroShot,
    "Radford et al., Language Models are Unsupervised Multitask Learners, 2019, "
    "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    family="baseline",
    kl_coef=None,
    buffer=None,
    tests=("algorithms/test_no_training.py",),
    origins=dict.fromkeys(("temperature", "top_k", "top_p"), origins.CHOSEN),
)
GREEDY = Algorithm(
    Baseline,
    "the most probable token each time; Holtzman et al., The Curious Case of Neural Text Degeneration, 2020, "
    "https://arxiv.org/abs/1904.09751, on what that does to completions",
    family="baseline",
    kl_coef=None,
    policy=GreedyPolicy,
    buffer=None,
    tests=("algorithms/test_no_training.py",),
    learning=Learning(1, 0.05, (0.106, 0.085, 0.084)),
)
RANDOM = Algorithm(
    Baseline,
    "every legal token has the same probability; Sutton and Barto, Reinforcement Learning: An Introduction, 2018, "
    "http://incompleteideas.net/book/the-book-2nd.html, section 2.3",
    family="baseline",
    kl_coef=None,
    policy=UniformPolicy,
    buffer=None,
    tests=("algorithms/test_no_training.py",),
)
BEST_OF_N = Algorithm(
    BestOfN,
    "Nakano et al., WebGPT: Browser-assisted question-answering with human feedback, 2021, "
    "https://arxiv.org/abs/2112.09332, section 3.2",
    family="baseline",
    kl_coef=None,
    buffer=None,
    tests=("algorithms/test_no_training.py",),
    learning=Learning(1, 0.08, (0.122, 0.110, 0.105)),
    origins={**ZERO_SHOT.origins, "n": origins.CHOSEN},
)
