"""Receives completion notifications at an HTTP or HTTPS endpoint that is subscribed to the topic, and prints the images.

It accepts a message only if Amazon SNS signed it recently, for one of the given topics. Needs Python 3.10 and the package
`cryptography`. Subscribe it without raw message delivery: a raw message has no signature.

    python3 receive_notifications.py --topic arn:aws:sns:eu-west-1:123456789012:darkroom-completions \\
        --listen 0.0.0.0:8443 --tls fullchain.pem privkey.pem
"""

import argparse
import base64
import collections
import datetime
import functools
import http.server
import json
import re
import ssl
import threading
import urllib.request

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

# A message has at most 256 KiB; as a JSON text in the document of SNS it has more.
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_CERTIFICATE_BYTES = 64 * 1024
FETCH_SECONDS = 10

# SNS tries for up to an hour to deliver a message, which keeps its timestamp.
MAX_AGE = datetime.timedelta(minutes=75)
MAX_CLOCK_SKEW = datetime.timedelta(minutes=5)

SNS = r"https://sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?"
# The whole path counts: the API of SNS is on the same host, and some of its answers contain texts of its callers, which can be
# certificates of theirs.
CERTIFICATE = r"/SimpleNotificationService-[0-9A-Za-z]+\.pem"
CONFIRMATION = r"/\?Action=ConfirmSubscription&[0-9A-Za-z&=:%._-]+"

# What is signed, in this order; a field that a message does not have is left out.
SIGNED = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    "UnsubscribeConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}
OPTIONAL = {"Subject"}
HASHES = {"1": SHA1, "2": SHA256}


class Refused(Exception):
    """The message is not to be trusted, or is none. SNS does not send it again."""


class Verifier:
    """Checks who sent a message. `local_sns` is the address of a local stack for tests, whose certificate is not from AWS."""

    def __init__(self, topics: list[str], local_sns: str | None = None):
        self.topics = set(topics)
        base = f"(?:{SNS}|{re.escape(local_sns)})" if local_sns else SNS
        self.certificate_url = re.compile(base + CERTIFICATE)
        self.confirmation_url = re.compile(base + CONFIRMATION)

    def verify(self, body: bytes) -> dict:
        """The message in a body. Raises `Refused`, or `OSError` if the certificate could not be fetched this time."""
        try:
            message = json.loads(body)
            fields = SIGNED[message["Type"]]
            signed = {field: message[field] for field in fields if field in message or field not in OPTIONAL}
            version, url = message["SignatureVersion"], message["SigningCertURL"]
            signature = base64.b64decode(message["Signature"], validate=True)
            sent = datetime.datetime.fromisoformat(message["Timestamp"].replace("Z", "+00:00"))
            age = datetime.datetime.now(datetime.timezone.utc) - sent
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Refused("it is no message of SNS") from error
        if not all(isinstance(value, str) for value in [*signed.values(), version, url]):
            raise Refused("it is no message of SNS")
        # The cheap checks first: nothing is fetched for a message that would be refused anyway.
        if message["TopicArn"] not in self.topics:
            raise Refused("it is from another topic")
        if not -MAX_CLOCK_SKEW <= age <= MAX_AGE:
            raise Refused("its timestamp is too old, or in the future")
        if version not in HASHES:
            raise Refused("its signature version is unknown")
        if not self.certificate_url.fullmatch(url):
            raise Refused("its certificate is not from SNS")
        text = "".join(f"{field}\n{value}\n" for field, value in signed.items())
        try:
            public_key(url).verify(signature, text.encode(), padding.PKCS1v15(), HASHES[version]())
        except (InvalidSignature, UnicodeEncodeError) as error:
            raise Refused("its signature is wrong") from error
        return message


def public_key(url: str) -> rsa.RSAPublicKey:
    """The key of the certificate at an address of SNS, if it is valid now."""
    known = certificate(url)
    now = datetime.datetime.now(datetime.timezone.utc)
    if not known.not_valid_before_utc <= now <= known.not_valid_after_utc:
        raise Refused("its certificate is not valid now")
    key = known.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise Refused("its certificate has no RSA key")
    return key


@functools.lru_cache(maxsize=16)
def certificate(url: str) -> x509.Certificate:
    """The certificate at an address. It is cached: SNS gives another one another address."""
    try:
        return x509.load_pem_x509_certificate(fetch(url))
    except ValueError as error:
        raise Refused("its certificate is none") from error


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would lead away from SNS."""

    def redirect_request(self, *_arguments):
        return None


def fetch(url: str) -> bytes:
    """The start of what is at an address of SNS; over HTTPS, its certificate is checked as of any web site."""
    with urllib.request.build_opener(NoRedirects).open(url, timeout=FETCH_SECONDS) as answer:
        return answer.read(MAX_CERTIFICATE_BYTES)


class Seen:
    """The ids of notifications that were handled. A program that restarts keeps them in its database instead."""

    def __init__(self, most=10_000):
        self.most = most
        self.ids = collections.OrderedDict()
        self.lock = threading.Lock()

    def add(self, notification_id: str) -> bool:
        """Whether it is new."""
        with self.lock:
            if notification_id in self.ids:
                return False
            self.ids[notification_id] = True
            if len(self.ids) > self.most:
                self.ids.popitem(last=False)
            return True


class Receiver(http.server.BaseHTTPRequestHandler):
    """One request. SNS sends a message again after an answer of 429 or 5xx, or none, and gives it up after any other 4xx."""

    verifier: Verifier
    seen: Seen
    # A client that sends nothing does not occupy a thread.
    timeout = 15

    def do_POST(self):
        try:
            self.answer(200, self.receive(self.body()))
        except Refused as refusal:
            self.answer(403, f"refused: {refusal}")
        except OSError as error:
            self.answer(503, f"not now: {error}")

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused("its size is unknown, or too large")
        return self.rfile.read(int(length))

    def receive(self, body: bytes) -> str:
        message = self.verifier.verify(body)
        if message["Type"] == "SubscriptionConfirmation":
            return self.confirm(message)
        if message["Type"] == "UnsubscribeConfirmation":
            print(f"unsubscribed from {message['TopicArn']}", flush=True)
            return "accepted"
        try:
            return self.handle_notification(json.loads(message["Message"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused("it is no notification") from error

    def confirm(self, message: dict) -> str:
        """Requests the confirmation of a subscription to one of the topics."""
        if not self.verifier.confirmation_url.fullmatch(message["SubscribeURL"]):
            raise Refused("its SubscribeURL is not of SNS")
        fetch(message["SubscribeURL"])
        print(f"subscribed to {message['TopicArn']}", flush=True)
        return "confirmed"

    def handle_notification(self, notification: dict) -> str:
        if notification["status"] == "running":
            print(f"{notification['id']} runs", flush=True)
            return "accepted"
        lines = [f"{notification['id']} {notification['task_status']}"]
        if error := notification.get("error"):
            lines.append(f"  {error['code']}: {error['message']}")
        # A large notification has no URLs, or no outputs: see `shortened`.
        lines += [f"  {output.get('url', output['s3_uri'])}" for output in notification["outputs"]]
        if not self.seen.add(notification["notification_id"]):
            return "known already"
        print("\n".join(lines), flush=True)
        return "accepted"

    def answer(self, status: int, text: str):
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser(description="Receives completion notifications and prints the images.")
    parser.add_argument("--topic", action="append", required=True, metavar="ARN", help="a topic to accept")
    parser.add_argument("--listen", default="127.0.0.1:9000", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"),
                        help="PEM files, to serve HTTPS; without them, a proxy in front must")
    parser.add_argument("--local-sns", metavar="URL",
                        help="for tests only: also trust certificates at this address, such as http://127.0.0.1:4566")
    options = parser.parse_args()

    host, _, port = options.listen.rpartition(":")
    Receiver.verifier = Verifier(options.topic, options.local_sns)
    Receiver.seen = Seen()
    server = http.server.ThreadingHTTPServer((host, int(port)), Receiver)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        # The handshake takes place in the thread of the request, where it has a timeout.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {host}:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
