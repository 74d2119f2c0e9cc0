"""DialogueReply: say the next line of a dialogue, which the facts and what was said decide.

A prompt, one of its references, and what a completion scores with the default reward (the rule of what is asked for):

    Dialogue: The Old Oak, pub | soup: 12 coins | opens: 3 pm | bread: 4 coins | owner: Lena Wood
    Customer: Hello. What does the soup cost?
    Clerk:

    " Gladly. The soup costs 12 coins."                     1.00 (a reference)
    " The bread costs 4 coins."                             0.00: it was not asked for
    " I am sorry, but I do not know that."                  0.00
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice, count
from textgym.core import Prompt
from textgym.errors import ConfigError, DatasetError
from textgym.tasks.base import SENTENCES, WorldTask
from textgym.tasks.dataset import Columns, Row, load_rows
from textgym.tasks.prompts import WorldPrompts, fill
from textgym.tasks.source import load_table
from textgym.tasks.transcripts import as_json, turns_of
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, reply_grammar
from textgym.world.replies import ACTS, ANY, careless_replies


class DialogueReply(WorldTask):
    """Say the next line of a dialogue.

    ## Description
    The prompt is a line of facts about a place and a short dialogue of a customer and its clerk; the completion should
    be what the clerk says next. It gives the fact that was asked for ("inform"), asks for what an order leaves open
    ("ask"), repeats an order that is complete ("confirm"), or says sorry where there is no such thing, no answer, or no
    open door ("apologise"). Three replies are the references. ``metadata["act"]`` says which of the four it is;
    ``metadata["wanted"]`` and ``metadata["unwanted"]`` are its rule. The built-in models are trained on as many
    careless replies as good ones, so there is something to learn. One reply is asked for; tasks with several turns are
    the conversations.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | facts, dialogue, ``Clerk:``, padded on the left; of a longer one the end is kept |
    | completion | 40 | tokens | what was generated so far, from column 128 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default 1 if it says all that is wanted, such as
    the price that was asked for, and nothing unwanted, such as other prices, else 0; times 1 if it is one to three
    sentences; times the share of its words that repeat nothing. With a dataset, give a ``reward``, such as
    "rougeL*no_repeats" or, with nltk, "meteor".

    ## Episode End
    The end token, or 40 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | act | "any" | what the reply does: "inform", "ask", "confirm", "apologise" or "any" |
    | speaker | "SYSTEM" | of a dataset's dialogues, whose turns are replies |
    | context | 32 | so many turns of a dataset's dialogue come before the reply |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: turns, references: reply | the dataset's columns; without the second, each turn is a reply |
    | template | "Dialogue: {prompt}" | what surrounds facts and dialogue |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A dataset has a column of whole dialogues, in which each turn of ``speaker`` is the reference of a prompt with the
    turns before it. They are lists of turns with ``speaker`` and ``utterance``, as Schema-Guided Dialogue's (``acts``
    are in ``metadata["acts"]``), or texts with a line for each turn, as MTS-Dialog's: ``columns={"prompt": "dialogue"},
    speaker="Doctor"``. Or it has a column of contexts, and one of replies. Parts that are held out are whole dialogues.

    ## Blind Spots
    What is wanted are words: a reply that has the price and says something false with it, which the rule doesn't name,
    is paid in full, and so is a curt one. A right reply in words that the rule doesn't have gets nothing.

    ## Version History
    - v0: first version.

    >>> prompt = DialogueReply(act="ask")[0]
    >>> prompt.text.startswith("Dialogue: "), prompt.text.endswith("\\nClerk:"), prompt.metadata["act"]
    (True, True, 'ask')
    """

    name = "DialogueReply"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 128
    max_new_tokens = 40
    truncation_side = "left"
    metrics = ("requirements", "meteor", "distinct2", "length")
    default_reward = f"requirements*{SENTENCES}*no_repeats"
    needs_world = "rougeL*no_repeats"

    template = "Dialogue: {prompt}"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "turns", "references": "reply"}
    optional = ("references",)
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"act": (ANY, *ACTS)}
    grammar = staticmethod(reply_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        act: str = ANY,
        speaker: str = "SYSTEM",
        context: int = 32,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.act = choice("act", act, (ANY, *ACTS))
        if not isinstance(speaker, str) or not speaker.strip():
            raise ConfigError(f"speaker={speaker!r}, expected who says the replies, such as 'SYSTEM' or 'Doctor'.")
        self.speaker, self.context = speaker.strip(), count("context", context, least=1)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return partial(reply_grammar, act=self.act)

    def load(
        self,
        dataset: Any,
        split: str,
        columns: Columns,
        optional: tuple[str, ...],
        load_kwargs: Mapping[str, Any] | None,
    ) -> list[Row]:
        """The dialogues of a dataset, or its contexts with their replies. A list of turns is a row's prompt as JSON."""
        table, column = load_table(dataset, split, load_kwargs or {}), columns["prompt"]
        if column in table.column_names and len(table):
            listed = [
                isinstance(value, list) and all(isinstance(turn, dict) for turn in value) for value in table[column]
            ]
            if all(listed):
                columns = {**columns, "prompt": f"{column} as JSON"}
                table = table.add_column(columns["prompt"], [as_json(turns) for turns in table[column]])
        return load_rows(table, split, columns, optional=optional)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        """A prompt for each turn of the speaker, with the replies of all dialogues that begin alike as references."""
        merged: dict[str, tuple[dict[str, None], dict[str, Any]]] = {}
        for row in rows:
            for before, reply, metadata in self._pairs(row):
                references, _ = merged.setdefault(f"{before}\n{self.speaker}:", ({}, metadata))
                references.update(dict.fromkeys(reply))
        if not merged:
            others = sorted({turn.speaker for row in rows[:1000] for turn in turns_of(row.prompt)})
            raise DatasetError(
                f"No turn of {len(rows):,} dialogues is by {self.speaker!r} and has another before it. Their speakers "
                f"are: {', '.join(others)}. Say who replies: speaker=..."
            )
        return [Prompt(fill(template, text), tuple(refs), metadata) for text, (refs, metadata) in merged.items()]

    def _pairs(self, row: Row) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
        """The contexts and replies of a row: its own, or those of each turn of the speaker."""
        if row.references:
            listed = row.prompt.startswith("[{")
            lines = [f"{turn.speaker}: {turn.text}" for turn in turns_of(row.prompt)] if listed else [row.prompt]
            yield "\n".join(lines[-self.context :]), row.references, {}
            return
        lines = []
        for turn in turns_of(row.prompt):
            if turn.speaker == self.speaker and lines:
                yield "\n".join(lines[-self.context :]), (turn.text,), {"acts": turn.acts} if turn.acts else {}
            lines.append(f"{turn.speaker}: {turn.text}")

    def training_completions(self, index: int) -> tuple[str, ...]:
        """Careless replies too, as many as good ones, which leaves reinforcement learning something to do."""
        references = self[index].references
        if not isinstance(self.prompts, WorldPrompts):
            return references
        return (*references, *careless_replies(self.prompts.split, index, self.prompts.seed, self.act))
