"""Where defaults come from. A row's ``origins`` has an entry for each that is not its library's own.

``"paper"``, the name of a library, ``CHOSEN`` or ``tuned("the command")``. The page of defaults shows them.
"""

from collections.abc import Mapping

CHOSEN = "chosen"  # judged to suit text, not tuned
PAPER = "paper"
SB3 = "SB3"
TRL = "TRL"
Origins = Mapping[str, str]


def tuned(command: str) -> str:
    """The origin of a value that a search found.

    >>> tuned("textgym tune --algo ppo --task Copy")
    'tuned by `textgym tune --algo ppo --task Copy`'
    """
    return f"tuned by `{command}`"


COMMON: Origins = {"learning_rate": CHOSEN, "max_grad_norm": TRL, "kl_coef": CHOSEN}
ROLLOUTS: Origins = {
    **COMMON,
    "n_steps": CHOSEN,
    "batch_size": CHOSEN,
    "n_epochs": CHOSEN,
    "gamma": TRL,
    "gae_lambda": CHOSEN,
    "vf_coef": SB3,
}
EPISODES: Origins = {
    **COMMON,
    "prompts_per_rollout": CHOSEN,
    "group_size": PAPER,
    "batch_size": PAPER,  # None: one gradient step for a rollout
    "ent_coef": SB3,
    "normalize_advantage": PAPER,
    "skip_without_signal": PAPER,
    "credit": PAPER,
    "same_partner": CHOSEN,
}
ACTION_VALUES: Origins = {
    **EPISODES,
    "batch_size": CHOSEN,
    "n_epochs": CHOSEN,
    "td_lambda": CHOSEN,
    "beta": CHOSEN,
    "vf_coef": CHOSEN,
    "exploration": CHOSEN,
    "epsilon": CHOSEN,
    "boltzmann_temperature": CHOSEN,
}
REPLAY: Origins = {
    "buffer_size": CHOSEN,
    "replay_buffer_kwargs": CHOSEN,
    "learning_starts": CHOSEN,
    "batch_size": CHOSEN,
    "train_freq": CHOSEN,
    "gradient_steps": CHOSEN,
    "learning_rate": CHOSEN,
    "gamma": TRL,
    "target_update_interval": CHOSEN,
    "exploration_initial_eps": CHOSEN,
    "exploration_final_eps": CHOSEN,
    "max_grad_norm": TRL,
    "num_candidates": CHOSEN,
}
