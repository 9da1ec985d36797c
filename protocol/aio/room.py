"""Whether a station has room for one more order: what is open must always be able to come to its end."""

from protocol.aio.open_orders import OpenOrders
from protocol.errors import OrderRefused, RefusalCode
from protocol.limits import (
    MAX_OPEN_ORDERS,
    MAX_OPEN_ORDERS_OF_PLANT,
    MAX_OUTBOX_BYTES,
    MAX_OUTBOX_ITEMS,
    MIN_FREE_DISK,
)
from protocol.outbox import Tally


def check_room(node: str, waiting: Tally, free_disk: int | None) -> None:
    """`waiting`: in all outboxes; `free_disk`: bytes beside the journal, None if unknown.

    Raises OrderRefused(LIMIT).
    """
    if waiting.items >= MAX_OUTBOX_ITEMS or waiting.size >= MAX_OUTBOX_BYTES:
        raise OrderRefused(
            RefusalCode.LIMIT,
            f"{waiting.items} items ({waiting.size >> 20} MiB) wait for all peers of '{node}': "
            "restore the links that are down there",
        )
    if free_disk is not None and free_disk < MIN_FREE_DISK:
        raise OrderRefused(
            RefusalCode.LIMIT,
            f"the disk of the journal of '{node}' has {free_disk >> 20} MiB left, "
            f"{MIN_FREE_DISK >> 20} MiB are needed for a new order: make room there",
        )


def check_open(open_orders: OpenOrders, plant: str) -> None:
    """Whether one more order may be open, in all and at this plant. Raises OrderRefused(LIMIT)."""
    if len(open_orders) >= MAX_OPEN_ORDERS:
        raise OrderRefused(
            RefusalCode.LIMIT, f"{len(open_orders)} orders are open in all: bring some to their end first"
        )
    if open_orders.count(plant) >= MAX_OPEN_ORDERS_OF_PLANT:
        raise OrderRefused(
            RefusalCode.LIMIT,
            f"{open_orders.count(plant)} orders are open at '{plant}': bring some to their end first",
        )
