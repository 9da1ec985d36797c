"""Words for people, in Chinese and English. Pure data: programs look them up with `say`."""

from collections.abc import Mapping
from enum import StrEnum

from protocol.keys import Role
from protocol.lifecycle import Custody, Input, State
from protocol.orders import ORDER_TYPE_ZH, OrderType


class Language(StrEnum):
    """What operators read. Error texts and --help are English in both."""

    ZH = "zh"
    EN = "en"


Words = tuple[str, str]  # (Chinese, English)


def say(words: Words, language: Language, **values: object) -> str:
    """The words in one language, with `{name}` filled in."""
    return words[0 if language is Language.ZH else 1].format(**values)


STATES: Mapping[State, Words] = {
    State.DRAFTED: ("已拟票", "drafted"),
    State.ISSUED: ("已下令", "issued"),
    State.AWAITING: ("待监护人批准", "awaiting approval"),
    State.ACCEPTED: ("已受理", "accepted"),
    State.REJECTED: ("校验驳回", "rejected"),
    State.UNDELIVERED: ("未送达", "not delivered yet"),
    State.DELIVERED: ("已送达", "delivered"),
    State.UNANSWERED: ("无应答", "unanswered"),
    State.READ_BACK: ("已复诵", "read back"),
    State.CONFIRMED: ("已确认", "confirmed"),
    State.RECALLING: ("撤令中", "recalling"),
    State.UNKNOWN: ("状态不明", "unknown"),
    State.EXECUTING: ("执行中", "executing"),
    State.UNKNOWN_EXECUTING: ("执行情况不明", "executing, not heard of"),
    State.COMPLETED: ("已完成", "completed"),
    State.CLOSED: ("已归档", "closed"),
    State.FAILED: ("执行失败", "failed"),
    State.SETTLED: ("失败已处理", "settled"),
    State.REFUSED: ("现场拒绝", "refused"),
    State.CANCELLED: ("已取消", "cancelled"),
    State.EXPIRED: ("已过期", "expired"),
}

INPUTS: Mapping[Input, Words] = {
    Input.DRAFT: ("拟票", "draft"),
    Input.ISSUE: ("下令", "issue"),
    Input.ASK_APPROVAL: ("提请批准", "ask for approval"),
    Input.APPROVE: ("批准", "approve"),
    Input.DECLINE: ("不予批准", "decline"),
    Input.ACCEPT: ("受理", "accept"),
    Input.REJECT: ("驳回", "reject"),
    Input.DELIVER: ("送达", "deliver"),
    Input.NO_ANSWER: ("无应答", "no answer"),
    Input.READ_BACK: ("复诵", "read back"),
    Input.CONFIRM: ("确认", "confirm"),
    Input.REISSUE: ("重新下令", "reissue"),
    Input.BEGIN: ("开始执行", "begin"),
    Input.COMPLETE: ("完成", "complete"),
    Input.FAIL: ("执行失败", "fail"),
    Input.CLOSE: ("归档", "close"),
    Input.SETTLE: ("失败处理", "settle"),
    Input.REFUSE: ("拒绝", "refuse"),
    Input.CANCEL: ("取消", "cancel"),
    Input.RECALL: ("撤令", "recall"),
    Input.RECALLED: ("已撤回", "recalled"),
    Input.EXPIRE: ("过期", "expire"),
    Input.LOSE: ("失联", "lose"),
    Input.FIND: ("恢复联系", "find"),
}

ORDER_TYPES: Mapping[OrderType, Words] = {
    kind: (zh, kind.value.replace("-", " ")) for kind, zh in ORDER_TYPE_ZH.items()
}

ROLES: Mapping[Role, Words] = {
    Role.HQ: ("总调", "headquarters"),
    Role.CENTER: ("中调", "regional center"),
    Role.DESK: ("调度台", "desk"),
    Role.PLANT: ("厂站", "plant"),
    Role.DISPATCHER: ("调度员", "dispatcher"),
    Role.SUPERVISOR: ("监护人", "supervisor"),
    Role.OPERATOR: ("运行人员", "operator"),
}

CUSTODIES: Mapping[Custody, Words] = {
    Custody.HEADQUARTERS: ("总调", "headquarters"),
    Custody.PLANT: ("厂站", "plant"),
    Custody.NOBODY: ("—", "—"),
}

LINK_STATES: Mapping[str, Words] = {
    "connected": ("已连接", "connected"),
    "dialling": ("拨号中", "dialling"),
    "waiting": ("等待重拨", "waiting to dial again"),
}

OUTCOMES: Mapping[str, Words] = {
    "taken": ("已登记", "taken"),
    "refused": ("被拒绝", "refused"),
    "pending": ("结果未知：请用 order show {order} 查询", "not known yet: ask with `order show {order}`"),
}

# What the person at a station has to do next; a state that is missing here waits for somebody else.
NEXT_STEPS: Mapping[Role, Mapping[State, Words]] = {
    Role.DESK: {
        State.DRAFTED: ("下令或取消", "issue or cancel"),
        State.AWAITING: ("请监护人批准或不予批准", "a second person: approve or decline"),
        State.UNDELIVERED: ("电话联系厂站", "telephone the plant"),
        State.UNANSWERED: ("电话联系厂站", "telephone the plant"),
        State.READ_BACK: ("核对复诵：确认或重新下令", "compare: confirm or reissue"),
        State.UNKNOWN: ("电话联系厂站", "telephone the plant"),
        State.UNKNOWN_EXECUTING: ("电话联系厂站", "telephone the plant"),
        State.FAILED: ("处置后了结", "settle once the equipment is safe"),
    },
    Role.PLANT: {
        State.DELIVERED: ("复诵或拒绝", "read back or refuse"),
        State.UNANSWERED: ("复诵或拒绝", "read back or refuse"),
        State.CONFIRMED: ("开始执行", "begin"),
        State.EXECUTING: ("完成或报告失败", "complete or fail"),
        State.UNKNOWN_EXECUTING: ("完成或报告失败", "complete or fail"),
    },
}

HEADS: Mapping[str, Words] = {
    "fenced": ("被拒的上级", "superior refused"),
    "order": ("令号", "order"),
    "type": ("类型", "type"),
    "state": ("状态", "state"),
    "custody": ("当前持有", "in the hands of"),
    "desk": ("调度台", "desk"),
    "plant": ("厂站", "plant"),
    "ticket": ("操作票号", "ticket"),
    "title": ("任务", "task"),
    "valid": ("有效期至", "valid until"),
    "next": ("待办", "to do here"),
    "step": ("序号", "step"),
    "device": ("设备", "device"),
    "action": ("操作", "action"),
    "event": ("事件", "event"),
    "signer": ("签名人", "signed by"),
    "role": ("角色", "role"),
    "time": ("时间", "time"),
    "text": ("内容", "text"),
    "ordered": ("下令内容", "ordered"),
    "read": ("复诵内容", "read back"),
    "superior": ("上级", "superior"),
    "node": ("节点", "node"),
    "polls": ("轮询", "polls"),
    "sessions": ("会话", "sessions"),
    "faults": ("故障", "faults"),
    "outbox": ("待发", "to send"),
    "error": ("最近错误", "last error"),
    "hazard": ("隐患", "hazard"),
    "posture": ("态势处置", "posture"),
    "person": ("登录人", "logged in"),
    "open": ("未结指令", "open orders"),
    "pending": ("待答复", "not yet answered"),
    "entry": ("账本条目", "ledger entry"),
    "refused_links": ("拒绝的连接", "links refused"),
}

SENTENCES: Mapping[str, Words] = {
    "term refused": (
        "{when}：任期 {term} 无效，有效任期为 {granted}",
        "{when}: its term {term} does not count, {granted} does",
    ),
    "term taken": (
        "{when}：任期 {term} 已授予另一台服务器",
        "{when}: its term {term} was granted to another server",
    ),
    "password": ("口令", "Password"),
    "password again": ("再次输入口令", "Password again"),
    "old password": ("旧口令", "Old password"),
    "passphrase": ("证书机构口令", "Passphrase of the authority"),
    "passphrase again": ("再次输入证书机构口令", "Passphrase of the authority again"),
    "factor": ("第二因子（{factor}）", "Second factor ({factor})"),
    "issue?": ("确定下达以上指令？", "Issue the order shown above?"),
    "approve?": ("以上即批准的内容。确定批准？", "The order shown above is what you approve. Approve it?"),
    "decline?": ("确定不批准以上指令？", "Decline the order shown above?"),
    "awaiting": (
        "{order}：须由另一人（监护人）批准：dispatch-client approve {order} --person 姓名",
        "{order}: it waits for a second person, who runs: dispatch-client approve {order} --person NAME",
    ),
    "confirm?": ("复诵正确，允许执行？", "Is it read back correctly, and may the plant begin?"),
    "confirm different?": (
        "注意：复诵与指令不一致！仍要允许执行？",
        "CAUTION: what was read back DIFFERS from the order. May the plant begin all the same?",
    ),
    "same": ("一致", "the same"),
    "different": ("不一致", "differs"),
    "not connected": ("未连接", "not connected"),
    "nobody": ("无人登录", "nobody"),
    "logged in": ("{person} 已登录，有效期至 {until}", "{person} is logged in until {until}"),
    "logged out": ("{person} 已退出", "{person} is logged out"),
    "nothing": ("没有指令", "no orders"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    "term": ("任期", "term"),
    "links": ("链路", "Links"),
    "nodes": ("态势", "Awareness (A–G)"),
    "not judged": ("未判定", "not judged yet"),
    "released": ("态势处置：{posture}", "posture: {posture}"),
}
