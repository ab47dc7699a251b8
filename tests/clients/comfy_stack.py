"""The local stack for checks of clients: started as its users start it, and again at the same addresses."""

import os
import re
import subprocess

KEY = "a key for tests"


class Stack:
    def __init__(self, program: str, folder: str, former: "Stack | None" = None):
        """A stack that keeps its data in that folder; at the addresses of a former one, which has stopped."""
        listen, aws_listen = (former.listen, former.aws_listen) if former else ("127.0.0.1:0", "127.0.0.1:0")
        self.process = subprocess.Popen(
            [program, "--listen", listen, "--aws-listen", aws_listen, "--data-dir", f"{folder}/data",
             "--api-key", KEY, "--latency-ms", "3000"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "NO_PROXY": "*"})
        self.url = self.address(r"front door +(http\S+)")
        self.listen = self.url.removeprefix("http://")
        self.aws_listen = self.address(r"aws apis +(http\S+)").removeprefix("http://")

    def address(self, pattern: str) -> str:
        found = (re.search(pattern, line) for line in self.process.stdout)
        return next(match for match in found if match)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.communicate()
