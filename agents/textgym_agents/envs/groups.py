"""Which algorithms may have a reward that compares the completions of a prompt."""

from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from textgym.errors import ConfigError
from textgym.mdp import TextMDP
from textgym.scoring import reward_name, scores_groups


def check_scope(env: VecEnv, algorithm: str, group_size: int) -> None:
    """Raise ConfigError for a reward that compares the completions of a prompt where only one of each is played."""
    while isinstance(env, VecEnvWrapper):
        env = env.venv
    mdp = getattr(getattr(getattr(env, "env", None), "unwrapped", None), "mdp", None)
    reward = mdp.reward if isinstance(mdp, TextMDP) else None
    if scores_groups(reward) and group_size < 2:
        raise ConfigError(
            f"The reward {reward_name(reward)!r} compares completions of one prompt, and {algorithm} plays one of each."
            " Take 'grpo' or 'rloo', or 'reinforce' with a group_size of 2 or more."
        )
