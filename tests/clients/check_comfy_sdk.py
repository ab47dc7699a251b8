"""Runs workflows through the official Python SDK of Comfy (comfy-sdk), unchanged, on the local stack.

Usage: check_comfy_sdk.py PATH_OF_LOCAL_STACK

Submit, poll, download, upload, cancel, failure, key reuse, labels; the stack is restarted in between.
"""

import io
import os
import sys
import tempfile
import uuid

from comfy_stack import KEY, Stack

# The SDK reads its address when a client is constructed.
os.environ.update(COMFY_API_KEY=KEY, NO_PROXY="*", no_proxy="*")

from comfy_sdk import Comfy, exceptions  # noqa: E402

SECONDS = 60


def picture(color: int, **inputs) -> dict:
    """A workflow that saves a picture of that colour."""
    image = {"width": 32, "height": 32, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**image, **inputs}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "v2/image"}},
    }


def submit(comfy: Comfy, graph: dict, **options):
    return comfy.submit(comfy.workflows.from_json(graph), **options)


def run(comfy: Comfy, graph: dict):
    return comfy.run(comfy.workflows.from_json(graph), timeout=SECONDS)


def refused(exception: type, call) -> Exception:
    try:
        result = call()
    except exception as error:
        return error
    raise AssertionError(f"{result} instead of {exception}")


def submit_and_download(comfy: Comfy):
    graph = picture(1)
    graph["3"] = {"class_type": "PreviewAny", "inputs": {"source": "hello"}}
    job = run(comfy, graph)
    [image] = [output for output in job.outputs if output.type == "image"]
    [text] = [output for output in job.outputs if output.type == "text"]
    png = image.to_bytes()
    assert png.startswith(b"\x89PNG") and len(png) == image.size_bytes, image
    assert image.to_bytes(range=(0, 7)) == png[:8]
    assert image.get_download_url().url.startswith("http")
    assert text.to_bytes() == b"hello"
    assert job.get_workflow().graph == graph
    assert list(job.events()) == [], "there are no events: the SDK polls"
    return png


def upload_and_refer(comfy: Comfy, png: bytes):
    def load(image) -> dict:
        return {
            "1": {"class_type": "LoadImage", "inputs": {"image": image}},
            "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "v2/inverted"}},
        }

    asset = comfy.assets.from_bytes(png, filename="a name.png", content_type="image/png")
    job = run(comfy, load(asset))
    inverted = job.outputs[0]
    assert inverted.to_bytes() != png
    assert asset.created_new and comfy.assets.get(asset.id).hash == asset.hash

    # The same bytes are not sent again, and the same name is the same asset.
    again = comfy.assets.from_bytes(png, filename="a name.png", content_type="image/png")
    other = comfy.assets.from_stream(io.BytesIO(png), filename="other.png", content_type="image/png")
    assert (again.commit(), again.created_new) == (asset.id, False)
    assert other.commit() != asset.id and other.created_new

    # A result is an asset, too.
    reference = {"__type": "core/ASSET", "info": {"id": inverted.id}}
    assert run(comfy, load(reference)).outputs[0].to_bytes().startswith(b"\x89PNG")

    comfy.assets.delete(other.id)
    refused(exceptions.NotFound, lambda: comfy.assets.get(other.id))
    missing = {"__type": "core/ASSET", "info": {"id": str(uuid.uuid4())}}
    refused(exceptions.MissingAsset, lambda: submit(comfy, load(missing)))
    return asset


def faults(comfy: Comfy):
    refused(exceptions.InvalidWorkflow, lambda: submit(comfy, {}))
    refused(exceptions.InvalidWorkflow, lambda: submit(comfy, picture(1), api_key="a key of Comfy's"))
    refused(exceptions.NotFound, lambda: comfy.jobs.get(str(uuid.uuid4())))
    # The runtime refuses what only it knows.
    failed = refused(exceptions.JobFailed, lambda: run(comfy, picture(1, width="wide")))
    assert failed.error.message, failed

    key = str(uuid.uuid4())
    submit(comfy, picture(2), idempotency_key=key)
    reused = refused(exceptions.IdempotencyKeyReuse, lambda: submit(comfy, picture(2), idempotency_key=key))
    assert reused.idempotency_key == key and reused.request_id


def cancel(comfy: Comfy):
    # The runs of the stack take some time, so the second waits.
    running, waiting = submit(comfy, picture(3)), submit(comfy, picture(4))
    assert waiting.cancel().status in ("canceled", "canceling")
    canceled = refused(exceptions.JobFailed, waiting.result)
    assert "canceled" in str(canceled), canceled
    assert running.wait(timeout=SECONDS).status == "succeeded"
    assert running.cancel().status == "succeeded"


def labels(comfy: Comfy):
    mine = [submit(comfy, picture(n), metadata={"client": "acme", "n": str(n)}).id for n in range(10, 13)]
    listed = [job.id for job in comfy.list_jobs(metadata={"client": "acme"}, limit=2)]
    assert listed == mine[::-1], (listed, mine)
    refused(exceptions.ComfyError, lambda: submit(comfy, picture(1), metadata={str(n): "x" for n in range(17)}))


def wrong_key():
    with Comfy(api_key="another key") as comfy:
        refused(exceptions.Unauthorized, lambda: submit(comfy, picture(1)))


def main(program: str):
    with tempfile.TemporaryDirectory() as folder:
        with Stack(program, folder) as stack:
            os.environ["COMFY_BASE_URL"] = stack.url
            with Comfy() as comfy:
                png = submit_and_download(comfy)
                asset = upload_and_refer(comfy, png)
                faults(comfy)
                cancel(comfy)
                labels(comfy)
            wrong_key()
            os.environ["COMFY_BASE_URL"] = f"{stack.url}/runtimes/comfyui"
            with Comfy() as comfy:
                waiting = submit(comfy, picture(20))
        # Jobs and assets are there after a restart.
        with Stack(program, folder, stack):
            with Comfy() as comfy:
                assert comfy.jobs.get(waiting.id).result().outputs[0].to_bytes().startswith(b"\x89PNG")
                assert comfy.assets.get(asset.id).hash == asset.hash
    print("comfy-sdk works with the local stack")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
