"""Q-learning over the whole vocabulary, with a language model as the action-value function."""

from typing import Any, Literal

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms.soft_q import ActionValueLearning
from textgym_agents.objectives.returns import lambda_returns

TRACES = ("watkins", "peng")


class QLearning(ActionValueLearning):
    """Q(lambda): what each token should have been worth is what follows when the best tokens are taken.

    Watkins & Dayan, "Q-learning" (1992), https://doi.org/10.1007/BF00992698. With ``traces="watkins"``, Watkins's
    Q(lambda) (Sutton & Barto, "Reinforcement Learning: An Introduction", 2018, section 12.10): a return goes on along
    the text as long as its tokens are greedy, and at the first that was tried out it ends in max_a Q(s, a). With
    "peng", Peng & Williams, "Incremental Multi-Step Q-Learning" (1996), https://doi.org/10.1007/BF00114731: it goes on
    through all tokens, mixed with max_a Q(s, a) at each, towards values between those of the best play and of the play
    that was seen; with ``td_lambda=1`` that is Monte-Carlo. ``td_lambda=0`` is Q-learning proper in both.

    Differences from the papers:

    1. Q is ``V(s) + beta log pi(a|s)``, a model and not a table, and a step is semi-gradient: the returns are computed
       with the weights of the moment and held still.
    2. Whole texts are played, then one step is taken for all of them (or for each minibatch of ``batch_size`` tokens).
    3. V and log pi learn at speeds of their own, see ``vf_coef``; the step is AdamW's, with a clipped gradient.
    4. Exploration draws from the language model and not evenly: almost every token of a vocabulary is nonsense.
    5. Without a discount, since a text is scored once, at its end.

    Args:
        policy, env, td_lambda, beta, ...: those of ``ActionValueLearning``.
        traces: "watkins" or "peng".
    """

    def __init__(self, policy: Any, env: Any, *, traces: Literal["watkins", "peng"] = "watkins", **kwargs: Any) -> None:
        if traces not in TRACES:
            raise ConfigError(f"traces is {traces!r}. {did_you_mean(str(traces), TRACES)}")
        self.traces = traces
        super().__init__(policy, env, **kwargs)

    def train(self) -> None:
        """w <- w + alpha sum_t [G_t - Q(s_t, a_t)] grad Q(s_t, a_t),  G_t = r_t + max_a Q(s_{t+1}, a) for lambda 0."""
        for texts in self._valued():
            follow = texts.greedy if self.traces == "watkins" else None
            returns = lambda_returns(texts.rewards, texts.best, texts.lengths, self.td_lambda, on_policy=follow)
            self._correct(texts, returns)
