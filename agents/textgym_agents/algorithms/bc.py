"""Behavior cloning: supervised learning on references or on a log, alone or as the start of another algorithm."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch.nn.utils import clip_grad_norm_

from textgym.errors import ConfigError
from textgym.mdp import text_env
from textgym.tasks import ConversationTask
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicAlgorithm, Means
from textgym_agents.algorithms.options import OnPolicyOptions, check_arguments
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.demonstrations import check_task, draw_reference
from textgym_agents.buffers.episodes import Episode
from textgym_agents.buffers.offline import LoggedEpisode, as_episodes, check_source, played_log, read_log
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.limits import check_values
from textgym_agents.policies.optimizer import new_optimizer

LEARNING_RATE = 1e-3


class BC(EpisodicAlgorithm):
    """Cross-entropy on references: the model learns to write them, without a reward.

    Pomerleau, "Efficient Training of Artificial Neural Networks for Autonomous Navigation" (1991),
    https://doi.org/10.1162/neco.1991.3.1.88, with completions in place of steering. No episode is played: a rollout is
    a draw of prompts, as other algorithms draw them, with one reference of each, at random if there are several. A
    reference is encoded as the environment would see it written: with the end token, cut where a stop string or the
    budget of new tokens would cut it. Timesteps are its tokens.

    With ``episodes`` it learns from a log instead, whatever its rewards. Of a dialogue it learns the policy's turns;
    what the partner says is read and not learned. A checkpoint doesn't hold the log. For a task of several turns whose
    best policy is known, a :class:`textgym.tasks.ConversationTask`, the log is by default one of that policy's
    dialogues, 8,000 of them, or with ``skill`` of a player's who says only so often what that policy would.

    Top-k, top-p and NLPO's mask are off while it learns: they would give tokens of references the probability 0.
    References that the environment's own masks don't let a policy write are left out.

    Args:
        policy: a ``LanguageModelPolicy``.
        env: as for ``EpisodicAlgorithm``, of a task with references, or of several turns, or with ``episodes``.
        episodes: a log, see :func:`textgym_agents.buffers.offline.read_log`.
        skill: of a conversation's player, in place of a log: the chance that an utterance is the best policy's, and not
            a random one. None: 1.
        learning_rate, max_grad_norm: as for ``EpisodicAlgorithm``.
        references_per_rollout: references, or episodes of the log, that make one rollout.
        batch_size: about how many tokens of them make one gradient step. None: all.
        separator: between prompt and reference, where the prompt doesn't end in a space and isn't wrapped in a chat
            template.
        options: ``seed``, ``policy_kwargs``, ``rollout_buffer_kwargs``, ...: as for every SB3 algorithm.

    Raises:
        ConfigError: the task has no references, or none that the environment lets a policy write; or ``skill`` is of
            players that the task has not.
        DatasetError: a log that can't be read, or an episode that the environment doesn't allow.
    """

    groups_compared = None

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        episodes: str | Path | Sequence[LoggedEpisode | Mapping[str, Any]] | None = None,
        skill: float | None = None,
        learning_rate: float | Schedule = LEARNING_RATE,
        references_per_rollout: int = 32,
        batch_size: int | None = None,
        max_grad_norm: float = 1.0,
        separator: str = " ",
        **options: Unpack[OnPolicyOptions],
    ) -> None:
        check_arguments(type(self), options)
        check_values({"references_per_rollout": references_per_rollout, "skill": skill})
        self.references_per_rollout, self.separator = references_per_rollout, separator
        self.episodes, self.skill = None if episodes is None else read_log(episodes), skill
        buffer = {"loss_reduction": "token"}
        options["rollout_buffer_kwargs"] = {**buffer, **(options.get("rollout_buffer_kwargs") or {})}
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            prompts_per_rollout=references_per_rollout,
            group_size=1,
            batch_size=batch_size,
            max_grad_norm=max_grad_norm,
            **options,
        )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "episodes", "_log"]

    def _check_env(self, env: VecEnv) -> None:
        mdp = text_env(env).mdp  # no row plays, so there may be any number of them
        check_source(mdp.task, self.episodes, self.skill)
        episodes = self.episodes
        if episodes is None and isinstance(mdp.task, ConversationTask):
            episodes = played_log(mdp.task, 1.0 if self.skill is None else self.skill)
        self._log = None if episodes is None else as_episodes(episodes, mdp)
        if self._log is None:
            check_task(mdp)

    def _collect(self, env: TextVecEnv, callback: BaseCallback) -> list[Episode] | None:
        inner = text_env(env)
        if self._log is None:
            episodes = [draw_reference(inner, self.separator) for _ in range(self.references_per_rollout)]
        else:
            drawn = inner.np_random.integers(len(self._log), size=self.references_per_rollout)
            episodes = [self._log[i] for i in drawn]
        return episodes if self._count(sum(len(episode.actions) for episode in episodes), callback) else None

    def train(self) -> None:
        """Down the gradient of  - mean over tokens of log pi(a_t | s_t)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        means = Means()
        with whole_vocabulary(self.policy):
            for batch in self.rollout_buffer.get(self.batch_size):
                _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)  # (tokens,)
                loss = -(batch.weights * log_prob).sum()  # over tokens of 1/tokens (loss_reduction)

                self.policy.optimizer.zero_grad()
                loss.backward()
                grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                means.add(policy_loss=loss, entropy_loss=-entropy.mean(), loss=loss, grad_norm=grad_norm)
        self._log_update(means)


def warm_start(
    algorithm: BaseAlgorithm,
    timesteps: int,
    *,
    callback: MaybeCallback = None,
    move_reference: bool = True,
    **options: Any,
) -> BC:
    """Train an algorithm's policy on the references of its own environment, in place, before its ``learn``.

    What comes after is reinforcement learning from a supervised start, as in Ziegler et al. (2019),
    https://arxiv.org/abs/1909.08593. The algorithm keeps its own optimizer, whose state is empty afterwards, and its
    count of timesteps. The value head is not trained.

    Args:
        algorithm: with a language model as its policy, such as :func:`textgym_agents.make` builds.
        timesteps: tokens of references.
        callback: as for ``learn``; its ``model`` is the ``BC`` that this function returns.
        move_reference: the KL penalty of what follows is measured to the warm-started weights. False: to the initial
            ones, as it always is with LoRA, whose reference is the model with its adapters off.
        options: arguments of ``BC``: ``learning_rate``, ``references_per_rollout``, ...

    Returns:
        The algorithm that did it, which shares the policy: ``num_timesteps`` is what it used.

    Raises:
        ConfigError: an algorithm like DQN or ARS, or a task without references.

    >>> from textgym_agents import make
    >>> ppo = make("ppo", "textgym/Copy-v1", n_envs=4, n_steps=8, batch_size=16, seed=0)
    >>> warm_start(ppo, 100, references_per_rollout=8).num_timesteps >= 100
    True
    """
    policy: Any = algorithm.policy
    if not (isinstance(algorithm, OnPolicyAlgorithm) and isinstance(policy, LanguageModelPolicy)):
        raise ConfigError(
            f"{type(algorithm).__name__} can't be warm-started in place: its policy is more than a model that samples. "
            'Train one with the algorithm "bc", write it with policy.save_pretrained(folder), and give model=folder.'
        )
    own = policy.optimizer
    teacher = BC(
        lambda *args, **kwargs: policy,  # type: ignore[arg-type]  # SB3 calls it for a new policy
        algorithm.get_env(),
        verbose=algorithm.verbose,
        device=algorithm.device,
        **options,
    )
    policy.optimizer = new_optimizer(policy, teacher.lr_schedule(1))
    try:
        teacher.learn(timesteps, callback)
    finally:
        policy.optimizer = own
        own.state = defaultdict(dict)
        policy.set_training_mode(False)
        algorithm._last_obs = None  # the rows were reset, by the teacher
    if move_reference and policy.reference is not None and policy.reference.copy is not None:
        policy.reference.copy.load_state_dict(policy.lm.state_dict())
    refresh = getattr(policy, "refresh_mask", None)
    if refresh is not None:
        refresh()  # NLPO's mask begins where its policy does
    return teacher


@contextmanager
def whole_vocabulary(policy: LanguageModelPolicy) -> Iterator[None]:
    """Within the block, neither top-k, top-p nor NLPO's mask leaves a token out."""
    sampling, mask = policy.sampling, getattr(policy, "mask_policy", None)
    policy.sampling = replace(sampling, top_k=0, top_p=1.0)
    if mask is not None:
        object.__setattr__(policy, "mask_policy", None)  # plainly: to torch it would be a submodule
    try:
        yield
    finally:
        policy.sampling = sampling
        if mask is not None:
            object.__setattr__(policy, "mask_policy", mask)


ROW = Algorithm(
    BC,
    "Pomerleau, Efficient Training of Artificial Neural Networks for Autonomous Navigation, 1991, "
    "https://doi.org/10.1162/neco.1991.3.1.88",
    family="supervised",
    kl_coef=None,
    small={"references_per_rollout": 4},
    tests=("algorithms/test_bc.py",),
    learning=Learning(24_000, 0.1, (0.173, 0.150, 0.141)),
    search={**search.COMMON, "references_per_rollout": search.Choice((16, 32, 64, 128))},
    origins={
        **origins.COMMON,
        "episodes": origins.CHOSEN,
        "skill": origins.CHOSEN,
        "references_per_rollout": origins.CHOSEN,
        "batch_size": origins.CHOSEN,
        "separator": origins.CHOSEN,
    },
)
