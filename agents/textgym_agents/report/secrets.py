"""Values that belong in no file and no log: tokens, keys and passwords among the arguments of a run."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
# The last word of a name says what it is: "hf_token", "api_key", but not "max_new_tokens" or "eos_token_ids".
_NAME = re.compile(r"(?:^|[_\-.\s])(?:token|key|secret|password|passwd|passphrase|credentials?|apikey)$", re.IGNORECASE)
_WRITTEN = re.compile(
    r"""((?:^|[\s{,"'_\-.])(?:token|key|secret|password|passwd|passphrase|credentials?|apikey)["']?\s*[:=]\s*)"""
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,}"']+)""",
    re.IGNORECASE,
)


def is_secret(name: object) -> bool:
    """Whether a value under this name is a secret.

    >>> is_secret("hf_token"), is_secret("api_key"), is_secret("max_new_tokens"), is_secret("decoder_start_token_id")
    (True, True, False, False)
    """
    return isinstance(name, str) and _NAME.search(name) is not None


def without_secrets(value: Any) -> Any:
    """The same plain value, with ``"***"`` in place of each text under the name of a secret, however deep.

    >>> without_secrets({"load_kwargs": {"token": "hf_1", "name": "x"}, "max_new_tokens": 3})
    {'load_kwargs': {'token': '***', 'name': 'x'}, 'max_new_tokens': 3}
    """
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if is_secret(name) and isinstance(one, str) and one else without_secrets(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(without_secrets(one) for one in value) if type(value) in (list, tuple) else value
    return value


def without_hidden(value: Any) -> Any:
    """What :func:`without_secrets` left, without the entries whose value is hidden: the run goes on without them.

    >>> without_hidden({"load_kwargs": {"token": "***", "name": "x"}})
    {'load_kwargs': {'name': 'x'}}
    """
    if isinstance(value, Mapping):
        return {name: without_hidden(one) for name, one in value.items() if not (is_secret(name) and one == HIDDEN)}
    return [without_hidden(one) for one in value] if isinstance(value, list) else value


def hidden_in_text(text: str) -> str:
    """A word of a command line without the values of secrets.

    >>> hidden_in_text('load_kwargs={"token": "hf_1", "name": "x"}'), hidden_in_text("api_key=abc")
    ('load_kwargs={"token": ***, "name": "x"}', 'api_key=***')
    """
    return _WRITTEN.sub(lambda match: match[1] + HIDDEN, text)
