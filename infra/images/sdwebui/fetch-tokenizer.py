"""fetch-tokenizer.py REPOSITORY COMMIT: the small files of a text encoder into HF_HOME, as an offline process will look for them."""

import sys

from huggingface_hub import snapshot_download

repository, commit = sys.argv[1:]
# By its branch, since that is the name that SD WebUI asks for; what the branch led to must be the commit.
folder = snapshot_download(
    repository,
    revision="main",
    allow_patterns=["config.json", "merges.txt", "preprocessor_config.json", "special_tokens_map.json", "tokenizer*.json", "vocab.json"],
)
if not folder.endswith(commit):
    sys.exit(f"{repository} has moved from {commit} to {folder.rsplit('/', 1)[1]}: read what changed, then pin that")
