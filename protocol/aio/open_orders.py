"""Which orders are open, by the station that they are of: a rule must not look at all orders to judge one."""

from collections.abc import Iterator, Mapping

from protocol.record import OrderRecord


class OpenOrders:
    """An index over a station's orders, kept by whoever changes them."""

    def __init__(self, orders: Mapping[str, OrderRecord]) -> None:
        self._orders = orders
        self._of: dict[str, dict[str, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, station: str) -> Iterator[OrderRecord]:
        """The open orders of a plant or desk, as they are now."""
        return (self._orders[order] for order in self._of.get(station, ()))

    def count(self, station: str) -> int:
        """How many there are of a plant or desk."""
        return len(self._of.get(station, ()))

    def changed(self, record: OrderRecord) -> None:
        """An order began, went on or ended."""
        content = record.content
        was_open = record.order in self._of.get(content.plant, ())
        if record.is_open and not was_open:
            self._count += 1
            for station in {content.plant, content.desk}:  # one draft may name a desk as its plant, too
                self._of.setdefault(station, {})[record.order] = None
        elif was_open and not record.is_open:
            self._count -= 1
            for station in {content.plant, content.desk}:
                self._leave(station, record.order)

    def _leave(self, station: str, order: str) -> None:
        orders = self._of[station]
        del orders[order]
        if not orders:
            del self._of[station]
