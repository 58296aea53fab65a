"""Nothing is sent to an address that is not public, however it is spelled."""

import socket
from collections.abc import Sequence

import httpx
import pytest
from tests.answers import error_of
from tests.factories import Person
from tests.webhooks.conftest import Place
from tests.webhooks.receiver import Receiver

from taskchat.webhooks.addresses import BadAddress, endpoint_of, refused

REFUSED = [
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7F.0x0.0x0.0x1/",
    "https://017700000001/",
    "https://0177.0.0.01/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://10.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.0.1/",
    "https://0xc0a80001/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://239.255.255.255/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25lo]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[5f00::1]/",
    "https://[100::1]/",
    "https://user@hooks.example.org/",
    "https://hooks.example.org@127.0.0.1/",
    "https://hooks.example.org:pass@10.0.0.1/",
    "https://127.0.0.1\\@hooks.example.org/",
    "https://hooks.example.org\\@127.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://münchen.example.org/",
    "https://hooks.example.org/#x",
    "https://hooks.example.org:0/",
    "https://hooks.example.org:65536/",
    "https://hooks.example.org:x/",
    "https://hooks.example.org/a b",
    "https://hooks.example.org/\r\nX: y",
    "https://hooks.example.org\t/",
    "https://hooks%2eexample.org/",
    "https://./",
    "https:///path",
    "https://",
    "https:hooks.example.org",
    "http://hooks.example.org/",
    "ftp://hooks.example.org/",
    "file:///etc/passwd",
    "gopher://hooks.example.org/",
    "javascript:alert(1)",
    "//hooks.example.org/",
    "hooks.example.org",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_hook_can_not_be_there(url: str) -> None:
    with pytest.raises(BadAddress):
        endpoint_of(url, private=False)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://hooks.example.org", "hooks.example.org", "/"),
        ("HTTPS://Hooks.Example.org:443/a?b=c", "hooks.example.org", "/a?b=c"),
        ("https://hooks.example.org:8443/a", "hooks.example.org:8443", "/a"),
        ("https://hooks.example.org?b", "hooks.example.org", "/?b"),
        ("https://xn--mnchen-3ya.example.org./", "xn--mnchen-3ya.example.org.", "/"),
        ("https://8.8.8.8/", "8.8.8.8", "/"),
        ("https://[2606:4700::1111]:444/", "[2606:4700::1111]:444", "/"),
    ],
)
def test_a_hook_can_be_there(url: str, authority: str, target: str) -> None:
    endpoint = endpoint_of(url, private=False)
    assert (endpoint.authority, endpoint.target) == (authority, target)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00::1"])
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refused(address) is None


@pytest.mark.parametrize("address", ["", "localhost", "1.1.1.1.", "fe80::1%lo", "2a00::1%eth0"])
def test_what_is_no_plain_public_address_is_refused(address: str) -> None:
    assert refused(address) is not None


# --- at each attempt ---

NAMED = "https://hooks.example.org/hook"


class Names:
    """Answers each question with the next of these."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        # One that is not public spoils them all, wherever it stands.
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
    ],
)
async def test_a_name_that_resolves_to_what_is_not_public_is_refused_at_the_attempt(
    place: Place, receiver: Receiver, addresses: list[str]
) -> None:
    person = Person()
    url = f"https://hooks.example.org:{receiver.port}/hook"
    hook = await place.hook(person, url, events=["task.created"])
    await place.task(person, "POST", title="one")
    names = Names(addresses)
    await place.send(resolve=names, webhook_private_addresses=False)
    assert receiver.connections == 0
    [waiting] = await place.deliveries(person, hook)
    assert waiting["status"] == "pending"
    assert waiting["last_error"].startswith("the address must be a public one; this one is ")
    assert names.asked == ["hooks.example.org"]
    await place.ask(person, "DELETE", f"/{hook['id']}")


async def test_every_attempt_asks_anew_and_connects_to_what_was_judged(
    place: Place, receiver: Receiver
) -> None:
    """A name that is private at its second look is refused then, and is never asked between."""
    person = Person()
    url = f"http://hooks.example.org:{receiver.port}/hook"
    hook = await place.hook(person, url, events=["task.created"])
    await place.task(person, "POST", title="one")
    # The first answer is where the receiver is; a second question would lead elsewhere.
    names = Names(["127.0.0.1"], ["127.0.0.9"])
    await place.send(resolve=names)
    [one] = receiver.got
    assert one.headers["host"] == f"hooks.example.org:{receiver.port}"
    assert names.asked == ["hooks.example.org"]
    await place.sql(
        "UPDATE webhooks SET url = 'https://hooks.example.org/hook' WHERE id = :id", id=hook["id"]
    )
    await place.task(person, "POST", title="two")
    await place.send(resolve=names, webhook_private_addresses=False)
    assert len(receiver.got) == 1
    assert names.answers == []
    [waiting] = await place.deliveries(person, hook, status="pending")
    assert "loopback" in waiting["last_error"]
    await place.ask(person, "DELETE", f"/{hook['id']}")


async def test_a_certificate_must_be_the_names_and_not_the_addresses(
    place: Place, tls_receiver: tuple[Receiver, str]
) -> None:
    receiver, name = tls_receiver
    person = Person()
    for host, arrives in ((name, True), ("other.example.org", False)):
        hook = await place.hook(person, f"https://{host}:{receiver.port}/", events=["task.created"])
        await place.task(person, "POST", title="one")
        await place.send(resolve=Names(["127.0.0.1"]))
        [sent] = await place.deliveries(person, hook)
        assert (sent["status"] == "delivered") == arrives, sent
        await place.ask(person, "DELETE", f"/{hook['id']}")
    assert len(receiver.got) == 1


async def test_a_name_without_addresses_is_a_failure(place: Place) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    person = Person()
    hook = await place.hook(person, NAMED, events=["task.created"])
    await place.task(person, "POST", title="one")
    await place.send(resolve=unknown)
    [waiting] = await place.deliveries(person, hook)
    assert waiting["last_error"] == "the name is not known"
    await place.ask(person, "DELETE", f"/{hook['id']}")


async def test_no_user_makes_a_hook_at_a_private_address(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    for url in ("https://127.1/", "http://hooks.example.org/", "https://169.254.169.254/"):
        answer = await client.post(
            f"/api/{person.user_id}/webhooks", json={"url": url}, headers=person.headers
        )
        [detail] = error_of(answer, 400)["details"]
        assert detail["field"] == "url"
