"""A cluster with a certificate: the local load balancer ends TLS, as real clients see it."""

from __future__ import annotations

import json
import shlex
import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from cortex_cdk.client import Client
from cortex_cdk.errors import PredictionError
from cortex_cdk.predict.call import Call
from cortex_cdk.predict.connections import Connections
from cortex_cdk.predict.route import Route
from tests.conftest import Cortex
from tests.local.clusters.test_cluster import self_signed, write
from tests.local.waiting import until

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers):
        return {"scheme": headers["x-forwarded-proto"], "port": headers["x-forwarded-port"]}
"""
DOMAIN = "models.example.com"


@pytest.fixture(scope="module")
def imported(cortex: Cortex) -> dict[str, bytes]:
    """A certificate that was imported into the local cloud's ACM."""
    cortex.ok("local", "up")
    return self_signed()


@pytest.fixture(scope="module")
def endpoint(cortex: Cortex, imported: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The endpoint of an API on a cluster with the imported certificate."""
    folder = tmp_path_factory.mktemp("project")
    arn = cortex.aws("acm").import_certificate(**imported)["CertificateArn"]
    cortex.ok("cluster", "up", write(folder, load_balancer={"certificate_arn": arn}), "--yes")
    (folder / "predictor.py").write_text(PREDICTOR)
    api = {"name": "safe", "kind": "RealtimeAPI", "predictor": {"type": "python", "path": "predictor.py"}}
    (folder / "cortex.yaml").write_text(json.dumps([{**api, "compute": {"mem": "200Mi"}}]))
    (folder / "sample.json").write_text("{}")
    printed = cortex.ok("deploy", str(folder))
    line = next(line for line in printed.splitlines() if line.startswith("try it: "))
    tried = cortex.run(*shlex.split(line.removeprefix("try it:   cortex ")))
    assert json.loads(tried.stdout)["scheme"] == "https", "curl does not trust a certificate for another name"
    endpoint = str(cortex.json("get", "safe")["endpoint"])
    assert f"endpoint: {endpoint}\n" in printed
    return endpoint


def shown(endpoint: str) -> str:
    """The certificate that the endpoint shows, as PEM, whoever signed it."""
    url = urlsplit(endpoint)
    assert url.hostname and url.port
    return ssl.get_server_certificate((url.hostname, url.port))


def accepts(endpoint: str, version: ssl.TLSVersion) -> bool:
    """Whether a handshake with this version of TLS succeeds."""
    url = urlsplit(endpoint)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # OpenSSL would refuse old versions by itself.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection((str(url.hostname), url.port or 0), timeout=60) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except ssl.SSLError:
        return False


def test_the_endpoint_is_https_and_shows_the_imported_certificate(endpoint: str, imported: dict[str, bytes]) -> None:
    assert endpoint.startswith("https://127.0.0.1:")
    assert shown(endpoint).strip() == imported["Certificate"].decode().strip()


def test_predict_trusts_the_certificate_of_the_load_balancer_and_no_other(
    cortex: Cortex, endpoint: str, imported: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.loads(cortex.ok("predict", "safe", "-", stdin="{}"))
    assert answer == {"scheme": "https", "port": str(urlsplit(endpoint).port)}
    for name, value in cortex.environ.items():
        monkeypatch.setenv(name, value)
    api = Client("local").get("safe")
    call, connections = Call(b"{}", {"Content-Type": "application/json"}), Connections()
    with connections.send(Route(api, imported["Certificate"].decode()), call) as accepted:
        assert accepted.whole().body
    for other in (self_signed()["Certificate"].decode(), None):
        refused = pytest.raises(PredictionError, match=r"cannot be reached: .*certificate verify failed")
        with refused, connections.send(Route(api, other), call):
            pass


def test_curl_checks_certificate_and_name(
    cortex: Cortex, endpoint: str, imported: dict[str, bytes], tmp_path: Path
) -> None:
    """As a user would: the domain leads to the load balancer, the private authority is given as a file."""
    authority, port = tmp_path / "ca.pem", urlsplit(endpoint).port
    authority.write_bytes(imported["Certificate"])
    asked = ["curl", "--silent", "--show-error", "--resolve", f"{DOMAIN}:{port}:127.0.0.1", "--data", "{}"]
    asked += ["--header", "Content-Type: application/json", f"https://{DOMAIN}:{port}/safe"]
    done = subprocess.run([*asked, "--cacert", authority], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["scheme"] == "https"
    refused = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert refused.returncode == 60, "curl: the certificate cannot be authenticated with known authorities"


def test_http_is_redirected(cortex: Cortex, endpoint: str) -> None:
    plain = next(line.split()[-1] for line in cortex.ok("local", "status").splitlines() if line.startswith("APIs:"))
    answer = requests.post(f"{plain}/safe?a=1&b=%20", json={}, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{endpoint}?a=1&b=%20")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_the_oldest_version_is_that_of_the_listeners_policy(cortex: Cortex, endpoint: str) -> None:
    elb = cortex.aws("elbv2")
    arn = cortex.json("cluster", "info")["resources"]["listener_arn"]
    (listener,) = elb.describe_listeners(ListenerArns=[arn])["Listeners"]
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    assert [accepts(endpoint, version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)] == [True, True]
    assert not accepts(endpoint, ssl.TLSVersion.TLSv1_1)
    elb.modify_listener(ListenerArn=arn, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06", DefaultActions=[])
    until(lambda: not accepts(endpoint, ssl.TLSVersion.TLSv1_2))
    assert accepts(endpoint, ssl.TLSVersion.TLSv1_3)
    elb.modify_listener(ListenerArn=arn, SslPolicy=listener["SslPolicy"], DefaultActions=[])
    until(lambda: accepts(endpoint, ssl.TLSVersion.TLSv1_2))


def test_a_requested_certificate_signs_itself_and_is_kept(cortex: Cortex, endpoint: str, tmp_path: Path) -> None:
    acm = cortex.aws("acm")
    arn = acm.request_certificate(DomainName=DOMAIN, SubjectAlternativeNames=[f"www.{DOMAIN}"])["CertificateArn"]
    cortex.ok("cluster", "configure", write(tmp_path, load_balancer={"certificate_arn": arn}), "--yes")
    authority = tmp_path / "ca.pem"
    authority.write_text(acm.get_certificate(CertificateArn=arn)["Certificate"])
    until(lambda: shown(endpoint).strip() == authority.read_text().strip())
    _ask_by_name(endpoint, authority)
    cortex.ok("local", "down")
    cortex.ok("local", "up")
    assert cortex.json("get", "safe")["endpoint"] == endpoint
    assert shown(endpoint).strip() == authority.read_text().strip()
    _ask_by_name(endpoint, authority)
    assert json.loads(cortex.ok("predict", "safe", "-", stdin="{}"))["scheme"] == "https"


def _ask_by_name(endpoint: str, authority: Path) -> None:
    """With the checks of an ordinary client, name included: it is for this machine's names, too."""
    for host in ("localhost", "127.0.0.1"):
        url = endpoint.replace("127.0.0.1", host)
        assert requests.post(url, json={}, timeout=30, verify=str(authority)).json()["scheme"] == "https"
