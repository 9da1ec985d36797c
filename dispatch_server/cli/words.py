"""Words of situational awareness for the people at a server's terminal, in Chinese and English. Pure data."""

from collections.abc import Mapping
from types import MappingProxyType

from protocol.texts import Words
from situational import Level, Posture

# What each posture does to an order that concerns the node; enforced by headquarters alone.
POSTURE_MEANS: Mapping[Posture, Words] = MappingProxyType(
    {
        Posture.NORMAL: ("照常下令", "orders are issued as usual"),
        Posture.HEIGHTENED: (
            "每次下令须经第二人（监护人）批准",
            "each issue needs the approval of a second person, a supervisor",
        ),
        Posture.RESTRICTED: (
            "仅可下达配置所列类型的指令，且每次须经第二人（监护人）批准",
            "only the order types that the configuration lists, each with the approval of a second person",
        ),
        Posture.HELD: (
            "停止网络下令与确认，改用电话",
            "nothing is issued or confirmed over the network: use the telephone",
        ),
    }
)

ALARM_LEVELS: Mapping[Level, Words] = MappingProxyType(
    {
        Level.NORMAL: ("—", "—"),
        Level.LIFTING: ("解除中", "lifting"),
        Level.ADVISORY: ("提示", "advisory"),
        Level.MEDIUM: ("一般", "medium"),
        Level.HIGH: ("较大", "high"),
        Level.MAJOR: ("重大", "major"),
    }
)

KINDS: Mapping[str, Words] = MappingProxyType(
    {
        "hazard": ("隐患", "hazard"),
        "seal": ("报文解封失败", "a message could not be unsealed"),
        "signature": ("签名验证失败", "a signature does not verify"),
        "identity": ("身份不符", "it is not the node that it should be"),
        "link": ("链路中断", "its link is down"),
        "fenced": ("正听命于另一台服务器", "it obeys another server"),
        "order-unknown": ("指令执行情况不明", "the outcome of an order is not known"),
    }
)

# What a hazard's code says better than the letter of its metric.
HAZARD_CODES: Mapping[str, Words] = MappingProxyType(
    {
        "all-surging": ("四项指标同时大幅加速增长", "all four metrics surge"),
        "danger-holds": ("尚未确认解除", "nothing says yet that it has ended"),
        "growth-early": ("最近两分钟大幅增加，尚待确认", "large growth in two minutes, not confirmed yet"),
        "growth-slow": ("长时间缓慢增加，超出常态", "slow growth over a long time, beyond what is usual"),
    }
)

WINDOWS: Mapping[str, Words] = MappingProxyType(
    {
        "10 min": ("近10分钟", "last 10 min"),
        "60 min": ("近1小时", "last hour"),
        "1440 min": ("近24小时", "last 24 h"),
    }
)

COUNTERS: Mapping[str, Words] = MappingProxyType(
    {
        "stale_or_replayed": ("过时或重放的报文", "stale or replayed messages"),
        "readings": ("读数", "readings"),
        "readings_refused": ("被拒读数", "readings refused"),
        "handshake_refused": ("被拒握手", "handshakes refused"),
        "handshakes": ("握手", "handshakes"),
        "link_down_s": ("链路中断秒数", "seconds of links down"),
        "link_s": ("链路秒数", "seconds of links"),
        "version_mismatch": ("版本不符", "other versions"),
        "malformed_frames": ("畸形帧", "malformed frames"),
        "frames_received": ("收到的帧", "frames received"),
        "poll_overruns": ("超时轮询", "polls overrun"),
        "polls": ("轮询", "polls"),
        "reconnects": ("重连", "reconnects"),
        "seal_failed": ("解封失败", "seals failed"),
        "signature_failed": ("签名失败", "signatures failed"),
        "sealed_received": ("收到的密封报文", "sealed messages received"),
        "load_stall": ("循环停顿", "stalls of the loop"),
        "clock_steps": ("时钟跳变", "steps of the clock"),
        "loop_ticks": ("循环周期", "ticks of the loop"),
        "journal_latency_high": ("账本写入迟缓", "slow commits"),
        "journal_commits": ("账本写入", "commits"),
        "factor_failed": ("因子验证失败", "factors failed"),
        "lockouts": ("锁定", "lockouts"),
        "factor_checks": ("因子验证", "factor checks"),
        "orders_unknown": ("状态不明的指令", "orders lost"),
        "illegal_transition": ("非法转换", "illegal transitions"),
        "order_events": ("指令事件", "order events"),
        "control_denied": ("被拒的本地命令", "local commands denied"),
        "control_requests": ("本地命令", "local commands"),
        "storage_faults": ("存储故障", "storage faults"),
    }
)

# What a server can go on without.
PARTS: Mapping[str, Words] = MappingProxyType(
    {
        "curves": ("曲线未写入磁盘", "curves are not kept on disk"),
        "experts": ("没有专家风险区间", "no experts' intervals of the risks"),
        "metrics": ("未提供监控指标", "metrics are not served"),
    }
)

HEADS: Mapping[str, Words] = MappingProxyType(
    {
        "age": ("持续", "age"),
        "node": ("节点", "node"),
        "kind": ("类别", "kind"),
        "what": ("告警", "what"),
        "level": ("等级", "level"),
        "state": ("状态", "state"),
        "who": ("何人、何因、至何时", "who, why, until"),
        "window": ("时段", "window"),
        "calls": ("呼叫次数", "calls"),
        "average": ("每10分钟每人", "in 10 min, each operator"),
        "peak": ("最高", "peak"),
        "band": ("EEMUA 191 评价", "EEMUA 191"),
        "reasons": ("依据", "why"),
        "place": ("排序", "place"),
        "group": ("等级", "group"),
        "code": ("编号", "code"),
        "factor": ("风险因素", "factor"),
        "interval": ("风险值区间", "interval of the risk"),
        "source": ("依据", "where it comes from"),
        "metric": ("指标", "metric"),
        "from": ("起", "from"),
        "to": ("止", "to"),
        "samples": ("采样数", "samples"),
        "bytes": ("字节", "bytes"),
        "since": ("起始时间", "since"),
        "round trip": ("往返", "round trip"),
        "links": ("链路", "links"),
        "polls": ("轮询", "polls"),
        "journal": ("账本", "journal"),
        "loop": ("事件循环", "loop"),
        "to send": ("待发", "to send"),
        "without": ("缺失功能", "goes on without"),
    }
)

SENTENCES: Mapping[str, Words] = MappingProxyType(
    {
        "unacknowledged": (
            "{count} 个告警待确认，共 {all} 个（dispatch-server alarms）",
            "alarms to be acknowledged: {count} of {all} (dispatch-server alarms)",
        ),
        "alarms": (
            "告警 {all} 个：待确认 {count}，已确认 {acknowledged}，搁置或停用 {aside}",
            "alarms: {all}; to be acknowledged: {count}, acknowledged: {acknowledged}, set aside: {aside}",
        ),
        "no alarms": ("没有告警", "no alarms"),
        "no room": (
            "另有 {count} 个告警因容量已满未能列出：先处理现有告警",
            "{count} more found no room on the board: deal with those that are there",
        ),
        "became": ("{node} {kind}：{state}", "{node} {kind}: {state}"),
        "gone": ("{node} {kind}：正常，已不在告警表中", "{node} {kind}: normal, no longer on the list"),
        "rate": (
            "呼叫频度（24小时为评价，短时段仅供参考）",
            "Calls (24 h is the verdict, the others a hint)",
        ),
        "postures": ("{posture}（{nodes}）：{means}", "{posture} ({nodes}): {means}"),
        "center": (
            "本中调只显示和记录；能否下令由总调按其自身的态势处置决定",
            "shown and recorded here: headquarters decides by its own posture what is issued",
        ),
        "reasons": ("隐患依据", "Hazards and why"),
        "report": ("风险排序：仅为报告，从不产生告警", "Risks in order: a report, never an alarm"),
        "no experts": (
            "没有风险排序：配置中未指定专家文件。在 [risk] 中写明 experts = 文件路径（格式见 "
            "situational/risk/README.md，示例 configs/risk-experts.toml 为虚构数据），然后重启",
            "No board: the configuration names no experts' file. Name yours as experts in [risk] (its form: "
            "situational/risk/README.md; configs/risk-experts.toml is a made-up example), then restart",
        ),
        "no board yet": (
            "尚无风险排序：刚启动请稍候；启动后才指定专家文件的请重启；否则查看日志",
            "No board yet: wait if it just started; restart if experts were named since; else read the log",
        ),
        "experts alone": ("仅专家：本系统观测不到", "experts alone: nothing here sees it"),
        "nothing counted": ("仅专家：尚无计数", "experts alone: nothing counted yet"),
        "counted": (
            "专家 {experts:.0%}，计数 {share:.0%}：{counts}，{minutes:.0f} 分钟内",
            "experts {experts:.0%}, counted {share:.0%}: {counts}, in {minutes:.0f} min",
        ),
        "nothing kept": ("尚无记录", "nothing is kept yet"),
        "links up": ("共 {links} 条：已连接 {up}", "{up} of {links} up"),
        "links down": (
            "共 {links} 条：已连接 {up}，中断 {down}（拨号中 {dialling}）",
            "{up} of {links} up, {down} down, of which {dialling} are being dialled",
        ),
        "poll rate": ("每秒 {rate} 次，往返 p99 {p99}", "{rate} a second; round trip p99 {p99}"),
        "commits": ("写入 p99 {p99}，等待 {waiting}", "commit p99 {p99}; {waiting} waiting"),
        "stalls": (
            "停顿 {count} 次；最长：近1分钟 {minute}，启动以来 {ever}",
            "{count} stalls; longest: {minute} in the last minute, {ever} since the start",
        ),
        "outboxes": ("共 {all}，单个节点最多 {most}", "{all} in all, {most} for one node"),
        "more links": (
            "另有 {count} 条链路未列出（--all 列出全部）",
            "{count} more links are not shown (--all shows them)",
        ),
        "more nodes": (
            "另有 {count} 个节点未列出（--all 列出全部）",
            "{count} more nodes are not shown (--all shows them)",
        ),
        "all links up": ("全部 {count} 条链路正常", "all {count} links are up and without faults"),
        "heard": ("{seconds} 秒前有消息", "heard of {seconds} s ago"),
        "never heard": ("尚无消息", "not heard of yet"),
        "behind a link": ("经中调，上级链路中断", "behind a link that is down"),
        "brackets": (
            "括号：整段曲线无法归类，按最近一段判定",
            "in brackets: the whole curve has no shape; judged by what follows its last break",
        ),
        "not there": ("{why}；每秒重试", "{why} (asked again every second)"),
    }
)
