"""Child processes of the check: each with a log file, all stopped at the end."""

import os
from pathlib import Path
import signal
import socket
import subprocess
import time
from typing import Callable, TypeVar

T = TypeVar("T")


class Fault(Exception):
    """What a scenario found wrong, or what does not start."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def wait_until(what: str, seconds: float, condition: Callable[[], T | None], every: float = 0.5) -> T:
    """The first true value of `condition`. After `seconds` a fault, which names the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Fault(f"not within {seconds:.0f} s: {what} (last: {value!r})")
        time.sleep(every)


class Processes:
    """Programs by name, with their output in `<folder>/<name>.log`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.running: dict[str, subprocess.Popen] = {}
        # As Ctrl-C, so that a check that is killed stops them, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *command: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen:
        log = (self.folder / f"{name}.log").open("ab")
        # Nothing here may reach a real account or another cluster.
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=kept | (env or {}),
            # Ctrl-C is for the check, which stops its children in order.
            start_new_session=True,
        )
        log.close()
        self.running[name] = process
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def must_run(self) -> bool:
        """A fault if a program has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = "\n".join(self.log(name).splitlines()[-15:])
                raise Fault(f"{name} ended with {process.returncode}:\n{tail}")
        return True

    def stop(self, name: str, seconds: float = 10) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """In the reverse order of their starts."""
        for name in reversed(list(self.running)):
            self.stop(name)
