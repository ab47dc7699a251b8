"""A stand-in for SNS that signs what it is given, also what SNS never would, and serves the certificates."""

import base64
import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import threading
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

SIGNED = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
HASHES = {"1": hashes.SHA1, "2": hashes.SHA256}


def certificate_of(key, first_day: int, last_day: int, *extensions) -> bytes:
    """Valid from one day to another, counted from today."""
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=first_day))
    builder = builder.not_valid_after(now + datetime.timedelta(days=last_day))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class OwnSns:
    def __init__(self, topic: str):
        self.topic = topic
        self.keys = {name: rsa.generate_private_key(65537, 2048) for name in ("valid", "another")}
        files = {
            "valid": certificate_of(self.keys["valid"], -1, 1),
            "expired": certificate_of(self.keys["valid"], -2, -1),
            "elliptic": certificate_of(ec.generate_private_key(ec.SECP256R1()), -1, 1),
            "text": b"no certificate",
            "target": certificate_of(self.keys["valid"], -1, 1),
        }
        names = [*files, "missing", "elsewhere"]
        self.certificates = {name: f"/SimpleNotificationService-{uuid.uuid4().hex}.pem" for name in names}
        bodies = {self.certificates[name]: body for name, body in files.items()}
        requests, certificates = [], self.certificates

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path.split("&")[0])
                status = 200 if self.path in bodies or self.path.startswith("/?") else 404
                if self.path == certificates["elsewhere"]:
                    status = 302
                self.send_response(status)
                self.send_header("Location", certificates["target"])
                self.end_headers()
                self.wfile.write(bodies.get(self.path, b""))

            def log_message(self, *_arguments):
                pass

        self.requests = requests
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def message(self, content, minutes=0, **how) -> dict:
        """A notification that was published so many minutes from now."""
        text = content if isinstance(content, str) else json.dumps(content)
        return self.signed({"Type": "Notification", "Message": text, "Subject": "s"}, minutes, **how)

    def confirmation(self, subscribe_url: str, kind="SubscriptionConfirmation") -> dict:
        return self.signed({"Type": kind, "Message": "m", "Token": "t", "SubscribeURL": subscribe_url}, 0)

    def signed(self, message: dict, minutes: int, version="1", signer="valid", certificate="valid") -> dict:
        sent = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        message = {
            **message, "MessageId": str(uuid.uuid4()), "TopicArn": self.topic,
            "Timestamp": sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        text = "".join(f"{field}\n{message[field]}\n" for field in SIGNED if field in message)
        signature = self.keys[signer].sign(text.encode(), padding.PKCS1v15(), HASHES[version]())
        return {
            **message, "SignatureVersion": version, "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": self.url + self.certificates[certificate],
        }

    def server_certificate(self, folder: pathlib.Path) -> tuple[str, str, ssl.SSLContext]:
        """Files with a certificate for a server on loopback and its key, and what trusts it."""
        key = rsa.generate_private_key(65537, 2048)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate, secret = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(certificate_of(key, -1, 1, address))
        secret.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(certificate), str(secret), ssl.create_default_context(cafile=str(certificate))

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.server.shutdown()
