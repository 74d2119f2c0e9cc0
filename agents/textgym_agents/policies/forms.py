"""The forms of language models, and which of them an environment was made for."""

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from textgym.errors import ConfigError
from textgym_agents.policies.causal import CausalForm
from textgym_agents.policies.form import Form
from textgym_agents.policies.seq2seq import Seq2SeqForm

# Adding one is a class and a line here.
FORMS: Mapping[str, type[Form]] = {"causal": CausalForm, "seq2seq": Seq2SeqForm}


def choose_form(
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    forms: Mapping[str, type[Form]] = FORMS,
    policy: str = "LanguageModelPolicy",
) -> Form:
    """The form that the environment was made for, seen by the keys of its observations.

    Args:
        observation_space, action_space: of the environment.
        forms: those that the policy can train.
        policy: its class, named in errors.

    Raises:
        ConfigError: the spaces are not those of a textgym environment, or its form isn't among ``forms``.
    """
    if not isinstance(action_space, spaces.Discrete) or not isinstance(observation_space, spaces.Dict):
        raise ConfigError(
            f"{policy} needs a Dict of token ids and Discrete actions, got {observation_space} and {action_space}. "
            "Use it with a textgym environment."
        )
    name = "seq2seq" if "decoder_input_ids" in observation_space.spaces else "causal"
    if name not in forms:
        raise ConfigError(f"{policy} takes models of the form {', '.join(forms)}, the environment {name}.")
    return forms[name](observation_space, int(action_space.n))
