"""An encoder-decoder language model as a Stable-Baselines3 actor-critic policy."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from transformers import PreTrainedModel

from textgym.errors import ConfigError, ModelError
from textgym_agents import models
from textgym_agents.models.cross_kv_cache import CrossSlotCache
from textgym_agents.models.kv_cache import compact
from textgym_agents.models.packing import Block, Text
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.capabilities import any_tokens


class Seq2SeqLMPolicy(LanguageModelPolicy):
    __doc__ = (LanguageModelPolicy.__doc__ or "").replace(
        "A language model with a value head on its last hidden state. Use ``CausalLMPolicy`` or ``Seq2SeqLMPolicy``.",
        """An encoder-decoder model (T5, BART, Marian) with a value head on the decoder's last hidden state.

    The environment must have been made with ``form="seq2seq"`` and the model's ``decoder_start_token_id``. The encoder
    runs once for each prompt: in a rollout when its text begins, in an update once for all completions of a prompt.""",
    )

    form = "seq2seq"
    contexts_tell_all = False
    DEFAULT_MODEL = "textgym/small-seq2seq"

    @classmethod
    def _check_spaces(cls, observation_space: Any, action_space: Any) -> None:
        if not isinstance(action_space, spaces.Discrete) or not isinstance(observation_space, spaces.Dict):
            raise ConfigError(
                f"Seq2SeqLMPolicy needs a Dict of token ids and Discrete actions, got {observation_space} and "
                f"{action_space}. Use it with a textgym environment."
            )
        missing = {"input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask"} - {*observation_space}
        if missing:
            raise ConfigError(
                f"Seq2SeqLMPolicy needs observations with input_ids and decoder_input_ids, got "
                f'{list(observation_space)}. Make the environment with form="seq2seq", or use CausalLMPolicy.'
            )

    def _check_model(self, lm: PreTrainedModel) -> None:
        if not lm.config.is_encoder_decoder:
            raise ModelError(f"{type(lm).__name__} has no encoder. Use CausalLMPolicy and a causal environment.")
        space: Any = self.observation_space
        self.prompt_width = int(space["input_ids"].shape[0])
        self.width = int(space["decoder_input_ids"].shape[0])
        models.check_fit(lm, self.prompt_width, self.num_actions)
        models.check_fit(lm, self.width, self.num_actions)
        start = models.decoder_start_token_id(lm)
        self.decoder_start_token_id = 0 if start is None else start

    def _num_generated(self, obs: dict[str, Tensor]) -> Tensor:
        return obs["decoder_attention_mask"][:, 1:].sum(1)

    def _texts(self, obs: dict[str, Tensor]) -> list[Text]:
        arrays = {name: tensor.cpu().numpy() for name, tensor in obs.items()}
        prompts, contexts = (
            [
                row[live != 0].astype(np.int32)
                for row, live in zip(arrays[f"{p}input_ids"], arrays[f"{p}attention_mask"], strict=True)
            ]
            for p in ("", "decoder_")
        )
        return [Text(c, np.zeros(1, np.int32), p) for c, p in zip(contexts, prompts, strict=True)]

    def _new_cache(self, rows: int) -> CrossSlotCache:
        lm: Any = self.lm
        return CrossSlotCache(
            lm.get_decoder(), lm.get_encoder(), rows, self.width, self.prompt_width, self.max_cache_bytes
        )

    def _cached_hidden(self, obs: dict[str, Tensor]) -> Tensor:
        ids, lengths = compact(obs["decoder_input_ids"], obs["decoder_attention_mask"])
        slots: CrossSlotCache = self._slots(len(ids))
        slots.read_prompts(*compact(obs["input_ids"], obs["attention_mask"]))
        lm: Any = self.lm
        return slots.last_hidden(lm.get_decoder(), ids, lengths)

    def _block_hidden(self, lm: PreTrainedModel, block: Block) -> Tensor:
        assert block.prompts is not None
        assert block.prompt_mask is not None
        model: Any = lm
        encoded = model.get_encoder()(input_ids=block.prompts, attention_mask=block.prompt_mask).last_hidden_state
        if len(block.prompts) < len(block.input_ids):  # completions of one prompt
            encoded, prompt_mask = encoded[block.prompt_of], block.prompt_mask[block.prompt_of]
        else:
            prompt_mask = block.prompt_mask
        hidden: Tensor = model.get_decoder()(
            input_ids=block.input_ids,
            encoder_hidden_states=encoded,
            encoder_attention_mask=prompt_mask,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _probe_observations(self) -> list[dict[str, Tensor]]:
        widths = {"": self.prompt_width, "decoder_": self.width}
        ids = {prefix: any_tokens(self.num_actions, width) for prefix, width in widths.items()}
        found = []
        for lengths in ((1, 3), (2, 4), (3, 4), (1, 5), (2, 6)):  # go on, wait, start anew
            obs: dict[str, Tensor] = {}
            for prefix, width in widths.items():
                live = [min(n, width) for n in (lengths if prefix else (2, 5))]
                mask = (torch.arange(width) < torch.tensor(live)[:, None]).long()
                obs |= {f"{prefix}input_ids": ids[prefix] * mask, f"{prefix}attention_mask": mask}
            found.append(obs)
        return found
