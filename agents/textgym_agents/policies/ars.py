"""Policies for algorithms that see nothing of a model but a vector of weights that they may change."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from textgym_agents import models
from textgym_agents.policies.base import LanguageModelPolicy

# The layers that attention ends with: in the built-in model they move the reward nearly as far as those of queries,
# keys and values, with a third of the weights. Names in GPT-2, GPT-NeoX, BLOOM and Phi; Llama and others; BART; T5.
ATTENTION: Mapping[str, Any] = {
    "r": 1,
    "target_modules": r".*((attn|attention)\.(c_proj|dense)|\.o_proj|\.out_proj|\.o)",
}


class ARSPolicy(LanguageModelPolicy):
    """A language-model policy whose parameters are the outer halves of its LoRA adapters, and nothing else.

    An adapter adds B A to a weight, with A drawn at random and B zero. A random search in both would waste its first
    steps on A, which does nothing while B is zero, so A stays as it was drawn (Zhang et al., "LoRA-FA", 2023,
    https://arxiv.org/abs/2308.03303), and B is what ``parameters()``, ``parameters_to_vector`` and ``load_from_vector``
    mean. The zero vector is the initial model. A is as long as the rows of the weight that it is added to: a number of
    B is the share of a layer's output that it changes, in any model.

    Args:
        observation_space, action_space: as SB3 gives them.
        lora: rank, or arguments of ``peft.LoraConfig``; None: rank 1 on the layers that attention ends with, or on all
            linear layers where these have names of their own. Fewer weights are searched faster.
        kwargs: those of ``LanguageModelPolicy``.

    Raises:
        MissingExtraError: without the ``peft`` extra.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Schedule | None = None,
        use_sde: bool = False,
        *,
        lora: int | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        schedule = (lambda _: 0.0) if lr_schedule is None else lr_schedule
        super().__init__(
            observation_space, action_space, schedule, use_sde, lora=ATTENTION if lora is None else lora, **kwargs
        )

    def _build_model(self, model: Any, dtype: str, lora: Any, reference: bool, checkpointing: bool) -> None:
        loaded = models.has_adapters(model)
        if lora is ATTENTION and loaded:
            lora = None
        try:
            super()._build_model(model, dtype, lora, reference, checkpointing)
        except ValueError:
            if lora is not ATTENTION:
                raise
            super()._build_model(model, dtype, 1, reference, checkpointing)
        for name, parameter in self.lm.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and "lora_A" not in name)
        if not loaded:
            self._scale_adapters()

    def _scale_adapters(self) -> None:
        """Make A as long as the rows of the weight that it is added to."""
        adapted: Any
        for adapted in self.lm.modules():
            inner: Any = getattr(adapted, "lora_A", None)
            if not isinstance(inner, nn.ModuleDict):
                continue
            base = adapted.get_base_layer()
            weight = base.weight.float()
            rows = weight.T if weight.shape[0] == adapted.in_features else weight  # GPT-2 keeps it the other way round
            length = rows.square().sum(-1).mean().sqrt()
            with torch.no_grad():
                for name in inner:
                    a: Any = inner[name].weight
                    a.mul_(length / (adapted.scaling[name] * a.norm(dim=-1, keepdim=True)))

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The adapters' outer halves."""
        lm = self._modules.get("lm")
        return iter(()) if lm is None else (p for p in lm.parameters() if p.requires_grad)

    def load_from_vector(self, vector: Any) -> None:
        """Put numbers (parameters,) in place of the weights."""
        super().load_from_vector(vector)
        self.caches.expire()  # torch assigns the weights' ``data``
