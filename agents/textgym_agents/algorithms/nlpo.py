"""NLPO: PPO whose actions are kept to what an earlier copy of the policy finds likely.

Ramamurthy et al., Is Reinforcement Learning (Not) for Natural Language Processing?, 2022,
https://arxiv.org/abs/2210.01241

Differences from the paper:

1. The log-probabilities, entropies and ratios of the update are those of the masked distribution, which is the one
   sampled from, and the masks are those that the rollout used, stored bit by bit. Taking them from the mask model again
   would let rounding move a token across the edge of the top-p set.
2. The mask model is refreshed after every ``refresh_every``-th update, between the update and the next rollout, and the
   rollout uses the refreshed one. The authors' code kept the first one in rollouts.
3. The KL penalty compares the masked policy, whose completions are scored, with the whole reference model. Even an
   untrained policy thus has a KL of about -log(top_p) a token.
4. Values and policy share one model; the paper's have one each.
5. A token that ties with the last one of the top-p set is in it.
"""

from typing import Any, Unpack

from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import Schedule

from textgym.errors import ConfigError
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.algorithms.options import PPOOptions, check_policy
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.rollout import rollout_steps
from textgym_agents.policies.nlpo import NLPOPolicy


class NLPO(PPO):
    """PPO with a top-p mask from a lagged copy of the policy.

    Args:
        policy: ``NLPOPolicy``.
        env: as for PPO.
        mask_top_p: probability that the mask keeps; 1: no mask, which is PPO.
        refresh_every: updates between two copies; None: never, a static mask.
        n_steps: of a rollout. None: the environment's ``max_new_tokens``.
        batch_size, n_epochs, learning_rate, gamma, gae_lambda, vf_coef, max_grad_norm: as for PPO, with the
            defaults that it has in the table of algorithms.
        options: further ones of PPO. ``rollout_buffer_class`` is a ``MaskedEpisodeRolloutBuffer``.

    Raises:
        ConfigError: another buffer or policy, or ``refresh_every`` below 1.
    """

    buffer_class = MaskedEpisodeRolloutBuffer
    policy: NLPOPolicy
    rollout_buffer: MaskedEpisodeRolloutBuffer

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        n_steps: int | None = None,
        batch_size: int = 1024,
        n_epochs: int = 2,
        learning_rate: float | Schedule = 1e-4,
        gamma: float = 1.0,
        gae_lambda: float = 1.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 1.0,
        mask_top_p: float = 0.9,
        refresh_every: int | None = 5,
        **options: Unpack[PPOOptions],
    ) -> None:
        if refresh_every is not None and refresh_every < 1:
            raise ConfigError(f"refresh_every is {refresh_every}, expected at least 1 update, or None for never.")
        check_policy("NLPO", policy, NLPOPolicy)
        buffer_class = options.get("rollout_buffer_class") or self.buffer_class
        if not issubclass(buffer_class, MaskedEpisodeRolloutBuffer):
            raise ConfigError(
                f"NLPO got the buffer {buffer_class.__name__}, expected MaskedEpisodeRolloutBuffer, which keeps the "
                "masks of the rollout for the update."
            )
        self.refresh_every = refresh_every
        self.updates = 0
        options["rollout_buffer_class"] = buffer_class
        options["policy_kwargs"] = {"mask_top_p": mask_top_p, **(options.get("policy_kwargs") or {})}
        super().__init__(
            policy,
            env,
            n_steps=rollout_steps(env) if n_steps is None else n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            learning_rate=learning_rate,
            gamma=gamma,
            gae_lambda=gae_lambda,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            **options,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        bind_policy(self)

    def train(self) -> None:
        """PPO's update on the masked distributions; then, every few updates, a new mask for the next rollouts."""
        super().train()
        self.updates += 1
        if self.refresh_every is not None and self.updates % self.refresh_every == 0:
            self.policy.refresh_mask()


ROW = Algorithm(
    NLPO,
    "Ramamurthy et al., Is Reinforcement Learning (Not) for Natural Language Processing?, 2022, "
    "https://arxiv.org/abs/2210.01241",
    family="action masking",
    kl_coef=0.01,
    policy=NLPOPolicy,
    small={"n_steps": 5, "batch_size": 8, "refresh_every": 3},
    tests=("algorithms/test_nlpo.py",),
    learning=Learning(24_000, 0.05, (0.113, 0.092, 0.102)),
    search={**search.PPO, "mask_top_p": search.Choice((0.8, 0.9, 0.95)), "refresh_every": search.Choice((1, 5, 20))},
    origins={**origins.ROLLOUTS, "mask_top_p": origins.PAPER, "refresh_every": origins.PAPER},
)
