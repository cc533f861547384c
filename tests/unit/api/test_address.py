"""The client's address is that of the nearest hop no one we trust vouches beyond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.api.address import FORWARDED, client_address, is_local, parse_networks

PROXIES = parse_networks("10.0.0.0/8, 2001:db8::/32")


@pytest.mark.parametrize("text", ["10.0.0.0/99", "proxy.example", "10.0.0.1;10.0.0.2"])
def test_a_wrong_network_is_an_error(text):
    with pytest.raises(ValueError, match=text.split("/")[0][:4]):
        parse_networks(text)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        pytest.param(None, [], None, id="no peer"),
        pytest.param("socket", [], None, id="a peer without address"),
        pytest.param("198.51.100.7", [], "198.51.100.7", id="nobody between"),
        pytest.param("198.51.100.7", ["203.0.113.1"], "198.51.100.7", id="a stranger's header is not believed"),
        pytest.param("10.0.0.1", ["203.0.113.1"], "203.0.113.1", id="one proxy"),
        pytest.param("10.0.0.1", ["203.0.113.1, 10.0.0.2"], "203.0.113.1", id="two proxies"),
        pytest.param("10.0.0.1", ["203.0.113.1", "10.0.0.2"], "203.0.113.1", id="two headers"),
        pytest.param("10.0.0.1", ["1.2.3.4, 203.0.113.1"], "203.0.113.1", id="what the client made up is ignored"),
        pytest.param("10.0.0.1", ["1.2.3.4, nonsense"], "10.0.0.1", id="nonsense ends the chain"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="empty header"),
        pytest.param("10.0.0.1", ["10.0.0.3"], "10.0.0.3", id="only proxies"),
        pytest.param("10.0.0.1", ["203.0.113.1:4711"], "203.0.113.1", id="with a port"),
        pytest.param("10.0.0.1", ["[2001:4860::1]:443"], "2001:4860::1", id="IPv6 with a port"),
        pytest.param("2001:db8::1", ["2001:4860::1"], "2001:4860::1", id="IPv6"),
        pytest.param("::ffff:10.0.0.1", ["203.0.113.1"], "203.0.113.1", id="IPv4 in IPv6"),
        pytest.param("fe80::1%eth0", [], "fe80::1", id="a zone is dropped"),
    ],
)
def test_the_chain_is_read_from_the_right(peer, forwarded, expected):
    assert client_address(peer, forwarded, PROXIES) == expected


def test_without_trusted_proxies_no_header_counts():
    assert client_address("10.0.0.1", ["203.0.113.1"], ()) == "10.0.0.1"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_header_gives_an_address(headers):
    assert client_address("10.0.0.1", headers, PROXIES) is not None


@pytest.mark.parametrize(
    ("peer", "headers", "host"),
    [
        pytest.param(None, ["host"], "127.0.0.1:8000", id="no peer"),
        pytest.param("198.51.100.7", ["host"], "127.0.0.1:8000", id="another machine that claims to be here"),
        pytest.param("127.0.0.1", ["host"], "fhir.example.org", id="another name, as a proxy passes it on"),
        pytest.param("127.0.0.1", ["host"], "localhost.example.org", id="a name that begins like ours"),
        pytest.param("127.0.0.1", ["host"], "127.0.0.1.example.org:8000", id="a name that begins like an address"),
        pytest.param("127.0.0.1", ["host"], "localhost,evil.example", id="two names"),
        pytest.param("127.0.0.1", [], "", id="no name"),
        *(pytest.param("127.0.0.1", ["host", name], "127.0.0.1", id=name) for name in sorted(FORWARDED)),
    ],
)
def test_what_came_from_elsewhere_or_through_a_proxy_is_not_local(peer, headers, host):
    assert not is_local(peer, headers, host)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000"])
def test_a_program_of_this_machine_is_local(peer, host):
    assert is_local(peer, ["host", "user-agent"], host)
