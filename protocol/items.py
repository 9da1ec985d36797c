"""What travels durably on a link: each item has a cursor, is kept until acknowledged and sent again.

`to` is the station that the item is for; "" means headquarters. A regional center passes on what is not
for itself.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import State
from protocol.limits import MAX_CERTIFICATE, MAX_EVENT_BODY
from protocol.models import Count, Hash, Name, Sig, Text, Wire, decode_as
from protocol.orders import GENESIS, OrderId, SignedEvent, order_named_by
from protocol.record import OrderRecord

HEADQUARTERS = ""
Destination = Name | Literal[""]


class EventItem(Wire):
    """A signed order event on its way."""

    kind: Literal["event"] = "event"
    to: Destination
    body: Annotated[bytes, Field(max_length=MAX_EVENT_BODY)]
    certificate: Annotated[bytes, Field(max_length=MAX_CERTIFICATE)]
    signature: Sig

    @property
    def signed(self) -> SignedEvent:
        """The event as it was signed."""
        return SignedEvent(body=self.body, certificate=self.certificate, signature=self.signature)


class RefusalItem(Wire):
    """A station did not take an event; its signer is told why."""

    kind: Literal["refusal"] = "refusal"
    to: Destination
    order: OrderId
    event: Hash
    code: Annotated[RefusalCode, Field(strict=False)]
    detail: Text


class AskItem(Wire):
    """Headquarters asks the plant what became of an order of which it knows the chain up to `head`."""

    kind: Literal["ask"] = "ask"
    to: Destination
    order: OrderId
    head: Hash


class AnswerItem(Wire):
    """The plant's answer: its own head and state; any events after the asked head travel before it."""

    kind: Literal["answer"] = "answer"
    to: Destination
    plant: Name
    order: OrderId
    head: Hash
    state: Annotated[State, Field(strict=False)] | None


class PostureItem(Wire):
    """Headquarters tells a desk how dispatching to (or from) `node` may proceed from now on, and why."""

    kind: Literal["posture"] = "posture"
    to: Destination
    node: Name
    posture: Annotated[str, Field(pattern=r"^[a-z-]{1,32}$")]
    before: Annotated[str, Field(pattern=r"^[a-z-]{1,32}$")]
    cause: Annotated[str, Field(pattern=r"^[a-z-]{1,32}$")]
    level: Annotated[str, Field(pattern=r"^[a-z-]{1,32}$")]
    person: Name | Literal[""]
    at_ms: Count


Item = EventItem | RefusalItem | AskItem | AnswerItem | PostureItem
_ITEMS: TypeAdapter[Item] = TypeAdapter(Annotated[Item, Field(discriminator="kind")])


def event_item(signed: SignedEvent, to: str) -> EventItem:
    """Wrap a signed event for a destination."""
    return EventItem(to=to, body=signed.body, certificate=signed.certificate, signature=signed.signature)


def refusal_item(event: bytes, order: str, to: str, refusal: OrderRefused) -> RefusalItem:
    """Tell `to` that the event with this hash was not taken."""
    return RefusalItem(to=to, order=order, event=event, code=refusal.code, detail=refusal.detail[:500])


def decode_item(data: bytes) -> Item:
    """Parse an item. Raises PeerFault(MALFORMED)."""
    return decode_as(_ITEMS, data)


def answer_item(plant: str, order: str, record: OrderRecord | None) -> AnswerItem:
    """Tell headquarters where a station stands with an order."""
    return AnswerItem(
        to=HEADQUARTERS,
        plant=plant,
        order=order,
        head=record.head if record else GENESIS,
        state=record.state if record else None,
    )


def order_of(item: Item) -> str:
    """The order that an item is about, unverified; "" when it is about none or that cannot be read."""
    if isinstance(item, PostureItem):
        return ""
    return order_named_by(item.body) if isinstance(item, EventItem) else item.order
