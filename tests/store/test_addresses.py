"""Which URLs may be given, and which addresses may be reached."""

from ipaddress import ip_network

import pytest

from chaos_store.addresses import is_allowed, place_of
from chaos_store.errors import WebhookUrlRefused

PUBLIC = (
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0",
    "2606:4700:4700::1111", "2a00:1450:4001:80f::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
)  # fmt: skip
NOT_PUBLIC = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "100::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1", "4000::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_may_be_reached_in_any_form(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00:7::1", "::1"])
def test_networks_can_be_allowed_all_the_same(address: str) -> None:
    allowed = tuple(map(ip_network, ("10.1.0.0/16", "fd00:7::/64", "::1/128")))
    assert is_allowed(address, allowed)
    assert not is_allowed("10.2.0.1", allowed) and not is_allowed("fd00:8::1", allowed)


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://example.com", "example.com", "/"),
        ("https://Example.COM/a/b?c=d%20e", "example.com", "/a/b?c=d%20e"),
        ("https://hooks.example.com:8443/", "hooks.example.com:8443", "/"),
        ("https://example.com?x", "example.com", "/?x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://8.8.8.8/", "8.8.8.8", "/"),
        ("https://[2606:4700:4700:0:0:0:0:1111]:443/", "[2606:4700:4700::1111]", "/"),
        ("https://localhost/", "localhost", "/"),
    ],
)
def test_a_plain_url_is_taken_apart(url: str, authority: str, target: str) -> None:
    place = place_of(url, allow_http=False, allowed=())
    assert (place.authority, place.target) == (authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "example.com", "",
        "//example.com/", "https://", "https:///x", "https://user@example.com/", "https://user:pw@example.com/",
        "https://example.com@10.0.0.1/", "https://example.com/#part", "https://example.com/a b", "https://example.com/\n",
        "https://example.com\\@10.0.0.1/", "https://exämple.com/", "https://①②⑦.0.0.1/", "https://example..com/",
        "https://-example.com/", "https://exam%70le.com/", "https://example.com:99999/", "https://example.com:port/",
        "https://example.com:22/", "https://example.com:0/", "https://example.com:25/", "https://127.0.0.1/",
        "https://127.1/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/",
        "https://017700000001/", "https://010.8.8.8/", "https://127.0.0.1./", "https://8.8.2056/", "https://[::1]/", "https://[::]/",
        "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://169.254.169.254/latest",
        "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://0/", "https://[", "https://a]b/",
        "https://" + "a" * 64 + ".com/", "https://example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_an_odd_url_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        place_of(url, allow_http=False, allowed=())


def test_http_can_be_allowed() -> None:
    assert place_of("http://example.com:80/", allow_http=True, allowed=()).authority == "example.com"
    with pytest.raises(WebhookUrlRefused, match="http://"):
        place_of("ftp://example.com/", allow_http=True, allowed=())
