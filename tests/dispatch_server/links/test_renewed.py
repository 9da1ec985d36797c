"""Keys that change under a server's links: our own while it dials, the peer's while the link is up."""

from dataclasses import replace

from dispatch_server.links.channel import Channel
from dispatch_server.links.ports import LinkState
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.keys import Role
from tests.dispatch_server.links.support import Rig, until, virtually
from tests.protocol.parties import AUTHORITY, OTHER_PLANT, PLANT


@virtually
async def test_a_dial_under_a_key_that_was_renewed_meanwhile_is_made_again_and_is_no_fault() -> None:
    """TLS has shown the old certificate: a Hello that the new key signs would look like a forgery."""
    rig = Rig()
    rig.subordinate()
    link = rig.link()
    dial, opened = link.dial, 0
    renewed = AUTHORITY.key(Role.HQ, "hq")

    async def slowly() -> Channel:
        nonlocal opened
        channel = await dial()
        opened += 1
        if opened == 1:
            rig.node.station.local = replace(rig.node.station.local, key=renewed)
        return channel

    link.dial = slowly
    rig.start(link)
    await until(lambda: opened == 1)
    await until(lambda: link.status.last_error)
    assert "key was renewed while it dialled" in link.status.last_error
    assert (link.status.faults, rig.superior.faults) == (0, [])
    # The stand-in of TLS goes on showing the old certificate: what the plant then finds is what is avoided.
    await until(lambda: rig.superior.faults)
    ((_, fault),) = rig.superior.faults
    assert isinstance(fault, LinkLost)
    assert fault.code is WireCode.SIGNATURE


@virtually
async def test_a_peer_that_is_revoked_loses_the_session_and_one_that_counts_keeps_it() -> None:
    rig = Rig()
    rig.node.station.trust = trust = AUTHORITY.trust()
    rig.subordinate("plant-1")
    rig.subordinate("plant-2")
    links = [rig.link("plant-1"), rig.link("plant-2")]
    for link in links:
        rig.start(link)
    await until(lambda: all(link.status.state is LinkState.CONNECTED for link in links))
    trust.renew(AUTHORITY.trust(PLANT).anchors)
    for link in links:
        link.recheck()
    assert [link.status.state for link in links] == [LinkState.WAITING, LinkState.CONNECTED]
    ((node, fault),) = rig.superior.faults
    assert (node, str(fault)) == ("plant-1", "identity: plant-1: the certificate is revoked")
    assert isinstance(fault, PeerFault)
    trust.identify(OTHER_PLANT.certificate.der, rig.node.station.wall_ms())
