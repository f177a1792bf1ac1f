"""Settings of the service, read once from the environment and never changed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Values that switch something on; anything else but `OFF` is an error, so that a typing slip is seen.
ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


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
        What a client must show, or None. Required as soon as `host` is not loopback. Left out of `repr`.
    model
        ``models:/<name>@<alias>``, ``models:/<name>/<version>``, or a bundle folder.
    store
        Folder of ``mlflow.db`` and ``artifacts/``, absolute.
    workers
        Processes that answer.
    bench
        Whether the constant endpoint exists against which the benchmark compares.
    """

    host: str = "127.0.0.1"
    port: int = 3000
    token: str | None = field(default=None, repr=False)
    model: str = "models:/resecta@champion"
    store: Path = Path("mlruns")
    workers: int = 1
    bench: bool = False

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
            a port or a number of workers out of range.
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
        token = environment.get("RESECTA_TOKEN", "").strip() or None
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            problems.append("RESECTA_TOKEN takes printable ASCII characters without spaces.")
        if not _is_ip(address):
            problems.append(
                f"RESECTA_HOST is {address!r}; it takes an IP address of this machine: "
                f"{cls.host} for this machine alone, 0.0.0.0 for all its networks."
            )
        elif token is None and not is_loopback(address):
            problems.append(
                f"RESECTA_HOST is {address}, which other machines can reach, and RESECTA_TOKEN is not set. "
                f"Set RESECTA_TOKEN to a long random text that clients must send, or listen on {cls.host}."
            )
        switch = environment.get("RESECTA_BENCH", "").strip().lower()
        if switch not in ON | OFF:
            problems.append(f"RESECTA_BENCH is {switch!r}; it takes 1 or 0.")
        settings = cls(
            host=address,
            port=number("RESECTA_PORT", port, cls.port, 1, 65535),
            token=token,
            model=(model or environment.get("RESECTA_MODEL", "")).strip() or cls.model,
            store=Path(environment.get("RESECTA_STORE", "").strip() or cls.store).absolute(),
            workers=number("RESECTA_WORKERS", None, cls.workers, 1, 64),
            bench=switch in ON,
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
            "RESECTA_STORE": str(self.store),
            "RESECTA_WORKERS": str(self.workers),
            "RESECTA_BENCH": "1" if self.bench else "0",
        }


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
