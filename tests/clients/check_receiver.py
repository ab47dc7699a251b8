"""Checks the example receiver of notifications (docs/examples) over HTTP: with the local stack as its users start both, and with
messages that it must refuse.

Usage: check_receiver.py PATH_OF_LOCAL_STACK
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shlex
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

import boto3

from own_sns import OwnSns

REPOSITORY = pathlib.Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/results-and-notifications.md"
PROGRAM = "docs/examples/receive_notifications.py"
TOPIC = "arn:aws:sns:us-east-1:000000000000:darkroom-completions"
KEY = "a key for tests"
SECONDS = 60


class Program:
    """A process whose lines are read as it prints them."""

    def __init__(self, *command: str):
        environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=REPOSITORY, env=environment)
        self.lines: list[str] = []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def line(self, pattern: str) -> re.Match:
        """Waits for a line."""
        found = lambda: next((match for line in self.lines if (match := re.search(pattern, line))), None)
        with self.changed:
            match = self.changed.wait_for(found, SECONDS)
        assert match, f"no line like {pattern} in {self.lines}"
        return match

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.wait()


class Receiver(Program):
    def __init__(self, *arguments: str):
        super().__init__(sys.executable, *arguments)
        scheme = "https" if "--tls" in arguments else "http"
        port = self.line(r"listening on .*:(\d+)")[1]
        self.url = f"{scheme}://127.0.0.1:{port}/"

    def post(self, body: bytes | dict, context: ssl.SSLContext | None = None) -> tuple[int, str]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(urllib.request.Request(self.url, data), timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status_of_length(self, length: str | None) -> int:
        """The status of a request that states this length of its body, and sends none."""
        connection = http.client.HTTPConnection(self.url.split("/")[2], timeout=SECONDS)
        connection.putrequest("POST", "/")
        if length is not None:
            connection.putheader("Content-Length", length)
        connection.endheaders()
        return connection.getresponse().status

    def accepts(self, message: dict, notification_id: str, context: ssl.SSLContext | None = None):
        """The receiver answers before it prints: the lines are waited for, so that `refuses` can count them."""
        assert self.post(message, context) == (200, "accepted\n"), message
        self.line(rf"^  s3://bucket/{notification_id}\.png$")

    def refuses(self, body: bytes | dict, reason: str):
        printed = len(self.lines)
        status, text = self.post(body)
        assert (status, reason in text) == (403, True), f"{status} {text} instead of {reason} for {body}"
        assert len(self.lines) == printed, self.lines


def documented(endpoint: str) -> list[str]:
    """The arguments of the page, for other ports."""
    command = next(block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S) if f"python3 {PROGRAM}" in block)
    words = shlex.split(command.replace("\\\n", " "))[1:]
    return [word.replace("http://127.0.0.1:4566", endpoint).replace("127.0.0.1:9000", "127.0.0.1:0") for word in words]


def with_the_local_stack(local_stack: str, folder: str):
    arguments = ["--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0", "--data-dir", folder, "--api-key", KEY]
    with Program(local_stack, *arguments) as stack:
        endpoint = stack.line(r"aws apis\s+(http://\S+)")[1]
        front_door = stack.line(r"front door\s+(http://\S+)")[1]
        clients = {
            name: boto3.client(name, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
                               aws_secret_access_key="test") for name in ("sns", "sqs")}
        with Receiver(*documented(endpoint)) as receiver, Receiver(*documented(endpoint)) as another:
            prints_images(clients["sns"], front_door, receiver)
            accepts_only_what_sns_signed(endpoint, clients["sns"], clients["sqs"], another)
    print("receiver: prints the images of the local stack, and refuses what SNS did not sign for its topic")


def submit(front_door: str, metadata: dict):
    metadata = {"runtime": "sdruntime", "tasktype": "text-to-image", **metadata}
    task = {"task": {"metadata": metadata, "content": {"prompt": "x", "width": 64, "height": 64}}}
    request = urllib.request.Request(f"{front_door}/v1alpha2", json.dumps(task).encode(), {"x-api-key": KEY})
    assert urllib.request.urlopen(request).status == 200


def prints_images(sns, front_door: str, receiver: Receiver):
    sns.subscribe(TopicArn=TOPIC, Protocol="http", Endpoint=receiver.url)
    receiver.line(f"subscribed to {TOPIC}")
    submit(front_door, {"id": "works"})
    receiver.line("^works runs$")
    receiver.line("^works succeeded$")
    url = receiver.line(r"^  (http://\S+\.png\?\S+)$")[1]
    assert urllib.request.urlopen(url).read().startswith(b"\x89PNG"), url
    submit(front_door, {"id": "late", "start_by": "2020-01-01T00:00:00Z"})
    receiver.line("^late expired$")
    receiver.line("^  deadline_passed: ")


def accepts_only_what_sns_signed(endpoint: str, sns, sqs, receiver: Receiver):
    """The queue gets documents as HTTP endpoints do."""
    queue = sqs.create_queue(QueueName="documents")["QueueUrl"]
    other = sns.create_topic(Name="other")["TopicArn"]
    for topic in (TOPIC, other):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:documents")

    def signed(topic: str, notification_id: str, **parameters) -> dict:
        sns.publish(TopicArn=topic, Message=json.dumps(notification(notification_id)), **parameters)
        message = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"][0]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    first = signed(TOPIC, "one", Subject="Task one: succeeded")
    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="SignatureVersion", AttributeValue="2")
    second = signed(TOPIC, "two")
    assert (first["SignatureVersion"], second["SignatureVersion"]) == ("1", "2")
    for notification_id, message in (("one", first), ("two", second)):
        receiver.accepts(message, notification_id)
        assert receiver.post(message) == (200, "known already\n"), message
        later = message["Timestamp"].translate(str.maketrans("0123456789", "1234567890"))[-4:]
        for altered in (
            {"Message": message["Message"].replace(".png", ".gif")}, {"MessageId": "0"}, {"Subject": "Another"},
            {"Timestamp": message["Timestamp"][:-4] + later}, {"Signature": "AAAA" + message["Signature"][4:]},
        ):
            receiver.refuses({**message, **altered}, "signature is wrong")
        swapped = {"1": "2", "2": "1"}[message["SignatureVersion"]]
        receiver.refuses({**message, "SignatureVersion": swapped}, "signature is wrong")
        receiver.refuses({**message, "SignatureVersion": "3"}, "version is unknown")
    receiver.refuses({name: first[name] for name in first if name != "Subject"}, "signature is wrong")
    receiver.refuses(signed(other, "three"), "another topic")
    for url in foreign_addresses(endpoint):
        receiver.refuses({**first, "SigningCertURL": url}, "certificate is not from SNS")
    for body in (b"", b"{nope", b"[]", b"7", b'{"Type": []}', b"\xff", b"[" * 100_000, b'{"Type": "Notification"}'):
        receiver.refuses(body, "no message of SNS")
    for field in ("Message", "Timestamp", "SigningCertURL", "Signature", "SignatureVersion", "TopicArn"):
        receiver.refuses({**first, field: 7}, "no message of SNS")
    for length in (str(4 * 1024 * 1024 + 1), "-1", "many", None):
        assert receiver.status_of_length(length) == 403, length


def foreign_addresses(endpoint: str) -> list[str]:
    name = "SimpleNotificationService-0123456789abcdef.pem"
    return [
        f"https://example.com/{name}", f"https://sns.us-east-1.amazonaws.com.example.com/{name}",
        f"https://example.com/sns.us-east-1.amazonaws.com/{name}", f"https://sns.us-east-1.amazonaws.com@example.com/{name}",
        f"http://sns.us-east-1.amazonaws.com/{name}", f"https://sns.us-east-1.amazonaws.com:8443/{name}",
        f"https://bucket.s3.amazonaws.com/{name}", f"https://sns.us-east-1.amazonaws.com/{name}?x=y",
        # An answer of the API of SNS can contain texts of its caller.
        f"https://sns.us-east-1.amazonaws.com/?Action=GetEndpointAttributes&EndpointArn=x&Version={name}",
        f"{endpoint}.example.com/{name}", f"{endpoint}@example.com/{name}", f"{endpoint}/bucket/{name}", f"file:///tmp/{name}",
    ]


def notification(notification_id: str) -> dict:
    return {"id": notification_id, "status": "completed", "task_status": "succeeded", "notification_id": notification_id,
            "outputs": [{"s3_uri": f"s3://bucket/{notification_id}.png"}]}


def with_messages_signed_here(folder: str):
    with OwnSns(TOPIC) as own, contextlib.ExitStack() as programs:
        arguments = [PROGRAM, "--topic", TOPIC, "--listen", "127.0.0.1:0"]
        receiver = programs.enter_context(Receiver(*arguments, "--local-sns", own.url))
        for version in ("1", "2"):
            receiver.accepts(own.message(notification(version), version=version), version)
        assert own.requests == [own.certificates["valid"]], own.requests

        for minutes in (-24 * 60, -80, 10):
            receiver.refuses(own.message(notification("3"), minutes=minutes), "timestamp")
        receiver.accepts(own.message(notification("3"), minutes=-60), "3")
        receiver.refuses(own.message(notification("4"), signer="another"), "signature is wrong")
        receiver.refuses(own.message(notification("4"), certificate="expired"), "not valid now")
        receiver.refuses(own.message(notification("4"), certificate="elliptic"), "no RSA key")
        receiver.refuses(own.message(notification("4"), certificate="text"), "certificate is none")
        # It is no fault of the message that a certificate cannot be had.
        for certificate in ("missing", "elsewhere"):
            assert receiver.post(own.message(notification("4"), certificate=certificate))[0] == 503
        assert own.certificates["target"] not in own.requests, "a redirect was followed"
        for odd in ("no json", [], {"status": "completed"}, {**notification("4"), "outputs": [{}]}):
            receiver.refuses(own.message(odd), "no notification")

        receiver.refuses(own.confirmation("https://example.com/?Action=ConfirmSubscription&Token=t"), "SubscribeURL")
        confirmation = f"{own.url}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t"
        assert receiver.post(own.confirmation(confirmation, kind="UnsubscribeConfirmation"))[0] == 200
        assert own.requests.count("/?Action=ConfirmSubscription") == 0
        assert receiver.post(own.confirmation(confirmation)) == (200, "confirmed\n")
        assert own.requests.count("/?Action=ConfirmSubscription") == 1, own.requests

        # Without the option for tests, the same messages are from nobody.
        strict = programs.enter_context(Receiver(*arguments))
        strict.refuses(own.message(notification("5")), "certificate is not from SNS")
        certificate, key, context = own.server_certificate(pathlib.Path(folder))
        tls = programs.enter_context(Receiver(*arguments, "--local-sns", own.url, "--tls", certificate, key))
        tls.accepts(own.message(notification("5")), "5", context)
    print("receiver: accepts both signature versions, and refuses old, foreign and malformed messages")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data:
        with_messages_signed_here(data)
        with_the_local_stack(os.path.abspath(sys.argv[1]), data)
