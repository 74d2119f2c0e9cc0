"""The environment of one prompt at a time: a step writes a token. ``vector.py`` plays many at once."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat, Unpack

import gymnasium
import numpy as np
import numpy.typing as npt

from textgym.arguments import check_reset_options, check_seed
from textgym.border import reading
from textgym.conversations import conversations, partner_seed, policy_tokens, reset_options
from textgym.core import Prompt, Reward, Sample, Task, Turn
from textgym.dialogue import Partner
from textgym.errors import ConfigError, RenderModeError, ResetNeededError, did_you_mean
from textgym.importable import SpecByName
from textgym.infos import InfoNumbers
from textgym.mdp import TextMDP, WithReward
from textgym.rendering import Printer, frame
from textgym.rules import FULL, LENGTH, RUNNING, TextOptions
from textgym.saved_state import generator_from, generator_state, mdp_state, set_mdp_state
from textgym.spaces import TextSpace
from textgym.token_buffer import Observation, TokenBuffer
from textgym.tokenizer import Tokenizer


class TextGenerationEnv(WithReward, SpecByName, gymnasium.Env[Observation, np.int64]):
    """A Gymnasium environment in which one step writes one token.

    Description:
        ``reset`` draws a prompt from the task. Each action appends one token. At the episode's end the reward
        scores the completion.

    Observation Space:
        ``TextSpace``, a ``Dict`` under Hugging Face's own names, so ``model(**batch)`` works. P is
        ``max_prompt_tokens`` and T ``max_new_tokens``.

        ================ ============== =========================================================================
        Key              Type           Meaning
        ================ ============== =========================================================================
        input_ids        int64 (P+T,)   the prompt, left-padded into the first P columns; new tokens from column P
        attention_mask   int8 (P+T,)    1 where input_ids holds a token, else 0
        ================ ============== =========================================================================

        With ``form="seq2seq"``: ``input_ids`` and ``attention_mask`` (P,) hold the prompt, right-padded;
        ``decoder_input_ids`` and ``decoder_attention_mask`` (1+T,) the decoder's start token and the new tokens.

    Action Space:
        ``Discrete(V)``: a token id. V is the size of the tokenizer, added tokens included. A masked token (see
        ``action_masks``) is an error.

    Rewards:
        0 at every step but the last, then the reward's value. Where the reward abstains there is none: 0, as Gymnasium
        wants a number, with ``info["reward_abstained"]``. Algorithms, evaluations and reward wrappers leave it out.
        In a conversation, the step that ends a turn has what the partner gives for it besides.

    Episode End:
        Terminated by an end token ("eos"), a stop string ("stop") or after T tokens ("length"), as
        ``info["finish_reason"]`` says. With ``length_is_truncation=True`` the last one is a truncation.
        ``info`` then also has completion, num_tokens (the end token counts), reward_components, and of the prompt
        prompt, prompt_id, references and metadata; where the reward or a part of it failed, reward_failure, the reason.

    Conversations:
        With a ``partner``, an end token, a stop string or ``max_turn_tokens`` tokens end the policy's turn. In the same
        step the partner's reply is appended to the observation, within the ``turn_template``, and the policy goes on
        after it. T then counts the tokens of both. The episode ends when the partner says so ("done"), after
        ``max_turns`` turns of the policy ("turns"), where a reply does not fit ("full"), or in the middle of a turn
        ("length").
        ``info["turns"]``, whenever a turn ends, says who wrote which tokens.

    Arguments:
        task: a sequence of ``Prompt``.
        reward: a function of a batch of samples, or None.
        tokenizer: a transformers tokenizer, its name or folder. None: that of the task's default model,
            ``textgym/small`` for most. It is never edited.
        max_prompt_tokens, max_new_tokens: P and T, in tokens. None: the task's own, times the tokenizer's
            ``length_factor``, which is 3 for ``textgym/tiny`` and 1 for others.
        min_new_tokens: the end tokens are masked until so many tokens are written. A stop string ends it all the same.
        stop: strings that end the episode and are cut from the completion. None: the task's own; ``()``: none.
        banned_tokens, allowed_tokens: token ids that are masked, or that alone are legal (list the end token too).
            None: the task's own ``token_options``, or every token.
        eos_token_ids: end tokens besides the tokenizer's own.
        length_is_truncation: the last of T tokens truncates instead of terminating.
        sampling: "random" prompts, or "sequential" from 0 on. A seed starts the sequence over.
        infos: "all"; "numbers" (the same keys at every step, all integers: see ``textgym.infos``), which Tianshou,
            TorchRL, Minari and Gymnasium's ``NumpyToTorch`` need; or "none".
        chat: wrap the prompt as the user's turn of the tokenizer's chat template; "auto": if it has one that adds
            something to a prompt, as those of instruction-tuned models do.
        partner: a function of a batch of ``textgym.Dialogue``, or the name that imports it, which replies to the
            policy's turns. None: the task's own, or no conversation.
        max_turns: how many turns the policy may write, at most. None: the task's own, or 1.
        max_turn_tokens: how many tokens a turn may have: after so many it ends without an end token. None: the task's
            own, times the tokenizer's ``length_factor``, or no limit.
        turn_template: what comes before and after a reply, such as ``("\\nUser: ", "\\nAssistant:")``. None: the
            task's own, or with ``chat`` what the chat template says, or these two.
        form: "causal", or "seq2seq" for encoder-decoder models, with their decoder_start_token_id (None: pad).
        render_mode: None, "ansi" (``render`` returns a string) or "human" (the completion is printed token by token).

    >>> env = TextGenerationEnv([Prompt("Say hi:", ("hi",))], max_prompt_tokens=16, max_new_tokens=8,
    ...     reward=lambda samples: [float(s.completion in s.references) for s in samples])
    >>> observation, info = env.reset(seed=0)
    >>> for action in env.encode_completion("hi"):
    ...     observation, reward, terminated, truncated, info = env.step(action)
    >>> reward, terminated, info["completion"], info["finish_reason"]
    (1.0, True, 'hi', 'eos')
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        task: Task | Sequence[Prompt],
        reward: Reward | None = None,
        tokenizer: "str | Tokenizer | None" = None,
        *,
        render_mode: str | None = None,
        partner: Partner | str | None = None,
        **options: Unpack[TextOptions],
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise RenderModeError(
                f"render_mode={render_mode!r} is unknown. "
                f"{did_you_mean(str(render_mode), self.metadata['render_modes'])}"
            )
        self.render_mode = render_mode
        self.mdp = TextMDP(task, reward, tokenizer, options)
        self.task, self.tokenizer = task, self.mdp.tokenizer
        self.observation_space: TextSpace = TextSpace(self.mdp.rules, self.mdp.default_model)  # type: ignore[assignment]
        self.action_space = gymnasium.spaces.Discrete(self.mdp.rules.vocab_size)
        self.last_sample: Sample | None = None  # of the last finished episode
        self.last_abstained = False  # whether its reward abstained
        self._buffer = TokenBuffer(self.mdp.rules, 1)
        self._conversations = conversations(self.mdp, partner, 1)
        self.partner = None if self._conversations is None else self._conversations.partner
        self._prompt: Prompt | None = None
        self._prompt_id = -1
        self._running, self._score = False, 0.0
        self.finished = False  # whether the last step ended the episode
        self.turn_ended = False  # whether it ended a turn; an episode without a partner is one turn
        self._numbers = InfoNumbers(1) if self.mdp.rules.infos == "numbers" else None
        self._printer = Printer()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode. ``options={"prompt_id": i}`` plays prompt ``i`` instead of drawing one.

        ``options["partner_seed"]``, an integer, is the seed that the partner gets, instead of a drawn one: episodes of
        one prompt and one such seed meet the same partner.

        Raises:
            SeedError, PromptIdError, ConfigError: the seed, the prompt id or an option makes no sense.
        """
        seed, given = check_seed(seed), check_reset_options(options, reset_options(self._conversations))
        of_partner = partner_seed(given.get("partner_seed"))
        super().reset(seed=seed)
        if seed is not None:
            self.mdp.next_prompt_id = 0
        prompt_id = given.get("prompt_id")
        drawn = self.mdp.draw(self.np_random) if prompt_id is None else prompt_id
        self._prompt, info = self.mdp.start(self._buffer, 0, drawn)
        self._prompt_id, self._running = info["prompt_id"], True
        if self._conversations is not None:
            self._conversations.start(0, self._prompt, self.np_random, of_partner)
        if self._numbers is not None:
            self._numbers.start(0, info)
        if self.render_mode == "human":
            self._printer.begin(self._prompt.text)
        return self._buffer.observation(0), self._shown(info)

    def _shown(self, info: dict[str, Any]) -> dict[str, Any]:
        """What ``infos`` leaves of an info."""
        if self._numbers is not None:
            return self._numbers.of(0, self._buffer.written)
        return info if self.mdp.rules.infos == "all" else {}

    def step(self, action: Any) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Write one token.

        Where the reward or the partner raises, the token is taken back: the same step may be tried again.

        Raises:
            ResetNeededError: no episode is running.
            InvalidActionError: the action is no integer, outside the vocabulary, or masked.
            RewardError: the reward returned something else than a finite number.
            PartnerError: the partner raised, or returned something else than a reply.
        """
        if not self._running or self._prompt is None:
            raise ResetNeededError(
                "No episode is running: call reset() before the first step and after an episode's end."
            )
        rules, buffer = self.mdp.rules, self._buffer
        token = rules.token(action)
        if not 0 <= token < rules.vocab_size:
            raise rules.outside(token)
        code = int(buffer.play(np.array([token]))[0])
        reward: float = 0.0
        info: dict[str, Any] = {}
        self.finished, self.turn_ended = False, code != RUNNING
        if code != RUNNING:
            try:
                code, reward, info = self._end_of_turn(self._prompt, code)
            except BaseException:
                buffer.take_back()
                raise
        if self.render_mode == "human":
            self._printer.show(self._transcript, self._score if self.finished else None, info)
        truncated = code in (LENGTH, FULL) and rules.length_is_truncation
        return buffer.observation(0), reward, self.finished and not truncated, truncated, self._shown(info)

    def _end_of_turn(self, prompt: Prompt, code: int) -> tuple[int, float, dict[str, Any]]:
        """What the turn that ends means: the status of the episode, the step's reward, and its info."""
        buffer, talk, exchange = self._buffer, self._conversations, None
        tokens, info = buffer.generated(0), {}
        turns: tuple[Turn, ...] = ()
        if talk is not None:
            exchange = talk.answer([0], [code], buffer)[0]
            code, turns, info = exchange.code, exchange.dialogue.turns, dict(exchange.info)
            tokens = policy_tokens(turns)
        reward = 0.0 if exchange is None else exchange.reward
        if code != RUNNING:
            drawing = [self.np_random if self.mdp.stochastic else None]
            samples, rewards, finals = self.mdp.finish([prompt], [self._prompt_id], [tokens], [code], drawing, [turns])
            self._running, self.finished = False, True
            self.last_sample, reward, info = samples[0], reward + rewards[0], {**info, **finals[0]}
            self.last_abstained = "reward_abstained" in info
            total = rewards[0] + sum(turn.reward for turn in turns)
            self._score = math.nan if self.last_abstained else total
            if self._numbers is not None:
                self._numbers.end(0, code, info)
        if talk is not None and exchange is not None:
            talk.commit(0, exchange, buffer)
        return code, reward, info

    def get_state(self) -> dict[str, Any]:
        """All that decides what comes next, as plain values and numpy arrays; see ``TextGenerationVectorEnv``."""
        talk = self._conversations
        return {
            **mdp_state(self.mdp, 1),
            "rows": self._buffer.get_state(),
            **({} if talk is None else {"dialogues": talk.get_state()}),
            "prompt_id": self._prompt_id,
            "running": self._running,
            "score": self._score,
            "numbers": None if self._numbers is None else self._numbers.get_state(),
            "np_random": generator_state(self._np_random),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where the environment was whose ``get_state`` returned this. Both have the same arguments.

        Raises:
            ConfigError: the state is that of an environment with other columns, tokens or prompts.
        """
        with reading("the saved state of", type(self).__name__, ConfigError, "Give it what get_state returned."):
            self._prompt = set_mdp_state(self.mdp, state, [state["prompt_id"]])[0]
            self._buffer.set_state(state["rows"])
            if self._conversations is not None:
                self._conversations.set_state(state["dialogues"], [self._prompt], self._buffer)
            self._prompt_id, self._running, self._score = state["prompt_id"], state["running"], state["score"]
            if self._numbers is not None:
                self._numbers.set_state(state["numbers"])
            self._np_random = generator_from(state["np_random"])

    def action_masks(self) -> npt.NDArray[np.int8]:
        """(V,) int8, 1 where a token is legal now: for sb3-contrib, and for ``action_space.sample``. Read-only."""
        mask: npt.NDArray[np.int8] = self.mdp.rules.mask(self._buffer.turn_counts).view(np.int8)[0]
        return mask

    def encode_completion(self, text: str) -> list[int]:
        """The actions that write ``text`` as the completion, and the end token."""
        return self.mdp.rules.encode_completion(text)

    @property
    def completion_so_far(self) -> str:
        """The text that the running, or else the last, episode has written: what its completion is when it ends."""
        talk = self._conversations
        if talk is None:
            return self.mdp.rules.decode_completion(self._buffer.generated(0))
        return talk.completion(0, self._buffer, self._running)

    @property
    def _transcript(self) -> str:
        talk = self._conversations
        return self.completion_so_far if talk is None else talk.transcript(0, self._buffer)

    def render(self) -> str | None:
        """With render_mode "ansi": prompt, completion and, after the end, the reward. "human" prints at each step."""
        if self.render_mode != "ansi":
            return None
        if self._prompt is None:
            return ""
        return frame(self._prompt.text, self._transcript, None if self._running else self._score)
