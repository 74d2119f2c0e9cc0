"""CustomerService: a customer with a goal from a dataset of dialogues, such as Schema-Guided Dialogue or Taskmaster.

Customer: I need help.
Clerk: Which city, and how many riders?     the policy asks for "city" and "number of riders", as the dataset names them
Customer: The city is Oakland. The number of riders is 1.
Clerk: A ride for 1 in Oakland.             the policy says the values: 1, half of it for each
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from textgym.core import Prompt
from textgym.errors import DatasetError
from textgym.partners.agenda import Agenda
from textgym.tasks.source import describe, load_table, what_there_is

COLUMNS = ("goal", "goal_json", "utterances", "turns")  # where a goal is looked for, in this order
ANY = "dontcare"  # Schema-Guided Dialogue's value of what the customer leaves open


class CustomerService:
    """Serve customers whose goals are those of logged dialogues. The partner, an ``Agenda``, gives the reward.

    A goal is a slot's name and value for each wish. It is read from one column:

    - a JSON text or a dict of slots and values, or of services each with its ``slots``;
    - the ``turns`` of Schema-Guided Dialogue: the last ``state.slot_values`` of each service, one of several values;
    - Taskmaster's ``utterances`` (its releases of 2019 and 2020): what the user's segments are annotated with,
      ``time.reservation`` as "reservation time", later ones in place of earlier ones, without those rejected.

    Each service of a dialogue is a prompt of its own. What a logged customer said is not replayed: a log has no answer
    to what was never asked.

    Args:
        split: of the dataset.
        dataset: a path, a name on the hub, or a loaded dataset, see :func:`textgym.tasks.dataset.load_rows`.
        columns: ``{"goal": column}``. None: goal, goal_json, utterances or turns, whichever is there.
        text: the prompt.
        noise: with this chance the customer doesn't understand a turn.
        max_rows: read no more rows.
        load_kwargs: arguments of ``datasets.load_dataset``.

    Attributes:
        skipped: dialogues without a slot.

    Raises:
        DatasetError: it can't be loaded, has no such split or column, or a row holds no goal in one of these forms.
        ConfigError: ``noise`` is no number from 0 up to 1.

    >>> from datasets import Dataset
    >>> rides = Dataset.from_list([{"goal": '{"city": "Oakland", "number_of_riders": "1"}'}])
    >>> task = CustomerService(dataset=rides)
    >>> dict(task[0].metadata["goal"])
    {'city': 'Oakland', 'number_of_riders': '1'}
    >>> import textgym
    >>> env = textgym.wrappers.CompletionAction(textgym.TextGenerationEnv(task))
    >>> observation, info = env.reset(seed=0)
    >>> for text in (" Which city?", " A ride for 1 in Oakland."):
    ...     observation, reward, terminated, truncated, info = env.step(text)
    ...     print(info["turns"][-1].text, reward)
    The city is Oakland. 0.0
    Yes, thank you. 1.0
    """

    name: ClassVar[str] = "CustomerService"
    max_prompt_tokens: int = 24
    max_new_tokens: int = 144  # and three times as many of both fit into the built-in model
    max_turns: int = 8
    truncation_side: Literal["left", "right"] = "left"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    turn_template: tuple[str, str] = ("\nCustomer: ", "\nClerk:")

    def __init__(
        self,
        split: str = "train",
        *,
        dataset: Any,
        columns: Mapping[str, str] | None = None,
        text: str = "Customer: I need help.\nClerk:",
        noise: float = 0.0,
        max_rows: int | None = None,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.partner = Agenda(noise)
        table, name = load_table(dataset, split, load_kwargs or {}, max_rows), describe(dataset)
        column = _column(table, columns, name)
        goals, self.skipped = [], 0
        for row, value in enumerate(table[column]):
            try:
                found = [goal for goal in _goals(value) if goal]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DatasetError(
                    f"Row {row} of {name} has no goal in column {column!r}: {str(value)[:80]!r} ({error}). Expected "
                    "slots and values, or a dialogue as in Schema-Guided Dialogue or Taskmaster; see CustomerService."
                ) from error
            self.skipped += not found
            goals += found
        if not goals:
            raise DatasetError(f"No row of {name} has a slot with a value in column {column!r}, expected one or more.")
        self.prompts: Sequence[Prompt] = self.partner.prompts(goals, text)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


def _column(table: Any, columns: Mapping[str, str] | None, name: str) -> str:
    if columns is not None and set(columns) != {"goal"}:
        raise DatasetError(f"columns is {columns!r}, expected the column of the goals: {{'goal': ...}}.")
    wanted = COLUMNS if columns is None else (columns["goal"],)
    found = next((column for column in wanted if column in table.column_names), None)
    if found is None:
        raise DatasetError(
            f"There is no column {' or '.join(map(repr, wanted))} in {name}. "
            f"{what_there_is(wanted[0], table.column_names)} Say which one has the goals: columns={{'goal': ...}}."
        )
    return found


def _goals(value: Any) -> list[dict[str, str]]:
    """The goals of a row, one for each service."""
    value = json.loads(value) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        services = [part["slots"] for part in value.values() if isinstance(part, Mapping) and "slots" in part]
        return [_texts(slots) for slots in services or [value]]
    turns = list(value)
    if any("frames" in turn for turn in turns):
        return list(_states(turns).values())
    return [dict(_annotated(turns))]


def _texts(slots: Mapping[str, Any]) -> dict[str, str]:
    """The slots with a value, as texts; of several values the first."""
    goal = {}
    for slot, value in slots.items():
        one = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(one, Mapping):
            raise ValueError(f"the value of {slot!r} is a dict")
        text = "" if one is None or isinstance(one, list | tuple) else str(one).strip()
        if text and text != ANY and slot.strip():
            goal[slot] = text
    return goal


def _states(turns: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By its service the last state of Schema-Guided Dialogue's frames."""
    states = {}
    for turn in turns:
        for frame in turn.get("frames") or ():
            slots = (frame.get("state") or {}).get("slot_values")
            if slots:
                states[frame["service"]] = _texts(slots)
    return states


def _annotated(utterances: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The slots and values of Taskmaster's user."""
    for utterance in utterances:
        if utterance["speaker"].upper() != "USER":
            continue
        for segment in utterance.get("segments") or ():
            text = segment["text"].strip(" .,;:!?")
            for annotation in segment["annotations"]:
                slot = _slot(annotation["name"])
                if slot and text:
                    yield slot, text


def _slot(name: str) -> str:
    """A slot's name from an annotation's; empty for what the user rejects.

    >>> _slot("restaurant_reservation.time.reservation.accept"), _slot("flight_search.destination1")
    ('reservation time', 'destination1')
    >>> _slot("num.tickets"), _slot("coffee_ordering.size.drink.reject")
    ('tickets num', '')
    """
    parts = name.split(".")
    if parts[-1] == "reject":
        return ""
    parts = parts[:-1] if parts[-1] == "accept" else parts
    if len(parts) > 2 or "_" in parts[0]:  # a domain comes first
        parts = parts[1:] or parts
    return re.sub(r"[_\s]+", " ", " ".join(reversed(parts))).strip()
