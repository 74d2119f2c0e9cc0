"""AdamW that learns the temperature of a language model faster than its other weights."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textgym_agents import models

if TYPE_CHECKING:
    from textgym_agents.policies.base import LanguageModelPolicy

MOST = 0.05  # of the logits' scale that one step moves, whatever the learning rate


class TemperatureAdamW(torch.optim.AdamW):
    """AdamW, and a step of Adam along the direction that scales all logits.

    Multiplying the weights of the normalization before the head by c multiplies all logits by c, which is a temperature
    of 1/c. The gradient by log c sums what every token of a batch says about one number, so that it is far less noisy
    than that of any single weight, while AdamW lets log c move no faster than they do. Here log c also moves by
    ``temperature_lr`` times the learning rate, at most by 0.05, in each step of Adam (Kingma & Ba, Adam: A Method for
    Stochastic Optimization, 2014, https://arxiv.org/abs/1412.6980), whose moments are kept with the first of the scaled
    weights.

    Args:
        params, lr, adamw: as for AdamW.
        scaled: weights among ``params`` that scale the logits together.
        temperature_lr: in units of the learning rate.

    >>> weight = nn.Parameter(torch.ones(2))
    >>> optimizer = TemperatureAdamW([weight], lr=0.001, scaled=[weight], temperature_lr=10, weight_decay=0.0)
    >>> (-weight.sum()).backward()  # larger is better
    >>> optimizer.step()
    >>> weight.detach().log().div(0.001).round().tolist()  # AdamW's one learning rate, and ten
    [11.0, 11.0]
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        *,
        scaled: Sequence[nn.Parameter],
        temperature_lr: float,
        **adamw: Any,
    ) -> None:
        super().__init__(params, lr=lr, **adamw)
        self.scaled, self.temperature_lr = list(scaled), temperature_lr

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of both."""
        grads = [(weight, weight.grad) for weight in self.scaled if weight.grad is not None]
        slope = torch.stack([torch.sum(weight * grad) for weight, grad in grads]).sum() if grads else None
        loss = super().step(closure)
        if slope is not None:
            self._scale(slope.float())
        return loss

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As any optimizer's, but that the moments of log c stay in single precision, whatever the weights have."""
        super().load_state_dict(state_dict)
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for number, weight in zip(numbers, weights, strict=True):
            for name, stored in state_dict["state"].get(number, {}).items():
                if name.startswith("scale_"):
                    self.state[weight][name] = stored.to(weight.device, torch.float32, copy=True)

    def _scale(self, slope: Tensor) -> None:
        """A step of Adam on log c, whose gradient is ``slope``."""
        group = next(g for g in self.param_groups if any(weight is self.scaled[0] for weight in g["params"]))
        state = self.state[self.scaled[0]]
        if "scale_exp_avg" not in state:
            state |= {f"scale_{name}": torch.zeros_like(slope) for name in ("exp_avg", "exp_avg_sq", "steps")}
        beta1, beta2 = group["betas"]
        state["scale_exp_avg"].lerp_(slope, 1 - beta1)
        state["scale_exp_avg_sq"].lerp_(slope**2, 1 - beta2)
        state["scale_steps"] += 1
        steps = state["scale_steps"].item()
        mean = state["scale_exp_avg"] / (1 - beta1**steps)
        spread = (state["scale_exp_avg_sq"] / (1 - beta2**steps)).sqrt()
        rate = min(group["lr"] * self.temperature_lr, MOST)
        factor = math.exp(-rate * (mean / (spread + group["eps"])).item())
        for weight in self.scaled:
            weight.mul_(factor)


def new_optimizer(policy: "LanguageModelPolicy", learning_rate: float) -> torch.optim.Optimizer:
    """Of the kind that the policy was made with, for all its trainable weights."""
    trainable = [p for p in policy.parameters() if p.requires_grad]
    if policy.optimizer_class is torch.optim.AdamW and policy.temperature_lr > 0:
        scaled = [weight for weight in models.final_norm(policy.lm) if weight.requires_grad]
        if scaled:
            options: dict[str, Any] = {"scaled": scaled, "temperature_lr": policy.temperature_lr}
            return TemperatureAdamW(trainable, learning_rate, **options, **policy.optimizer_kwargs)
    return policy.optimizer_class(trainable, lr=learning_rate, **policy.optimizer_kwargs)  # type: ignore[call-arg]
