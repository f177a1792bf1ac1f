"""Settings of the service, read once from the environment and never changed."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from serving.logs import Form
from serving.tokens import FILE as TOKEN_FILE
from serving.tokens import TokenFile, TokensRefused

#: Values that switch something on; anything else but `OFF` is an error, so that a typing slip is seen.
ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})

#: Characters of RESECTA_TOKEN, as of the ledger's key; `openssl rand -hex 32` gives 64, `resecta token create` more.
SHORTEST_TOKEN = 32


class SettingsRefused(ValueError):
    """The settings do not allow a start; the message names every variable at fault and what it accepts."""


@dataclass(frozen=True)
class Settings:
    """Where the service listens, who may ask, and which model answers.

    Attributes
    ----------
    host, port
        Address to listen on; `host` is an IP address.
    token
        RESECTA_TOKEN: a token with every right, of `SHORTEST_TOKEN` characters at least, or None. It or a usable
        token of `tokens` is required as soon as `host` is not loopback. Left out of `repr`.
    model
        ``models:/<name>@<alias>``, ``models:/<name>/<version>``, or a bundle folder.
    shadow
        A challenger that is scored and recorded beside the model and never shown, named as `model` is, or None.
    store
        Folder of ``mlflow.db`` and ``artifacts/``, absolute.
    workers
        Processes that answer.
    bench
        Whether the constant endpoint exists against which the benchmark compares.
    origins
        Web origins whose pages may ask from a browser; none unless named.
    rate
        Requests a second that one caller may ask of a worker; 0 is without limit; None is the default, which
        spares callers of a service that listens on loopback without tokens.
    log
        How a line for each request is written.
    """

    host: str = "127.0.0.1"
    port: int = 3000
    token: str | None = field(default=None, repr=False)
    model: str = "models:/resecta@champion"
    shadow: str | None = None
    store: Path = Path("mlruns")
    workers: int = 1
    bench: bool = False
    origins: tuple[str, ...] = ()
    rate: float | None = None
    log: Form = Form.JSON

    @property
    def tokens(self) -> Path:
        """The file of tokens."""
        return self.store / TOKEN_FILE

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        host: str | None = None,
        port: int | None = None,
        model: str | None = None,
    ) -> Settings:
        """Read the RESECTA_* variables; an argument that is not None goes before its variable.

        Raises
        ------
        SettingsRefused
            With every problem at once: a host that is no IP address, a host beyond loopback without a token,
            a number out of range, an origin that is none, an unknown form of the log.
        """
        problems: list[str] = []

        def number(name: str, given: int | None, default: int, low: int, high: int) -> int:
            text = str(given) if given is not None else environment.get(name, "").strip() or str(default)
            if text.isascii() and text.isdigit() and low <= int(text) <= high:
                return int(text)
            problems.append(f"{name} is {text!r}; it takes a whole number from {low} to {high}.")
            return default

        address = (host or environment.get("RESECTA_HOST", "")).strip() or cls.host
        if address == "localhost":
            address = cls.host
        store = Path(environment.get("RESECTA_STORE", "").strip() or cls.store).absolute()
        token = environment.get("RESECTA_TOKEN", "").strip() or None
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            problems.append("RESECTA_TOKEN takes printable ASCII characters without spaces.")
        if token is not None and len(token) < SHORTEST_TOKEN:
            problems.append(
                f"RESECTA_TOKEN has {len(token)} characters; it takes a random text of at least {SHORTEST_TOKEN} "
                "characters, as it opens everything. Make one with `openssl rand -hex 32`, or leave it unset and make "
                "tokens with `resecta token create`."
            )
        if not _is_ip(address):
            problems.append(
                f"RESECTA_HOST is {address!r}; it takes an IP address of this machine: "
                f"{cls.host} for this machine alone, 0.0.0.0 for all its networks."
            )
        elif token is None and not is_loopback(address):
            problems.extend(_without_token(address, store / TOKEN_FILE))
        switch = environment.get("RESECTA_BENCH", "").strip().lower()
        if switch not in ON | OFF:
            problems.append(f"RESECTA_BENCH is {switch!r}; it takes 1 or 0.")
        origins = tuple(environment.get("RESECTA_ALLOWED_ORIGINS", "").replace(",", " ").split())
        problems.extend(filter(None, map(_origin_problem, origins)))
        written = environment.get("RESECTA_LOG", "").strip().lower() or cls.log.value
        if written not in set(Form):
            problems.append(f"RESECTA_LOG is {written!r}; it takes {', '.join(Form)}.")
        rate = environment.get("RESECTA_RATE", "").strip() or None
        if rate is not None and not _is_rate(rate):
            problems.append(
                f"RESECTA_RATE is {rate!r}; it takes the requests a second that one caller may ask, from 0.01 to "
                "1000000, or 0 for no limit."
            )
        settings = cls(
            host=address,
            port=number("RESECTA_PORT", port, cls.port, 1, 65535),
            token=token,
            model=(model or environment.get("RESECTA_MODEL", "")).strip() or cls.model,
            shadow=environment.get("RESECTA_SHADOW", "").strip() or None,
            store=store,
            workers=number("RESECTA_WORKERS", None, cls.workers, 1, 64),
            bench=switch in ON,
            origins=origins,
            rate=float(rate) if rate is not None and _is_rate(rate) else None,
            log=Form(written) if written in set(Form) else cls.log,
        )
        if problems:
            raise SettingsRefused("\n".join(problems))
        return settings

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process read these same settings."""
        return {
            "RESECTA_HOST": self.host,
            "RESECTA_PORT": str(self.port),
            "RESECTA_TOKEN": self.token or "",
            "RESECTA_MODEL": self.model,
            "RESECTA_SHADOW": self.shadow or "",
            "RESECTA_STORE": str(self.store),
            "RESECTA_WORKERS": str(self.workers),
            "RESECTA_BENCH": "1" if self.bench else "0",
            "RESECTA_ALLOWED_ORIGINS": " ".join(self.origins),
            "RESECTA_RATE": "" if self.rate is None else repr(self.rate),
            "RESECTA_LOG": self.log.value,
        }


def _without_token(address: str, file: Path) -> list[str]:
    try:
        if any(token.usable(dt.datetime.now(dt.UTC)) for token in TokenFile(file).read()):
            return []
    except TokensRefused as error:
        return [str(error)]
    return [
        f"RESECTA_HOST is {address}, which other machines can reach, {file} holds no usable token and RESECTA_TOKEN "
        "is not set. Run `resecta token create --name NAME --role predict`, set RESECTA_TOKEN to a random text of "
        f"{SHORTEST_TOKEN} characters or more (`openssl rand -hex 32`) that clients must send, or listen on "
        f"{Settings.host}."
    ]


def _origin_problem(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and text == f"{parts.scheme}://{parts.netloc}"
        if whole and parts.username is None and "*" not in text and text == text.lower() and parts.port != 0:
            return None
    except ValueError:
        pass
    return (
        f"RESECTA_ALLOWED_ORIGINS names {text!r}; it takes origins exactly as browsers send them, in lower case and "
        "without a path or a pattern, such as https://board.hospital.example."
    )


def _is_rate(text: str) -> bool:
    try:
        rate = float(text)
    except ValueError:
        return False
    return rate == 0 or 0.01 <= rate <= 1e6


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(text: str) -> bool:
    """Say whether an address is reached from this machine alone; of what is no IP address, that it is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
