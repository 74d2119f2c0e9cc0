"""What all language-model policies share: one model that samples, is scored, is saved and is compared with itself.

| Symbol | Shape | Meaning |
|---|---|---|
| `obs` | dict of (rows, columns) | observations: prompts and the tokens generated so far |
| `batch` | `EpisodeBatch` | whole segments of episodes, from `EpisodeRolloutBuffer` |
| `hidden` | (n, hidden size) | last hidden state at the token that precedes each action |
| `logits` | (n, vocabulary) | after the head; "sampled": with temperature, masks, top-k and top-p |
| `words` | (n, words) | packed masks of legal tokens, 64 to a word |
| `rules` | (n,) or (n, 1 + words) | tokens generated so far, and `words` where there are masks |
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from textgym.errors import ConfigError, ModelError
from textgym_agents import models
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.masks import pack_masks, unpack_masks
from textgym_agents.models.kv_cache import MAX_CACHE_BYTES
from textgym_agents.models.log_probs import BLOCK_LOGITS, Prepare, in_blocks, token_statistics
from textgym_agents.models.packing import TokenSequence, pack
from textgym_agents.models.reference import Reference
from textgym_agents.models.sampling import Sampling, TokenMask, draw
from textgym_agents.models.slot_caches import SlotCaches
from textgym_agents.policies import capabilities
from textgym_agents.policies.critic import Critic, check_critic, own_critic
from textgym_agents.policies.filters import check_filters, check_left, takes_filters_now
from textgym_agents.policies.form import Form, Observations
from textgym_agents.policies.forms import FORMS, choose_form
from textgym_agents.policies.limits import check_values
from textgym_agents.policies.optimizer import new_optimizer
from textgym_agents.policies.saving import KeepsArguments, load_value_head, save_pretrained
from textgym_agents.policies.value_head import ValueHead

MAX_LOGITS = 2**28
Obs = Observations | EpisodeBatch


class LanguageModelPolicy(KeepsArguments, ActorCriticPolicy):
    """A language model, decoder-only or encoder-decoder, with a value head on its (decoder's) last hidden state.

    The observations say which form of model it is, see :func:`choose_form`: an encoder-decoder model needs an
    environment made with ``form="seq2seq"`` and the model's ``decoder_start_token_id``.

    Args:
        observation_space, action_space, lr_schedule, use_sde: as SB3 gives them.
        model: a name, a folder or a ``.gguf`` file for :func:`textgym_agents.models.load`, or a loaded model of
            transformers or peft. A folder written by :meth:`save_pretrained` brings its value head along. Of a
            ``peft.PeftModel``, what it lets be trained is trained, and its base is the reference model.
        copy: of a loaded model, train a copy; False: train the object itself, converted to ``dtype`` in place.
        tokenizer: of a loaded model, for :meth:`save_pretrained`. A name or folder brings its own.
        dtype: of the weights: "float32", "bfloat16" or "float16".
        lora: rank, or arguments of ``peft.LoraConfig``: train low-rank adapters only.
        reference: keep the initial weights as the reference model of a KL penalty. Free with ``lora`` (the adapters are
            switched off), otherwise a second copy of the weights.
        temperature, top_k, top_p: see :class:`Sampling`; log-probabilities include them. The tokens that top-k and
            top-p left in a rollout are stored, and its updates choose among the same.
        use_cache: keep keys and values between calls. Changes speed only.
        max_cache_bytes: most memory for those.
        share_prompts: compute a prompt once where several completions in a minibatch share it. Changes speed only.
        gradient_checkpointing: recompute activations in the backward pass to save memory.
        max_logits: floats, tokens times vocabulary, that a minibatch may keep for the backward pass. Beyond that,
            logits are computed block by block, and again on the way back: less memory, a little slower.
        critic: whose hidden states the value head reads. "shared": the model's, which the value loss moves too;
            "detached": the model's, which it doesn't move; "own": those of a second model with the same first weights.
        critic_warmup: rollouts in which the critic alone learns, so that it is some use before the policy moves.
        temperature_lr: how fast the common scale of all logits is learned, in units of the learning rate, beside what
            the weights do, see :class:`TemperatureAdamW`. 0: not. With AdamW, and models that end in a normalization.
        optimizer_class, optimizer_kwargs: SB3's; default AdamW without weight decay.

    Raises:
        ModelError: the model can't be loaded, is not of the environment's form, has too few positions, or a smaller
            vocabulary than the tokenizer.
        ConfigError: the spaces are not those of a textgym environment.
    """

    forms: ClassVar[Mapping[str, type[Form]]] = FORMS  # that this class can train
    value_net: ValueHead
    value_gain: float = 100.0  # of the value head's features, which sets how fast values move
    takes_critics: ClassVar[bool] = True  # whether ``critic`` and ``critic_warmup`` mean something
    takes_filters: ClassVar[bool] = True  # whether its updates are right with ``top_k`` and ``top_p``
    decodes_plainly: ClassVar[bool] = True  # whether it chooses tokens as the model that it saves does
    critic_lm: PreTrainedModel
    _critic: "LanguageModelPolicy | None" = None  # with a model of its own
    sampled_masks: Tensor | None = None  # (rows, words) of the last rollout step, with top-k, top-p or masks

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        model: Any = None,
        copy: bool = True,
        tokenizer: Any = None,
        dtype: str = "float32",
        lora: int | Mapping[str, Any] | None = None,
        reference: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        use_cache: bool = True,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        share_prompts: bool = True,
        gradient_checkpointing: bool = False,
        max_logits: int = MAX_LOGITS,
        critic: Critic = "shared",
        critic_warmup: int = 0,
        temperature_lr: float = 100.0,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.AdamW,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        check_values(
            {"temperature": temperature, "top_k": top_k, "top_p": top_p, "lora": lora, "max_logits": max_logits}
        )
        check_values({"critic_warmup": critic_warmup, "temperature_lr": temperature_lr})
        check_critic(type(self), critic, critic_warmup, lora)
        check_filters(type(self), top_k, top_p)
        self.form = choose_form(observation_space, action_space, self.forms, type(self).__name__)
        model = models.default_model(observation_space) if model is None else model
        if optimizer_kwargs is None and optimizer_class is torch.optim.AdamW:
            optimizer_kwargs = {"weight_decay": 0.0}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[],
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.sampling = Sampling(temperature, top_k, top_p)
        self.num_actions = int(action_space.n)  # type: ignore[attr-defined]
        self.token_mask = TokenMask.of(observation_space, self.num_actions)
        self.max_cache_bytes, self.max_logits = sys.maxsize, max_logits
        self.use_cache, self.share_prompts = use_cache, share_prompts
        self.packed_tokens = self.padding_tokens = 0  # that went through the model in updates
        # A generator of our own, seeded as SB3 has just seeded torch: sampling neither reads nor moves the global one.
        self._generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self.tokenizer = tokenizer
        self.critic, self.critic_warmup, self.temperature_lr = critic, critic_warmup, temperature_lr
        if dtype not in models.DTYPES:
            raise ModelError(f"dtype is {dtype!r}, expected one of {', '.join(models.DTYPES)}.")
        if not isinstance(model, str | Path):
            models.check_model_object(model)
            model = models.take(model, models.DTYPES[dtype], copied=copy)
        self._build_model(model, dtype, lora, reference, gradient_checkpointing)
        self.max_cache_bytes = max_cache_bytes  # only now: the cache that was tried above is no training run's
        self.optimizer = new_optimizer(self, lr_schedule(1))

    def _build(self, lr_schedule: Schedule) -> None:
        """SB3 would build perceptrons here; the model is loaded after its constructor has run."""

    def _build_model(
        self, model: Any, dtype: str, lora: int | Mapping[str, Any] | None, reference: bool, checkpointing: bool
    ) -> None:
        loaded = model
        if isinstance(model, str | Path):
            if models.has_tokenizer(model):  # a model object's policy may be saved without one
                self.tokenizer = models.load_tokenizer(model)
            loaded = models.load_weights(model, dtype=dtype)
        else:
            models.check_weights(model)
        lm, given = models.split_adapters(loaded)
        if given is not None and lora:
            raise ConfigError(f"lora={lora!r}: the model has adapters already, which are trained. Leave lora out.")
        self.form.check_model(lm)
        self.head_scale = models.head_scale(lm)  # raises if this kind of model can't be split
        self.head_bias = models.head_bias(lm)
        self.peft_model = models.add_lora(lm, lora, seed=torch.initial_seed() % 2**63) if lora else given
        self.merges_adapters = given is None  # when it is saved: a PeftModel is saved as one
        if checkpointing:
            models.enable_checkpointing(lm)
        self._checkpointed = [m for m in lm.modules() if checkpointing and isinstance(m, GradientCheckpointingLayer)]
        self.lm = lm
        self.reference = Reference(lm, self.peft_model) if reference else None
        hidden = lm.get_output_embeddings().weight.shape[1]
        self.value_net = ValueHead(hidden, gain=self.value_gain)
        load_value_head(self.value_net, model)
        self.caches = SlotCaches(lm.parameters())
        capabilities.detect(self)
        self.caches.drop()
        if self.critic == "own":
            object.__setattr__(self, "_critic", own_critic(self))  # not a submodule: it shares this one's

    # ------------------------------------------------------------------ what SB3 calls

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Sample one token per row. Returns actions (rows,), values (rows, 1), log-probabilities (rows,)."""
        hidden = self._hidden(obs)
        logits = self._sampled_logits(hidden, obs)
        self.sampled_masks = self._sampled_set(obs, logits)
        if deterministic:
            log_probs = logits.log_softmax(-1)
            actions = log_probs.argmax(1)
            chosen = log_probs.gather(1, actions[:, None])
        else:
            probabilities = logits.softmax(-1)
            actions = draw(probabilities, self._stream(probabilities.device))
            chosen = probabilities.gather(1, actions[:, None]).log()
        return actions, self._values(hidden, obs), chosen.squeeze(1)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values (n, 1), log-probabilities (n,) and entropies (n,) of given actions, with gradients.

        ``obs`` is an :class:`EpisodeBatch` (one teacher-forced pass for all its tokens) or plain observations (one pass
        over its prefix for every token, as SB3's own buffers need). Their gradient can be taken once. That of an idle
        batch reaches no weight.
        """
        idle = isinstance(obs, EpisodeBatch) and obs.idle
        with torch.set_grad_enabled(torch.is_grad_enabled() and not idle):
            hidden = self._hidden(obs)
            filters = takes_filters_now(self.sampling, obs)
            log_probs, entropies = self._statistics(hidden, actions, self._generated(obs), filters=filters)
            values = self._values(hidden, obs)
        if filters and not isinstance(obs, EpisodeBatch):  # of SB3's own buffers
            check_left(self.sampling, log_probs)
        if idle:
            return values.requires_grad_(), log_probs.requires_grad_(), entropies
        if self.warming_up:
            log_probs, entropies = log_probs.detach(), entropies.detach()
        return values, log_probs, entropies

    def get_distribution(self, obs: Any) -> Distribution:
        """The distribution over tokens at each row of ``obs``; with gradients, which can be differentiated again."""
        # Fused attention has no second derivative.
        with sdpa_kernel(SDPBackend.MATH) if torch.is_grad_enabled() else nullcontext():
            logits = self._sampled_logits(self._hidden(obs), obs)
        return CategoricalDistribution(self.num_actions).proba_distribution(logits.log_softmax(-1))

    def predict_values(self, obs: Any) -> Tensor:
        """(rows, 1) values."""
        return self._values(self._hidden(obs), obs)

    @property
    def warming_up(self) -> bool:
        """Whether the critic alone learns from the last rollout."""
        return self.critic_warmup > 0 and int(self.value_net.rollouts) <= self.critic_warmup

    def _values(self, hidden: Tensor, obs: Obs) -> Tensor:
        if self._critic is not None:
            hidden = self._critic._hidden(obs)
        elif self.critic == "detached" or self.warming_up:
            hidden = hidden.detach()
        values: Tensor = self.value_net(hidden)
        return values

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        with self._keeping_masks():
            return self.forward(observation, deterministic)[0]

    @contextmanager
    def _keeping_masks(self) -> Iterator[None]:
        """An evaluation between a rollout's step and its storage must not change what is stored."""
        kept = self.sampled_masks
        try:
            yield
        finally:
            self.sampled_masks = kept

    def set_training_mode(self, mode: bool) -> None:
        """Dropout stays off in training too: the old and the new log-probability must be of the same model."""
        if self.training and not mode:
            self.caches.expire()  # TRPO assigns weights' ``data``
        self.train(False)
        self.training = mode
        for layer in self._checkpointed:  # transformers checkpoints a layer only while that flag of its own is set
            layer.training = mode

    # ------------------------------------------------------------------ from hidden states to probabilities

    def _logits(self, lm: PreTrainedModel, hidden: Tensor) -> Tensor:
        """(n, vocabulary) float32, in memory that nobody else uses."""
        if self.head_scale != 1:
            hidden = hidden * self.head_scale
        logits: Tensor = lm.get_output_embeddings()(hidden)[:, : self.num_actions].float()
        return logits if self.head_bias is None else logits + self.head_bias[: self.num_actions].to(logits)

    def _sampled_logits(self, hidden: Tensor, obs: Obs) -> Tensor:
        logits = self._logits(self.lm, hidden)
        if self.sampling.temperature != 1:
            logits /= self.sampling.temperature
        prepare = self._prepare(self._generated(obs), filters=takes_filters_now(self.sampling, obs))
        if prepare is not None:
            prepare(logits, slice(None))
        return logits

    def _sampled_set(self, obs: Any, logits: Tensor) -> Tensor | None:
        """(rows, words) what the buffer stores with a step: the tokens that top-k and top-p leave, or None."""
        return pack_masks(logits > -torch.inf) if self.sampling.filters else None

    def _prepare(self, rules: Tensor, *, filters: bool = True) -> Prepare | None:
        """What puts masks, top-k and top-p into a block of logits that the temperature has already divided."""
        filters = filters and self.sampling.filters
        generated, words = (rules, None) if rules.dim() == 1 else (rules[:, 0], rules[:, 1:])
        if words is None and not (self.token_mask.masks or filters):
            return None

        def prepare(block: Tensor, rows: slice) -> None:
            if words is not None:
                block.masked_fill_(~unpack_masks(words[rows], block.shape[1]), -torch.inf)
            self.token_mask.apply_(block, generated[rows])
            if filters:  # of the tokens that are left
                self.sampling.filter_(block)

        return prepare

    def _statistics(
        self, hidden: Tensor, actions: Tensor, rules: Tensor, *, filters: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies (n,), keeping at most ``max_logits`` floats for the backward pass."""
        actions = actions.long().reshape(-1)

        def statistics(hidden: Tensor, actions: Tensor, rules: Tensor) -> tuple[Tensor, Tensor]:
            logits, prepare = self._logits(self.lm, hidden), self._prepare(rules, filters=filters)
            return token_statistics(logits, actions, self.sampling.temperature, prepare)

        parts = (hidden, actions, rules)
        log_probs, entropies = in_blocks(statistics, parts, self.num_actions, self.max_logits)
        return log_probs, entropies

    @torch.no_grad()
    def reference_log_probs(self, batch: EpisodeBatch, actions: Tensor) -> Tensor:
        """(n,) log-probabilities of actions under the reference model, with this policy's temperature and masks.

        Raises:
            ConfigError: the policy was made without ``reference=True``.
        """
        if self.reference is None:
            raise ConfigError("This policy keeps no reference model. Make it with policy_kwargs=dict(reference=True).")
        actions, rules = actions.long().reshape(-1), self._reference_rules(batch)
        with self.reference.weights(self.lm) as lm:

            def statistics(hidden: Tensor, actions: Tensor, rules: Tensor) -> tuple[Tensor, Tensor]:
                # Without top-k and top-p, whose sets may differ and would make the KL infinite.
                prepare = self._prepare(rules, filters=False)
                return token_statistics(self._logits(lm, hidden), actions, self.sampling.temperature, prepare)

            parts = (self._packed_hidden(lm, batch.sequences), actions, rules)
            return in_blocks(statistics, parts, self.num_actions, BLOCK_LOGITS)[0]

    def _stream(self, device: torch.device) -> torch.Generator:
        if self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self._generator.initial_seed())
        return self._generator

    @contextmanager
    def sampling_from(self, seed: int) -> Iterator[None]:
        """Within the block, sampling draws from a stream of its own, so evaluating changes no training run."""
        kept = self._generator
        self._generator = torch.Generator(kept.device).manual_seed(seed)
        try:
            yield
        finally:
            self._generator = kept

    # ------------------------------------------------------------------ from observations to hidden states

    def _generated(self, obs: Obs) -> Tensor:
        """The rules: (n,) how many tokens of the completion there are before each action, and the masks if any."""
        generated = obs.num_generated if isinstance(obs, EpisodeBatch) else self.form.num_generated(obs)
        words = self._words(obs)
        return generated if words is None else torch.cat([generated[:, None], words], 1)

    def _words(self, obs: Obs) -> Tensor | None:
        """(n, words) what came with the observations: of a rollout that is learned from, what it chose among."""
        return obs.masks if isinstance(obs, EpisodeBatch) else None

    def _reference_rules(self, batch: EpisodeBatch) -> Tensor:
        """The rules for the reference model, which isn't cut to what the policy's rollout chose among."""
        return batch.num_generated

    def _hidden(self, obs: Obs) -> Tensor:
        """(n, hidden size) at the token that precedes each action."""
        if isinstance(obs, EpisodeBatch):
            return self._packed_hidden(self.lm, obs.sequences)[obs.first :: obs.every]
        if self.use_cache and not torch.is_grad_enabled():
            return self._cached_hidden(obs)
        return self._packed_hidden(self.lm, self.form.sequences(obs))

    def _cached_hidden(self, obs: Observations) -> Tensor:
        """(rows, hidden size) at the last token of each row, with the slot cache."""
        rows = len(obs["input_ids"])
        cache = self.caches.get(rows, lambda: self.form.new_cache(self.lm, rows, self.max_cache_bytes))
        return self.form.cached_hidden(self.lm, cache, obs)

    def _packed_hidden(self, lm: PreTrainedModel, sequences: list[TokenSequence]) -> Tensor:
        packed = pack(sequences, share=self.share_prompts, device=self.device)
        if torch.is_grad_enabled():
            self.packed_tokens += packed.tokens
            self.padding_tokens += packed.padding
        hidden = [self.form.block_hidden(lm, block)[block.rows, block.columns] for block in packed.blocks]
        return torch.cat(hidden)[packed.order]

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """Arguments of an environment for this policy's model: its form and, for a decoder, the start token."""
        return self.form.env_kwargs(self.lm)

    @property
    def cache_nbytes(self) -> int:
        """Memory that the key-value caches take now, in bytes."""
        return self.caches.nbytes

    # ------------------------------------------------------------------ saving

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model (adapters of ``lora`` merged), its tokenizer and the value head as safetensors and JSON.

        transformers' ``from_pretrained(folder)`` loads it, and so does ``model=folder`` here. Of a ``peft.PeftModel``
        that was given as the model, the adapters alone are written, for peft's ``from_pretrained``.
        """
        head = self.value_net if self._critic is None else None  # which reads another model, that isn't written
        save_pretrained(self.lm, self.peft_model, head, self.tokenizer, folder, merge=self.merges_adapters)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **self.init_arguments,
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def _apply(self, fn: Any, recurse: bool = True) -> "LanguageModelPolicy":
        self.caches.drop()  # they lie on the old device, in the old precision
        if self._critic is not None:
            self._critic.caches.drop()
        if self.reference is not None:
            self.reference.apply(fn)
        return super()._apply(fn, recurse)  # type: ignore[no-any-return, no-untyped-call]
