"""A decoder-only language model as a Stable-Baselines3 actor-critic policy.

| Symbol | Shape | Meaning |
|---|---|---|
| `obs` | dict of (rows, columns) | observations: padded prompt, then generated tokens |
| `batch` | `EpisodeBatch` | whole segments of episodes, from `EpisodeRolloutBuffer` |
| `hidden` | (n, hidden size) | last hidden state at the token that precedes each action |
| `log_probs` | (n, vocabulary) | of the distribution that is sampled from |
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from safetensors.torch import load_file, save_file
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from textgym.errors import ConfigError, ModelError
from textgym.tokenizer import BUILTIN_MODEL
from textgym_agents import models
from textgym_agents.buffers import EpisodeBatch
from textgym_agents.kv_cache import SlotCache, compact
from textgym_agents.policies.reference import Reference
from textgym_agents.policies.sampling import Sampling, TokenMask, entropy

VALUE_HEAD_FILE = "value_head.safetensors"
Obs = dict[str, Tensor] | EpisodeBatch


class CausalLMPolicy(ActorCriticPolicy):
    """A causal language model with a value head on its last hidden state.

    Args:
        observation_space, action_space, lr_schedule, use_sde: as SB3 gives them.
        model: a name, a folder or a ``.gguf`` file for :func:`textgym_agents.models.load`, or a loaded model, which is
            copied. A folder written by :meth:`save_pretrained` brings its value head along.
        dtype: of the weights: "float32", "bfloat16" or "float16".
        lora: rank, or arguments of ``peft.LoraConfig``: train low-rank adapters only.
        reference: keep the initial weights as the reference model of a KL penalty. Free with ``lora`` (the adapters are
            switched off), otherwise a second copy of the weights.
        temperature, top_k, top_p: see :class:`Sampling`; log-probabilities include them.
        use_cache: keep keys and values between calls. Changes speed only.
        gradient_checkpointing: recompute activations in the backward pass to save memory.
        optimizer_class, optimizer_kwargs: SB3's; default AdamW with eps 0.01, betas 0.9 and 0.99, no weight decay.

    Raises:
        ModelError: the model can't be loaded, has too few positions, or a smaller vocabulary than the tokenizer.
        ConfigError: the spaces are not those of a textgym environment.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        model: Any = BUILTIN_MODEL,
        dtype: str = "float32",
        lora: int | Mapping[str, Any] | None = None,
        reference: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        use_cache: bool = True,
        gradient_checkpointing: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.AdamW,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete) or not isinstance(observation_space, spaces.Dict):
            raise ConfigError(
                f"CausalLMPolicy needs a Dict of token ids and Discrete actions, got {observation_space} and "
                f"{action_space}. Use it with a textgym environment."
            )
        if "input_ids" not in observation_space.spaces or "decoder_input_ids" in observation_space.spaces:
            raise ConfigError(f"CausalLMPolicy needs observations with input_ids, got {list(observation_space)}.")
        if optimizer_kwargs is None and optimizer_class is torch.optim.AdamW:
            # With the usual eps every weight moves by the learning rate, however noisy its gradient is, and the noise
            # of a million weights drowns what a few hundred texts teach. A large eps leaves small gradients small.
            optimizer_kwargs = {"eps": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.0}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self._arguments = {
            "model": model,
            "dtype": dtype,
            "lora": lora,
            "reference": reference,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "use_cache": use_cache,
            "gradient_checkpointing": gradient_checkpointing,
        }
        self.sampling = Sampling(temperature, top_k, top_p)
        self.width = int(observation_space["input_ids"].shape[0])  # type: ignore[index]
        self.num_actions = int(action_space.n)
        self.max_prompt_tokens: int | None = getattr(observation_space, "max_prompt_tokens", None)
        self.token_mask = TokenMask(
            self.num_actions,
            getattr(observation_space, "eos_token_ids", ()),
            getattr(observation_space, "min_new_tokens", 0),
            getattr(observation_space, "banned_tokens", ()),
            getattr(observation_space, "allowed_tokens", None),
        )
        self.use_cache = use_cache
        self._caches: dict[int, SlotCache] = {}
        self._cache_version = -1
        # A generator of our own, seeded as SB3 has just seeded torch: sampling neither reads nor moves the global one.
        self._generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self._build_model(model, dtype, lora, reference, gradient_checkpointing)
        trainable = [p for p in self.parameters() if p.requires_grad]
        self.optimizer = self.optimizer_class(trainable, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def _build(self, lr_schedule: Schedule) -> None:
        """SB3 would build perceptrons here; the model is loaded after its constructor has run."""

    def _build_model(
        self, model: Any, dtype: str, lora: int | Mapping[str, Any] | None, reference: bool, checkpointing: bool
    ) -> None:
        self.tokenizer: Any = None
        if isinstance(model, str | Path):
            lm, self.tokenizer = models.load(model, dtype=dtype)
        else:
            lm = copy.deepcopy(model).to(models.DTYPES[dtype]).eval()
        models.check_fit(lm, self.width, self.num_actions)
        attention = getattr(lm.config, "_attn_implementation", "sdpa")
        if attention not in ("sdpa", "eager"):
            raise ModelError(f"The model's attention is {attention!r}, expected 'sdpa' or 'eager'.")
        self.peft_model = models.add_lora(lm, lora, seed=torch.initial_seed() % 2**63) if lora else None
        if checkpointing:
            _enable_checkpointing(lm)
        self._checkpointed = [m for m in lm.modules() if checkpointing and isinstance(m, GradientCheckpointingLayer)]
        self.lm = lm
        self.reference = Reference(lm, self.peft_model) if reference else None
        hidden = lm.get_output_embeddings().weight.shape[1]
        self.value_net = nn.Linear(hidden, 1)
        nn.init.zeros_(self.value_net.weight)
        nn.init.zeros_(self.value_net.bias)
        if isinstance(model, str | Path) and (Path(model) / VALUE_HEAD_FILE).is_file():
            self.value_net.load_state_dict(load_file(Path(model) / VALUE_HEAD_FILE))
        models.trunk_and_head(lm)  # raises if this kind of model can't be split
        self._trunk_parameters = list(getattr(lm, lm.base_model_prefix).parameters())

    # ------------------------------------------------------------------ what SB3 calls

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Sample one token per row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        log_probs, values = self._evaluate(obs)
        actions = self._choose(log_probs, deterministic)
        return actions, values, log_probs.gather(1, actions[:, None]).squeeze(1)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values (n, 1), log-probabilities (n,) and entropies (n,) of given actions, with gradients.

        ``obs`` is an :class:`EpisodeBatch` (one teacher-forced pass for all its tokens) or plain observations (one pass
        over its prefix for every token, as SB3's own buffers need).
        """
        log_probs, values = self._evaluate(obs)
        chosen = log_probs.gather(1, actions.long().reshape(-1, 1)).squeeze(1)
        return values, chosen, entropy(log_probs)

    def get_distribution(self, obs: Any) -> Distribution:
        """The distribution over tokens at each row of ``obs``."""
        log_probs, _ = self._evaluate(obs)
        return CategoricalDistribution(self.num_actions).proba_distribution(log_probs)

    def predict_values(self, obs: Any) -> Tensor:
        """(rows, 1) values."""
        values: Tensor = self.value_net(self._hidden(obs).float())
        return values

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        log_probs, _ = self._evaluate(observation)
        return self._choose(log_probs, deterministic)

    def set_training_mode(self, mode: bool) -> None:
        """Dropout stays off in training too: the old and the new log-probability must be of the same model."""
        self.train(False)
        self.training = mode
        for layer in self._checkpointed:  # transformers checkpoints a layer only while that flag of its own is set
            layer.training = mode

    # ------------------------------------------------------------------ the model

    def _evaluate(self, obs: Obs) -> tuple[Tensor, Tensor]:
        """Log-probabilities (n, vocabulary) of the sampled distribution, and values (n, 1)."""
        hidden = self._hidden(obs)
        logits = self._logits(hidden, obs)
        return self.sampling.filter(logits).log_softmax(-1), self.value_net(hidden.float())

    def _logits(self, hidden: Tensor, obs: Obs) -> Tensor:
        """Logits (n, vocabulary) after temperature and the environment's mask, before top-k and top-p."""
        logits: Tensor = self.lm.get_output_embeddings()(hidden)[:, : self.num_actions].float()
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                "The model's logits hold NaN or infinity: training has diverged, or the weights are broken. Go back to "
                "the last checkpoint and lower the learning rate."
            )
        if self.sampling.temperature != 1:
            logits = logits / self.sampling.temperature
        return self.token_mask.apply(logits, self._num_generated(obs))

    def _num_generated(self, obs: Obs) -> Tensor:
        """(n,) how many tokens of the completion there are before each action."""
        if isinstance(obs, EpisodeBatch):
            return obs.num_generated
        mask = obs["attention_mask"]
        return mask[:, self.max_prompt_tokens :].sum(1) if self.max_prompt_tokens is not None else mask.sum(1) * 0

    def _hidden(self, obs: Obs) -> Tensor:
        """(n, hidden size) at the token that precedes each action."""
        trunk = getattr(self.lm, self.lm.base_model_prefix)
        if isinstance(obs, EpisodeBatch):
            return self._teacher_forced(trunk, obs)
        ids, lengths = compact(obs["input_ids"], obs["attention_mask"])
        if self.use_cache and not torch.is_grad_enabled():
            return self._slots(len(ids)).last_hidden(trunk, ids, lengths)
        columns = torch.arange(ids.shape[1], device=ids.device)
        mask = (columns < lengths[:, None]).long()
        rows = torch.arange(len(ids), device=ids.device)
        return self._teacher_forced(trunk, EpisodeBatch(ids, mask, rows, lengths - 1, rows))

    @staticmethod
    def _teacher_forced(trunk: nn.Module, batch: EpisodeBatch) -> Tensor:
        positions = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
        hidden: Tensor = trunk(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=positions.expand_as(batch.input_ids),
            use_cache=False,
        ).last_hidden_state  # (segments, tokens, hidden size)
        return hidden[batch.rows, batch.columns]

    def _slots(self, rows: int) -> SlotCache:
        """The slots for batches of this many rows, emptied when the weights have changed since they were filled."""
        version = sum(p._version for p in self._trunk_parameters)
        if version != self._cache_version:
            self._cache_version = version
            for cache in self._caches.values():
                cache.clear()
        if rows not in self._caches:
            if len(self._caches) >= 2:  # training rows and evaluation rows
                del self._caches[next(iter(self._caches))]
            self._caches[rows] = SlotCache(getattr(self.lm, self.lm.base_model_prefix), rows, self.width)
        return self._caches[rows]

    def _choose(self, log_probs: Tensor, deterministic: bool) -> Tensor:
        if deterministic:
            return log_probs.argmax(1)
        if self._generator.device != log_probs.device:
            self._generator = torch.Generator(log_probs.device).manual_seed(self._generator.initial_seed())
        return torch.multinomial(log_probs.exp(), 1, generator=self._generator).squeeze(1)

    @torch.no_grad()
    def reference_log_probs(self, batch: EpisodeBatch, actions: Tensor) -> Tensor:
        """(n,) log-probabilities of actions under the initial model, with this policy's temperature and masks.

        Raises:
            ConfigError: the policy was made without ``reference=True``.
        """
        if self.reference is None:
            raise ConfigError("This policy keeps no reference model. Make it with policy_kwargs=dict(reference=True).")
        with self.reference.weights(self.lm) as lm:
            hidden = self._teacher_forced(getattr(lm, lm.base_model_prefix), batch)
            logits = lm.get_output_embeddings()(hidden)[:, : self.num_actions].float() / self.sampling.temperature
        log_probs = self.token_mask.apply(logits, batch.num_generated).log_softmax(-1)
        return log_probs.gather(1, actions.long().reshape(-1, 1)).squeeze(1)

    @contextmanager
    def sampling_from(self, seed: int) -> Iterator[None]:
        """Within the block, sampling draws from a stream of its own, so evaluating changes no training run."""
        kept = self._generator
        self._generator = torch.Generator(kept.device).manual_seed(seed)
        try:
            yield
        finally:
            self._generator = kept

    # ------------------------------------------------------------------ saving

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model (adapters merged), its tokenizer and the value head as safetensors and JSON.

        ``AutoModelForCausalLM.from_pretrained(folder)`` loads it, and so does ``model=folder`` here.
        """
        folder = Path(folder)
        merged = copy.deepcopy(self.peft_model).merge_and_unload() if self.peft_model is not None else self.lm
        merged.save_pretrained(folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)
        head = {name: tensor.detach().cpu().contiguous() for name, tensor in self.value_net.state_dict().items()}
        save_file(head, folder / VALUE_HEAD_FILE)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
            **self._arguments,
        }

    def _apply(self, fn: Any, recurse: bool = True) -> "CausalLMPolicy":
        self._caches.clear()  # they lie on the old device, in the old precision
        if self.reference is not None:
            self.reference.apply(fn)
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]


def _enable_checkpointing(lm: PreTrainedModel) -> None:
    options = {"use_reentrant": False}
    if hasattr(lm, "activation_checkpointing_enable"):  # the newer name
        lm.activation_checkpointing_enable(options)
    else:
        lm.gradient_checkpointing_enable(options)
