"""Words for what a listener turned away or ended, by the names under which it counts."""

from collections.abc import Mapping

from protocol.aio.crowd import Why
from protocol.errors import WireCode
from protocol.texts import Words

WHYS: Mapping[Why, Words] = {
    Why.CROWD: ("握手中的连接过多", "too many connections in TLS"),
    Why.SOURCE: ("同一地址握手中的连接过多", "too many connections in TLS from one address"),
    Why.RATE: ("同一地址连接过于频繁", "connections too often from one address"),
    Why.GUESTS: ("未问候的连接过多", "too many streams without a Hello"),
    Why.TLS_TIME: ("TLS 握手超时", "TLS not done in time"),
    Why.TLS_SIZE: ("TLS 握手数据过多", "TLS handshake too large"),
    Why.TLS_BARREN: ("TLS 只有空转", "TLS without any data"),
    Why.HELLO_TIME: ("未及时问候", "no Hello in time"),
    Why.NOT_READING: ("上级不读取", "superior does not read"),
    Why.SILENT: ("上级静默", "superior fell silent"),
    Why.DESCRIPTORS: ("文件描述符不足", "no file descriptors left"),
}
CODES: Mapping[WireCode, Words] = {
    WireCode.VERSION: ("协议版本不符", "another protocol version"),
    WireCode.DEPLOYMENT: ("不属于本部署", "another deployment"),
    WireCode.IDENTITY: ("身份不符", "not our superior"),
    WireCode.TERM: ("任期已过", "term that is over"),
    WireCode.OVERSIZED: ("帧过大", "frame too large"),
    WireCode.MALFORMED: ("格式错误", "malformed"),
    WireCode.UNEXPECTED: ("帧不合时宜", "frame out of turn"),
    WireCode.SEQUENCE: ("序号错误", "number out of sequence"),
    WireCode.SEAL: ("密封不符", "seal does not verify"),
    WireCode.CURSOR: ("游标不符", "impossible cursor"),
    WireCode.SIGNATURE: ("签名不符", "signature does not verify"),
    WireCode.LIMIT: ("超出限额", "over a limit of the session"),
    WireCode.TIMERS: ("定时器不可行", "timers that cannot work"),
}
COUNTERS: Mapping[str, Words] = {
    **{why.value: words for why, words in WHYS.items()},
    **{code.name.lower(): words for code, words in CODES.items()},
}


def counter_words(name: str) -> Words:
    """The words for a counter; its name for one that has none."""
    return COUNTERS.get(name, (name, name))
