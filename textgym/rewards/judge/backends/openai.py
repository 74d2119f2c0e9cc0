"""A judge behind any server that speaks the OpenAI chat protocol."""

import base64
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from textgym.errors import ConfigError, JudgeError, MissingExtraError
from textgym.rewards.judge.backends.account import CHARS_PER_TOKEN, Account, Usage
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.backends.features import REFUSED, STRUCTURED, Features, request_fields
from textgym.rewards.judge.backends.logprobs import with_probabilities
from textgym.rewards.judge.backends.retry import AGAIN, Failure, ask_until_verdict, retry_after
from textgym.rewards.judge.prompt import Chat, Message, reminded
from textgym.rewards.judge.reading import parse_verdict

KEY_VARIABLE = "OPENAI_API_KEY"


class OpenAIBackend:
    """A judge behind any server with the OpenAI chat protocol: OpenAI, vLLM, Ollama, llama.cpp, ``transformers serve``.

    Where the server has them, replies are JSON by a schema, and the score is the expected value over the levels' tokens
    (component ``label_mass``: their probability together). A server that refuses either is asked without it from then
    on; where it ignores them, the verdict is read from the reply's text. Needs the extra ``judge``.

    Args:
        model: the server's name for the model.
        base_url: where the server is, such as ``"http://127.0.0.1:8000/v1"``. None: ``OPENAI_BASE_URL``, else OpenAI.
        api_key: the key. None: ``OPENAI_API_KEY``. A server on this machine needs none. The key is in no repr, message
            or pickle: an unpickled backend reads ``OPENAI_API_KEY``. Copies within the process keep it.
        timeout: seconds to wait for the server before the call fails.
        max_retries: further attempts after a timeout, a broken connection, status 408, 409, 425, 429 or 5xx, a body
            that is cut, a refusal, or a reply without a verdict. After a reply, only the verdict is asked for.
        first_wait: bound in seconds of the wait before the second attempt. Waits are random, and their bound doubles.
        longest_wait: bound in seconds of every wait. A server that asks for a longer one (``Retry-After``) has failed.
        temperature: 0 for the same verdict each time. None leaves it out, for models that refuse it.
        max_tokens: budget of the reply; a reply that is cut off is a failure. Reasoning models need thousands.
        structured: ask for replies by a JSON schema (``response_format``).
        logprobs: ask for the log-probabilities of the reply's tokens.
        extra_body: further fields of the request. ``{"chat_template_kwargs": {"sanitize_control_tokens": True}}``
            makes ``transformers serve`` and vLLM disarm control tokens as well.
        control_tokens: the special tokens of the server's model, where they aren't like ``<|...|>`` or ``</s>``.
        account: a budget and rates, and what is spent, see Account. None: one of its own, without bounds.

    Raises:
        MissingExtraError: the ``openai`` package isn't installed.
        ConfigError: no key for a server that isn't on this machine.
        BudgetError: (at a call) the account's budget has no room for another request.

    >>> OpenAIBackend("tiny", "http://127.0.0.1:8000/v1")
    OpenAIBackend('tiny', base_url='http://127.0.0.1:8000/v1')
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60,
        max_retries: int = 5,
        first_wait: float = 0.5,
        longest_wait: float = 60,
        temperature: float | None = 0,
        max_tokens: int = 1024,
        structured: bool = True,
        logprobs: bool = True,
        extra_body: Mapping[str, Any] | None = None,
        control_tokens: Sequence[str] = (),
        account: Account | None = None,
    ) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("openai", "tenacity")):
            raise MissingExtraError("LLMJudge with an OpenAI-compatible server", "judge")
        if timeout <= 0 or max_retries < 0 or max_tokens < 1 or not 0 <= first_wait <= longest_wait:
            raise ConfigError(
                f"OpenAIBackend got timeout={timeout}, max_retries={max_retries}, max_tokens={max_tokens}, "
                f"first_wait={first_wait}, longest_wait={longest_wait}. Expected a timeout above 0 seconds, 0 or more "
                "retries, 1 or more tokens, and a first wait of 0 or more seconds, no longer than the longest one."
            )
        self.model, self.base_url = model, base_url or os.environ.get("OPENAI_BASE_URL") or None
        self.timeout, self.max_retries = timeout, max_retries
        self.first_wait, self.longest_wait = first_wait, longest_wait
        self.temperature, self.max_tokens = temperature, max_tokens
        self.extra_body, self.control_tokens = dict(extra_body or {}), tuple(control_tokens)
        self.structured, self.logprobs = structured, logprobs
        self._features = Features(structured, logprobs)
        self.account = Account() if account is None else account
        self._api_key, self._unpickled = api_key, False
        self._client: Any = None
        self._client_process = 0
        self._key()

    @property
    def identity(self) -> str:
        """The server, the model and the settings of a request."""
        body = hashlib.sha256(json.dumps(self.extra_body, sort_keys=True, default=str).encode()).hexdigest()
        settings = [self.model, _without_credentials(self.base_url), self.temperature, self.max_tokens, body]
        return f"OpenAIBackend {json.dumps([*settings, self.structured, self.logprobs])}"

    def __call__(self, messages: Chat, /) -> Verdict:
        """The verdict of the first attempt that gives one.

        Raises:
            JudgeError: the last attempt gave no reply, a refusal, an empty or truncated reply, or none with a verdict.
        """
        client, attempts, chat, usage = self._connect(), 0, messages, Usage()

        def ask() -> Verdict | Failure:
            nonlocal attempts, chat, usage
            attempts += 1
            outcome, used = self._attempt(client, chat, structured=chat is messages)
            usage += used
            if isinstance(outcome, Failure) and outcome.replied and isinstance(messages, Chat):
                chat = reminded(messages)  # at temperature 0 the same words would get the same reply, in the same form
            return outcome

        outcome = ask_until_verdict(
            ask, attempts=self.max_retries + 1, first_wait=self.first_wait, longest_wait=self.longest_wait
        )
        if isinstance(outcome, Verdict):
            return replace(outcome, usage=usage)
        raise JudgeError(f"{self!r}: {outcome.reason} (attempts: {attempts}, timeout {self.timeout:g} s)")

    def _attempt(self, client: Any, messages: list[Message], structured: bool) -> tuple[Verdict | Failure, Usage]:
        """One question: a request, and more where the server refuses an optional field of it."""
        fields = self._features.wanted(messages)
        fields = tuple(name for name in fields if structured or name != STRUCTURED)
        left_out, usage = None, Usage()
        while True:
            reply, used = self._request(client, messages, fields)
            usage += used
            if not isinstance(reply, Failure):
                self._features.answered(fields, left_out)
                return self._read(reply, messages), usage
            suspect = self._features.suspect(fields, reply.reason) if reply.status in REFUSED else None
            if suspect is None:
                return reply, usage
            left_out, fields = suspect, tuple(name for name in fields if name != suspect)

    def _request(self, client: Any, messages: list[Message], fields: tuple[str, ...]) -> tuple[Any, Usage]:
        """The choice of a reply, or a failure. Nothing that the client raised leaves this: it holds the key."""
        # OpenAI's own models refuse the old name of this field; other servers may not accept the new one.
        settings: dict[str, Any] = {"max_tokens" if self.base_url else "max_completion_tokens": self.max_tokens}
        settings |= {} if self.temperature is None else {"temperature": self.temperature}
        settings |= request_fields(fields, messages) if isinstance(messages, Chat) else {}
        chars = sum(len(message["content"]) for message in messages)
        with self.account.request(chars) as spend:
            try:
                completion = client.chat.completions.create(
                    model=self.model, messages=messages, extra_body=self.extra_body or None, **settings
                )
                choice = completion.choices[0]
                text, refusal, _ = choice.message.content, choice.message.refusal, choice.finish_reason
            except Exception as error:
                status = getattr(error, "status_code", None)
                again = status is None or status in AGAIN or status >= 500 or status == 200
                wait = retry_after(getattr(getattr(error, "response", None), "headers", {}))
                return Failure(self._reason(error), again, wait, status=status), self.account.usage(0, 0)
            tokens = _tokens(completion, chars, str(text or refusal or ""))
            spend(*tokens)
        return choice, self.account.usage(*tokens)

    def _read(self, choice: Any, messages: list[Message]) -> Verdict | Failure:
        """The verdict in a reply."""
        text, refusal, finish = choice.message.content, choice.message.refusal, choice.finish_reason
        if refusal or finish == "content_filter":
            reason = f"the judge refused: {str(refusal or finish)[:200]!r}"
        elif not isinstance(text, str) or not text.strip():
            reason = f"the reply is empty (finish_reason {finish!r})"
        elif finish == "length":  # what is cut off may be a quotation: its last line is no verdict
            reason = f"the reply was cut off at max_tokens={self.max_tokens}, give it more"
        else:
            chat = messages if isinstance(messages, Chat) else None
            try:
                verdict = replace(parse_verdict(text, chat), reply=self._redacted(text))
                tokens = getattr(getattr(choice, "logprobs", None), "content", None)
                return verdict if chat is None else with_probabilities(verdict, chat, tokens)
            except JudgeError as error:
                reason = str(error)
        return Failure(self._redacted(reason), replied=True)

    def _connect(self) -> Any:
        if self._client is None or self._client_process != os.getpid():  # a forked copy would share the connections
            from openai import OpenAI

            self._client_process = os.getpid()
            self._client = OpenAI(api_key=self._key(), base_url=self.base_url, timeout=self.timeout, max_retries=0)
        return self._client

    def _key(self) -> str:
        key = self._api_key or os.environ.get(KEY_VARIABLE)
        if key:
            return key
        if _is_loopback(self.base_url):
            return "none"  # the client insists on a key, a local server doesn't
        lost = " A key given as an argument doesn't travel in pickles." if self._unpickled else ""
        raise ConfigError(f"{self!r} needs a key. Pass api_key=..., or set {KEY_VARIABLE} in the environment.{lost}")

    def _reason(self, error: Exception) -> str:
        what = f"{type(error).__name__}: {self._redacted(str(error))[:300]}"
        if isinstance(error, AttributeError | TypeError | IndexError | KeyError):
            return f"the server's answer is no chat completion ({what})"
        return f"the call failed ({what})"

    def _redacted(self, text: str) -> str:
        for secret in _secrets(self._api_key or os.environ.get(KEY_VARIABLE), self.base_url):
            text = text.replace(secret, "***")  # a server may echo what it was sent
        return text

    def __repr__(self) -> str:
        return f"OpenAIBackend({self.model!r}, base_url={_without_credentials(self.base_url)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_api_key": None, "_client": None, "_unpickled": True}

    def __deepcopy__(self, memo: dict[int, Any]) -> "OpenAIBackend":
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)  # settings aren't changed after construction, and the client is thread-safe
        return copy


def _tokens(completion: Any, chars: int, reply: str) -> tuple[int, int]:
    """Tokens read and written, as the server says; one that doesn't say gets an estimate."""
    usage = getattr(completion, "usage", None)
    read, written = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    return (
        read if isinstance(read, int) else round(chars / CHARS_PER_TOKEN),
        written if isinstance(written, int) else round(len(reply) / CHARS_PER_TOKEN),
    )


def _is_loopback(url: str | None) -> bool:
    host = urlsplit(url or "").hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _without_credentials(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _secrets(key: str | None, url: str | None) -> list[str]:
    """What a request holds that belongs in no text: the key, and the password and the parameters in the address."""
    parts = urlsplit(url or "")
    found = [key or "", *(value for _, value in parse_qsl(parts.query))]
    if parts.password:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
        found += [base64.b64encode(login.encode()).decode(), parts.password, unquote(parts.password)]
    return sorted({secret for secret in found if secret}, key=len, reverse=True)
