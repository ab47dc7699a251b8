"""The local stack: front door and AWS APIs for one runtime, whose worker the check starts itself."""

from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from processes import Processes, free_port, wait_until

KEY = "check"


def start(processes: Processes, program: Path, configuration: Path, runtime: str, kind: str, folder: Path) -> tuple[str, str]:
    """The URLs of the front door, which answers when this returns, and of the AWS APIs."""
    url, aws = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    processes.start(
        "local-stack", program, "--config", configuration, "--listen", url.removeprefix("http://"),
        "--aws-listen", aws.removeprefix("http://"), "--data-dir", folder, "--api-key", KEY,
        # Nothing listens there. So the stack's own worker, which waits for its runtime, receives nothing.
        "--runtime", f"{runtime}={kind}:http://127.0.0.1:9",
    )

    def is_up() -> bool:
        processes.must_run()
        try:
            return requests.get(f"{url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    wait_until("the front door answers", 60, is_up)
    return url, aws


def client() -> requests.Session:
    """Calls the front door with a key, and again after a 503, which it answers if calls to the AWS APIs time out on a loaded machine."""
    session = requests.Session()
    session.headers["x-api-key"] = KEY
    session.mount("http://", HTTPAdapter(max_retries=Retry(total=8, backoff_factor=1, status_forcelist=[503], allowed_methods=None)))
    return session
