"""rules.py DOCKERFILE...: what we ask of images beyond hadolint. Prints a line per fault; any makes it fail."""

import re
import sys
from pathlib import Path
from typing import Iterator

from dockerfile_parse import DockerfileParser

WEIGHTS = re.compile(r"\.(safetensors|ckpt|pth?|gguf|onnx|bin)\b")
# A full version, such as 3.12.13-slim-bookworm. A shorter one moves with every release.
VERSION = re.compile(r":v?\d+\.\d+\.\d+([.-][a-z0-9.-]+)?$")


def faults(dockerfile: Path) -> Iterator[str]:
    with dockerfile.open("rb") as file:
        instructions = DockerfileParser(fileobj=file).structure
    stages: set[str] = set()
    user = None
    entry = False
    for instruction in instructions:
        name, value = instruction["instruction"], instruction["value"]
        line = instruction["startline"] + 1
        if name == "FROM":
            base, _, stage = re.sub(r"--platform=\S+\s+", "", value).partition(" AS ")
            if base not in stages | {"scratch"} and not VERSION.search(base):
                yield f"{line}: {base} is not pinned to a full version"
            stages.add(stage)
            user, entry = None, False
        elif name == "USER":
            user = value
        elif name == "ENTRYPOINT":
            entry = value.startswith("[")
        elif name == "ADD":
            yield f"{line}: ADD fetches and unpacks without a word; use COPY, or fetch what a commit or a version pins"
        if name in ("RUN", "COPY") and WEIGHTS.search(value):
            yield f"{line}: models belong in the bucket, not in an image"
        if name == "RUN" and re.search(r"\b(curl|wget)\s+(-|[\"'$]|https?:)", value) and "sha256sum" not in value:
            yield f"{line}: what is downloaded has no checksum"
        if name == "RUN" and re.search(r"\bgit clone\b(?!.*--branch v?\d+\.\d+\.\d+\b)", value, re.DOTALL):
            yield f"{line}: a clone without a version is another one tomorrow"
    if user is None or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user):
        yield f"the last stage runs as {user or 'root'}: Kubernetes' runAsNonRoot wants numbers, and not those of root"
    if not entry:
        yield "the last stage has no ENTRYPOINT as a list; a shell in between would keep signals to itself"


if __name__ == "__main__":
    found = [f"{name}: {fault}" for name in sys.argv[1:] for fault in faults(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
