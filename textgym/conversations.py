"""The conversations of an environment's rows: what happens when a turn of the policy ends.

The step that writes the last token of a turn asks the partner, gives its reward, and appends its reply to the
observation. What learners of token level need:

- An observation grows by the policy's token, and by the partner's tokens where a turn ended. There is no key of its own
  for them: ``model(**batch)`` would take it. ``info["turns"]`` of that step, and at an end ``Sample.turns``, say who
  wrote which tokens, in order: together they are all tokens after the prompt.
- The policy's tokens alone are actions. A partner's tokens have no log-probability, value, entropy, KL or gradient.
- A turn's reward is on the step that ended it, the reward of the whole completion on the last step, beside that of the
  last turn. A discount counts the policy's tokens.
- The last reply of an episode is in ``Sample.turns`` without tokens: no action follows it. "done" and "turns"
  terminate. "full", as "length", does too, or truncates with ``length_is_truncation``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from textgym.arguments import count
from textgym.core import Prompt, Turn, policy_text
from textgym.dialogue import Dialogue, Partner, Reply, ask_partner, partner_name
from textgym.errors import ConfigError, PartnerError
from textgym.importable import named
from textgym.infos import Metadata
from textgym.mdp import TextMDP
from textgym.rules import DONE, EOS, FULL, LENGTH, RUNNING, TURNS
from textgym.token_buffer import TokenBuffer
from textgym.turn_template import TurnTemplate

SEEDS = 2**63  # of an episode's partner


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn of the policy that has ended, and what the partner made of it.

    Attributes:
        dialogue: with the turn, and the reply.
        code: the status of the row: RUNNING where the policy goes on.
        inserted: the token ids to append.
        reward: of the turn.
        info: for the step.
    """

    dialogue: Dialogue
    code: int
    inserted: tuple[int, ...]
    reward: float
    info: Mapping[str, Any]


class Conversations:
    """The dialogues of all rows.

    Args:
        mdp: whose rules and prompts they follow.
        partner: replies to a batch of dialogues.
        rows: how many.

    Raises:
        ConfigError: ``partner`` can't be called, or the budget has no room for a second turn.
    """

    def __init__(self, mdp: TextMDP, partner: Partner, rows: int) -> None:
        if not callable(partner) or isinstance(partner, type):
            raise ConfigError(f"partner={partner!r} can't be called, expected a function of a batch of dialogues.")
        self.mdp, self.partner = mdp, partner
        self.template = TurnTemplate(mdp.rules)
        self.dialogues: list[Dialogue | None] = [None] * rows
        least = len(self.template.after("", ended=True))
        if mdp.rules.max_turns > 1 and mdp.rules.max_new_tokens < least + 2:
            raise ConfigError(
                f"max_new_tokens={mdp.rules.max_new_tokens} has no room for two turns: between them the template "
                f"alone takes {least} tokens. Raise it, or give a shorter turn_template."
            )

    def start(self, row: int, prompt: Prompt, generator: np.random.Generator, seed: int | None = None) -> None:
        """Begin a row's conversation, with a seed of its own if none is given."""
        self.dialogues[row] = Dialogue(prompt, (), int(generator.integers(SEEDS)) if seed is None else seed)

    def answer(self, rows: Sequence[int], codes: Sequence[int], buffer: TokenBuffer) -> list[Exchange]:
        """Ask the partner once for all rows whose turn has ended. Nothing changes before :meth:`commit`."""
        spoken = [self._with_turn(row, buffer) for row in rows]
        # Who was cut off in the middle of a turn isn't answered.
        asked = [i for i, code in enumerate(codes) if code != LENGTH]
        replies = ask_partner(self.partner, [spoken[i] for i in asked], [rows[i] for i in asked])
        given = dict(zip(asked, replies, strict=True))
        counts = buffer.counts
        return [
            self._exchange(spoken[i], given.get(i), row, int(counts[row]), int(codes[i])) for i, row in enumerate(rows)
        ]

    def _with_turn(self, row: int, buffer: TokenBuffer) -> Dialogue:
        dialogue, ids = cast(Dialogue, self.dialogues[row]), buffer.turn(row)
        turn = Turn("policy", self.mdp.rules.decode_completion(ids), tuple(ids))
        return replace(dialogue, turns=(*dialogue.turns, turn))

    def _exchange(self, dialogue: Dialogue, reply: Reply | None, row: int, used: int, code: int) -> Exchange:
        if reply is None:
            return Exchange(dialogue, code, (), 0.0, {"turns": dialogue.turns})
        inserted: tuple[int, ...] = ()
        if reply.done:
            status = DONE
        elif len(dialogue.said) >= self.mdp.rules.max_turns:
            status = TURNS
        else:
            status, inserted = RUNNING, self._encoded(reply, row, ended=code == EOS)
            if used + len(inserted) >= self.mdp.rules.max_new_tokens:  # the policy's next token must fit too
                status, inserted = FULL, ()
        turn = replace(dialogue.turns[-1], reward=reply.reward)
        turns = (*dialogue.turns[:-1], turn, Turn("partner", reply.text, inserted))
        info = {"turns": turns, **({"partner_info": Metadata(reply.info)} if reply.info else {})}
        return Exchange(replace(dialogue, turns=turns), status, inserted, reply.reward, info)

    def _encoded(self, reply: Reply, row: int, ended: bool) -> tuple[int, ...]:
        try:
            return tuple(self.template.after(reply.text, ended))
        except Exception as error:  # such as half a character that no tokenizer can read
            raise PartnerError(
                f"The tokenizer can't encode what partner {partner_name(self.partner)!r} replied in row {row}, "
                f"{reply.text[:60]!r}: {error}"
            ) from error

    def commit(self, row: int, exchange: Exchange, buffer: TokenBuffer) -> None:
        """Write the reply into the row."""
        self.dialogues[row] = exchange.dialogue
        if exchange.code == RUNNING:
            buffer.insert(row, exchange.inserted)

    def completion(self, row: int, buffer: TokenBuffer, running: bool) -> str:
        """What a row's completion is if its episode ends now."""
        dialogue = self.dialogues[row]
        if dialogue is None:
            return ""
        return policy_text((self._with_turn(row, buffer) if running else dialogue).turns)

    def transcript(self, row: int, buffer: TokenBuffer) -> str:
        """All that was said after the prompt, by both sides, as the model sees it."""
        dialogue, tokenizer = self.dialogues[row], self.mdp.tokenizer
        text = tokenizer.decode(buffer.generated(row), skip_special_tokens=True)
        last = dialogue.turns[-1] if dialogue is not None and dialogue.turns else None
        if last is not None and last.speaker == "partner" and not last.token_ids:  # the last reply isn't written
            text += self.template.head + last.text
        return text

    def get_state(self) -> list[dict[str, Any] | None]:
        """Each row's seed and turns, as plain values."""
        return [
            None
            if one is None
            else {
                "seed": one.seed,
                "turns": [[turn.speaker, turn.text, list(turn.token_ids), turn.reward] for turn in one.turns],
            }
            for one in self.dialogues
        ]

    def set_state(
        self, state: Sequence[Mapping[str, Any] | None], prompts: Sequence[Prompt | None], buffer: TokenBuffer
    ) -> None:
        """Continue from :meth:`get_state`, after the buffer has its tokens back."""
        for row, (one, prompt) in enumerate(zip(state, prompts, strict=True)):
            if one is None or prompt is None:
                self.dialogues[row] = None
                continue
            turns = tuple(Turn(speaker, text, tuple(ids), reward) for speaker, text, ids, reward in one["turns"])
            self.dialogues[row] = Dialogue(prompt, turns, one["seed"])
            if turns and turns[-1].speaker == "partner":
                before = sum(len(turn.token_ids) for turn in turns)
                buffer.set_turn(row, before, sum(len(turn.token_ids) for turn in turns if turn.speaker == "partner"))


def reset_options(talk: Conversations | None) -> tuple[str, ...]:
    """The options of ``reset``: ``partner_seed`` is for those who have a partner."""
    return ("prompt_id",) if talk is None else ("prompt_id", "partner_seed")


def partner_seed(value: object) -> int | None:
    """The option ``partner_seed`` of ``reset``.

    Raises:
        ConfigError: it is neither None nor an integer from 0 to 2**63 - 1.
    """
    return None if value is None else count("partner_seed", value, least=0, most=SEEDS - 1)


def policy_tokens(turns: Sequence[Turn]) -> list[int]:
    """The tokens that the policy wrote.

    >>> policy_tokens((Turn("policy", "a", (5, 1)), Turn("partner", "b", (7, 8)), Turn("policy", "c", (6,))))
    [5, 1, 6]
    """
    return [token for turn in turns if turn.speaker == "policy" for token in turn.token_ids]


def conversations(mdp: TextMDP, partner: "Partner | str | None", rows: int) -> Conversations | None:
    """The conversations of an environment with a partner, its own or its task's; None without one.

    Raises:
        ConfigError: as :class:`Conversations`; or ``max_turns``, ``max_turn_tokens`` or ``turn_template`` without a
            partner.
    """
    chosen: Any = getattr(mdp.task, "partner", None) if partner is None else partner
    if chosen is not None:
        found: Callable[..., Any] = named(chosen) if isinstance(chosen, str) else chosen
        return Conversations(mdp, found, rows)
    rules = mdp.rules
    if rules.max_turns > 1 or rules.turn_template is not None or rules.max_turn_tokens is not None:
        raise ConfigError(
            f"max_turns={rules.max_turns}, max_turn_tokens={rules.max_turn_tokens} and turn_template="
            f"{rules.turn_template!r} are of a conversation, and there is no partner. Pass partner=, a function of a "
            "batch of textgym.Dialogue."
        )
    return None
