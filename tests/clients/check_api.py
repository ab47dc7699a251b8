"""Sends requests that are generated from the OpenAPI document of v1 to the local stack, and checks each response against it.

Usage: check_api.py PATH_OF_LOCAL_STACK

What a runtime accepts as content is not in the document, so a request that satisfies it can be refused: that one check is left out.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

KEY = "a key for tests"
# The same requests each time.
SEED, EXAMPLES = "20261129", "40"


def main(program: str) -> int:
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
    with tempfile.TemporaryDirectory() as folder:
        stack = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0", "--data-dir", f"{folder}/data",
             "--api-key", KEY, "--latency-ms", "20"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            lines = (re.search(r"front door +(http\S+)", line) for line in stack.stdout)
            url = next(match for match in lines if match)[1]
            return subprocess.call(
                [schemathesis, "run", f"{url}/openapi.json", "--header", f"x-api-key: {KEY}", "--seed", SEED,
                 "--max-examples", EXAMPLES, "--exclude-checks", "positive_data_acceptance", "--no-color"],
                env=environment, cwd=folder)
        finally:
            stack.terminate()
            stack.communicate()


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
