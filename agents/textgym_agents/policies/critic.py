"""Where values come from: the policy's own hidden states, or a second model's."""

import copy
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.models.slot_caches import SlotCaches

if TYPE_CHECKING:
    from textgym_agents.policies.base import LanguageModelPolicy

Critic = Literal["shared", "detached", "own"]
CRITICS = ("shared", "detached", "own")


def check_critic(policy: type[Any], critic: str, critic_warmup: int, lora: Any) -> None:
    """Raise ConfigError unless a policy can have such a critic."""
    if critic not in CRITICS:
        raise ConfigError(f"critic is {critic!r}. {did_you_mean(str(critic), CRITICS)}")
    if (critic != "shared" or critic_warmup) and not policy.takes_critics:
        raise ConfigError(
            f"{policy.__name__} has a critic of its own kind: leave critic={critic!r} and "
            f"critic_warmup={critic_warmup} out."
        )
    if critic == "own" and lora:
        raise ConfigError(
            "critic='own' trains a whole second model, lora only adapters. Use critic='detached' with lora, or leave "
            "lora out."
        )


def own_critic(policy: "LanguageModelPolicy") -> "LanguageModelPolicy":
    """A second model that begins with the policy's weights, as a twin of the policy that computes its hidden states.

    The model becomes the policy's submodule ``critic_lm``, trained, stored and moved with it; the twin does not.

    Raises:
        ConfigError: the model has adapters.
    """
    if policy.peft_model is not None:
        raise ConfigError("critic='own' can't copy a model with adapters. Use critic='detached'.")
    lm = copy.deepcopy(policy.lm)
    head: Any = lm.get_output_embeddings()
    if isinstance(head, nn.Linear) and head.weight is not lm.get_input_embeddings().weight:
        head.requires_grad_(False)  # it has no part in values
    policy.critic_lm = lm
    twin = copy.copy(policy)
    twin._modules = {**policy._modules, "lm": lm}
    twin.caches = SlotCaches(lm.parameters())
    return twin
