"""Starting the service."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from serving.settings import Settings, SettingsRefused

#: What BentoML and the libraries read at import or at the start of a worker; an operator's own value stays.
SWITCHES = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
}

#: Seconds that a worker has for the requests it is answering when it is told to stop.
STOP_WITHIN = 10

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
_ROOT = Path(__file__).resolve().parent.parent


def end_with_parent() -> None:
    """Ask the kernel to end this worker when its supervisor is gone, by ``kill -9`` too.

    Otherwise it would go on answering on a port that the next start cannot have. Linux alone knows this; elsewhere
    nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:
        prctl(_DEATH_SIGNAL, signal.SIGTERM)


def serve(settings: Settings) -> int:
    """Run the service until Ctrl-C or SIGTERM.

    The command is BentoML's own, run in this process: it listens, starts the workers, and starts one anew
    that dies. uvicorn takes uvloop and httptools by itself when they are installed.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    SettingsRefused
        When nothing can listen on the address, as when another service does.
    """
    _try_address(settings)
    if "bentoml" in sys.modules:
        raise RuntimeError("BentoML was imported before its switches were set; import it in serving alone.")
    with tempfile.TemporaryDirectory(prefix="resecta-") as home:
        # Running services keep their counts here, and each start empties it: two services need two.
        os.environ.setdefault("BENTOML_HOME", home)
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        os.environ.update(settings.environment())
        # The workers import `serving` wherever the command was called.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))

        from bentoml_cli.cli import cli

        arguments = ["serve", "serving.service:Resecta"]
        arguments += ["--host", settings.host, "--port", str(settings.port)]
        arguments += ["--timeout-graceful-shutdown", str(STOP_WITHIN)]
        return cli.main(arguments, standalone_mode=False) or 0


def _try_address(settings: Settings) -> None:
    """Bind the address for a moment: the server's own failure would be a trace of ten calls."""
    version = ipaddress.ip_address(settings.host).version
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsRefused(
                f"Nothing can listen on {settings.host} port {settings.port}: {error.strerror}. "
                "Set RESECTA_HOST or RESECTA_PORT to another."
            ) from None
