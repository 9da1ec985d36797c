"""What a run found, in plain English and as JSON."""

from collections import Counter
from collections.abc import Sequence

from chaos_cipher.paper.attack import Broken, Prediction
from chaos_cipher.paper.cipher import GRID, HIGHEST_MU, LOWEST_MU, WARM_UP, orbit
from chaos_cipher.paper.search import Stage
from chaos_cipher.paper.trials import KEY_BITS, Outcome, Stand, Trial

Json = dict[str, object]
ALL_MU = HIGHEST_MU - LOWEST_MU + 1

VERDICTS = {
    Outcome.KEY: "The key is found and every later byte is predicted: the cipher is broken.",
    Outcome.EQUIVALENT: "An equivalent key predicts every later byte: the cipher is broken.",
    Outcome.WRONG: "Several keys give these bytes and the best guess is wrong: know more bytes (--known).",
    Outcome.UNDECIDED: "Too many keys fit to search: know more bytes (--known).",
    Outcome.NO_KEY: "No key was found.",
}


def demo_text(seed: int, trial: Trial, stand: Stand, unit: float) -> str:
    lines = [
        f"Seed {seed} (repeat with --seed {seed})",
        "",
        "1. What the attacker knows",
        f"   The cipher (x -> mu*x*(1 - x) in float64, {WARM_UP} values discarded, byte = floor(256 x)),",
        f"   the whole ciphertext of {len(trial.text)} bytes, and the plaintext of its first {trial.known}:",
        *_quoted(trial.text[: trial.known]),
        "   Plaintext XOR ciphertext is the keystream of these bytes. Not known: mu, x0, the rest.",
    ]
    if trial.broken is not None and trial.prediction is not None:
        lines += _found(trial, trial.broken, trial.prediction, unit)
    lines += ["", f"   {VERDICTS[trial.outcome]}", "", *_stand(stand, trial.known)]
    return "\n".join(lines) + "\n"


def _found(trial: Trial, broken: Broken, prediction: Prediction, unit: float) -> list[str]:
    how, at = "all tried" if broken.exhaustive else "a sample tried", broken.position
    return [
        "",
        f"2. Values of mu left, of {ALL_MU:,} on the grid (whole cells of neighbours, so an upper bound)",
        *_stages(broken.stages),
        "",
        f"3. Candidate keys (mu, state at byte {at}) left by the bounds: {broken.candidates:,.0f}, {how}",
        f"   Keys that give every known byte from there on, bit by bit: {broken.survivors:,}",
        "",
        "4. Key found and true key",
        f"   mu     found {prediction.mu_index / GRID:.7f}            true {trial.key.mu:.7f}",
        f"   state  found {prediction.state!r:<20} true {_true_state(trial, broken)!r} (byte {at})",
        f"   CPU time {trial.seconds:.3f} s, {trial.seconds / unit:.2f} times a million plain Python steps",
        "",
        f"5. The rest of the message, {len(trial.decrypted)} bytes that the attacker was never given",
        *_quoted(trial.decrypted),
        f"   Surviving keys agree on the first {prediction.sure}; {_right(trial)} bytes are right.",
    ]


def _stages(stages: Sequence[Stage]) -> list[str]:
    rows = ["   known bytes   mu left      share"]
    return rows + [f"   {s.known:>11}   {s.left:>9,}   {s.left / ALL_MU:>8.4%}" for s in stages]


def _stand(stand: Stand, known: int) -> list[str]:
    lines = [f"6. The same attack on {known} known bytes of LM256"]
    if not stand.stood:
        return [*lines, "   A key of the paper's cipher fits: LM256 did NOT stand. Please report this."]
    return [
        *lines,
        *(f"   after {count} bytes: {left:,} values of mu left" for count, left in stand.left[:2]),
        f"   No candidate survives {stand.excluded_after} bytes: this attack fails.",
        "   It shows that LM256's bytes are not those of one float orbit, and nothing more: any other",
        "   keystream stands here, even a worthless one. It is no proof that LM256 is secure.",
    ]


def _true_state(trial: Trial, broken: Broken) -> float:
    states = orbit(trial.key)
    for _ in range(broken.position):
        next(states)
    return next(states)


def _right(trial: Trial) -> int:
    return sum(a == b for a, b in zip(trial.decrypted, trial.text[trial.known :], strict=True))


def _quoted(data: bytes) -> list[str]:
    return [f"   | {line}" for line in data.decode(errors="replace").splitlines()]


def demo_json(seed: int, trial: Trial, stand: Stand, unit: float) -> Json:
    data: Json = {
        "seed": seed,
        "text_bytes": len(trial.text),
        "known_bytes": trial.known,
        "outcome": trial.outcome.value,
        "fell": trial.fell,
        "bits_per_byte": trial.bits_per_byte,
        "cpu_seconds": trial.seconds,
        "calibration_ratio": trial.seconds / unit,
        "true_mu": trial.key.mu,
        "lm256": {"stood": stand.stood, "excluded_after": stand.excluded_after, "left": stand.left},
    }
    if trial.broken is not None and trial.prediction is not None:
        data |= _found_json(trial, trial.broken, trial.prediction)
    return data


def _found_json(trial: Trial, broken: Broken, prediction: Prediction) -> Json:
    return {
        "stages": [{"known": s.known, "cell": s.cell, "mu_left": s.left} for s in broken.stages],
        "position": broken.position,
        "candidates": broken.candidates,
        "exhaustive": broken.exhaustive,
        "survivors": broken.survivors,
        "agreeing": prediction.agreeing,
        "found_mu": prediction.mu_index / GRID,
        "found_state": prediction.state,
        "true_state": _true_state(trial, broken),
        "sure_bytes": prediction.sure,
        "right_bytes": _right(trial),
        "predicted_text": trial.decrypted.decode(errors="replace"),
    }


def trials_json(seed: int, results: Sequence[tuple[Trial, Stand]], unit: float) -> Json:
    outcomes = Counter(trial.outcome for trial, _ in results)
    strong = [trial for trial, _ in results if trial.told_enough]
    seconds = sorted(trial.seconds for trial, _ in results)
    ranks = {"median": len(seconds) // 2, "p95": len(seconds) * 95 // 100, "max": len(seconds) - 1}
    spread = {name: seconds[rank] for name, rank in ranks.items()}
    trial = results[0][0]
    return {
        "seed": seed,
        "trials": len(results),
        "known_bytes": trial.known,
        "predicted_bytes": len(trial.text) - trial.known,
        "fell": sum(trial.fell for trial, _ in results),
        "outcomes": {outcome.value: outcomes[outcome] for outcome in Outcome},
        "strong_keys": len(strong),
        "strong_fell": sum(trial.fell for trial in strong),
        "cpu_seconds": spread,
        "calibration_ratio": {name: value / unit for name, value in spread.items()},
        "lm256_stood": sum(stand.stood for _, stand in results),
    }


def trials_text(seed: int, results: Sequence[tuple[Trial, Stand]], unit: float) -> str:
    data = trials_json(seed, results, unit)
    rows = [f"{name.replace('_', ' '):<20} {_plain(value)}" for name, value in data.items()]
    return (
        "\n".join([*rows, f"(strong keys: the known bytes tell at least the {KEY_BITS} bits of a key)"])
        + "\n"
    )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return f"{value:.3g}" if isinstance(value, float) else f"{value}"
