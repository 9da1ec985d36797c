"""`python -m chaos_cipher attack-paper`: breaks the paper's cipher before the reader's eyes."""

import argparse
import json
import secrets
import sys
from typing import Final

from chaos_cipher.paper.report import Json, demo_json, demo_text, trials_json, trials_text
from chaos_cipher.paper.trials import Stand, Trial, calibrate, run_trials

HELP: Final = "break the paper's float cipher from 256 known bytes, and try the same on LM256"
KNOWN_BYTES: Final = 256
ORDER: Final = (
    "调度操作指令票 Dispatch order 2023-0817-042\n"
    "受令单位 Receiver: 220kV 城南变电站 Chengnan substation\n"
    "任务 Task: 220kV 城南甲线由运行转检修 take line Chengnan-A out of service for maintenance\n"
    "1. 断开 城南甲线 2051 断路器 open breaker 2051\n"
    "2. 检查 2051 断路器三相确已断开 check that all three phases are open\n"
    "3. 拉开 20516、20511 隔离开关 open disconnectors 20516 and 20511\n"
    "4. 验明线路侧三相确无电压后合上 205167 接地开关 prove dead, then close earthing switch 205167\n"
    "5. 悬挂“禁止合闸，线路有人工作”标示牌 hang the sign: do not close, people at work on the line\n"
    "下令人 Issued by: 值班调度员 duty dispatcher 7，复诵正确后执行 execute only after a correct read-back\n"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, help="draws the keys (default: a fresh random one, printed)")
    parser.add_argument("--text", default=ORDER, help="the secret message (default: an order, 770 bytes)")
    parser.add_argument("--known", type=int, default=KNOWN_BYTES, help="known bytes (default: 256)")
    parser.add_argument("--trials", type=int, default=0, metavar="N", help="statistics over N keys instead")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """0 if the paper's cipher fell, the prediction was right and LM256 stood, every time; else 1.

    Raises TextTooShortError, TooFewKnownBytesError.
    """
    seed = secrets.randbits(64) if args.seed is None else args.seed
    text = args.text.encode(errors="surrogateescape")  # as it came from the shell
    results = _collect(seed, max(args.trials, 1), text, args.known, progress=args.trials > 0)
    unit = calibrate()
    if args.trials > 0:
        _write(args, trials_json(seed, results, unit), trials_text(seed, results, unit))
    else:
        _write(args, demo_json(seed, *results[0], unit), demo_text(seed, *results[0], unit))
    return 0 if all(trial.fell and stand.stood for trial, stand in results) else 1


def _write(args: argparse.Namespace, data: Json, text: str) -> None:
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n" if args.json else text)


def _collect(seed: int, count: int, text: bytes, known: int, *, progress: bool) -> list[tuple[Trial, Stand]]:
    results: list[tuple[Trial, Stand]] = []
    for pair in run_trials(seed, count, text, known):
        results.append(pair)
        if progress:
            _tell(results, count)
    return results


def _tell(results: list[tuple[Trial, Stand]], count: int) -> None:
    done = len(results)
    tty = sys.stderr.isatty()
    if tty or done == count or done % 50 == 0:
        fallen = sum(trial.fell for trial, _ in results)
        end = "\r" if tty and done < count else "\n"
        sys.stderr.write(f"{done} of {count} keys tried, {fallen} fell{end}")
        sys.stderr.flush()
