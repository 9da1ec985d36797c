"""What a run found, in plain English and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaos_cipher.fold.equations import PUBLIC_BITS
from chaos_cipher.fold.trials import Guess, Stand, Trial

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Searched:
    """All ways to continue `bits - guessed` handed-over leading bits of both numbers to `bits`."""

    bits: int
    guessed: int
    guesses: Sequence[Guess]

    @property
    def found(self) -> int:
        return sum(guess.found for guess in self.guesses)

    @property
    def told_apart(self) -> bool:
        """The true guess gave the true state, no guess another one, and most gave none."""
        only_right = all(guess.right for guess in self.guesses if guess.found or guess.true)
        return only_right and self.found < len(self.guesses) / 2


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one call of the command did."""

    seed: int
    bits: int
    pairs: Sequence[tuple[Trial, Stand]]
    searched: Searched | None = None

    @property
    def as_claimed(self) -> bool:
        """Every fold fell, every hash stood, and the search told the true guess from wrong ones."""
        told_apart = self.searched is None or self.searched.told_apart
        return told_apart and all(trial.fell and stand.stood for trial, stand in self.pairs)


def guess_bits(bits: int) -> int:
    """Log2 of the guesses that a full search makes: K bits of hi, and of a's K those that are not public."""
    return bits + max(bits - PUBLIC_BITS, 0)


def told(run: Run) -> str:
    trial, stand = run.pairs[0]
    parts = [_given(run, trial), _lattice(trial), _outcome(trial)]
    parts += [_searched(run.searched)] if run.searched else []
    parts += [_stand(stand), _meaning(run, trial)]
    numbered = [f"{n}. " + "\n   ".join(lines) for n, lines in enumerate(parts, start=1)]
    return f"Seed {run.seed} (repeat with --seed {run.seed})\n\n" + "\n\n".join(numbered) + "\n"


def _given(run: Run, trial: Trial) -> list[str]:
    return [
        "What the attacker has",
        f"The first {trial.known_bytes} bytes of a segment's LM256/1 keystream (16 to a block).",
        f"The {run.bits} leading bits of the first state and of a ({PUBLIC_BITS} of a's are public).",
        f"He would have to guess these: 2^{guess_bits(run.bits)} guesses. THIS SEARCH IS NOT RUN:",
        "the true bits are handed over here. Shown is what one guess costs, and that the true one gives all.",
    ]


def _lattice(trial: Trial) -> list[str]:
    found = trial.recovered
    if found is None:
        return ["The lattice", f"Its reduction took {trial.seconds:.2f} s of CPU time and gave no state."]
    return [
        "The lattice",
        "Each state is a polynomial in two unknowns, the rest of the first state and of a. Its leading bits",
        f"and its block give it modulo 2^-128: {found.equations} equations, which tell {found.told} bits.",
        "With every product of the unknowns taken for an unknown of its own, that is a lattice of",
        f"{found.dimension} dimensions with entries of up to {found.entry_bits} bits.",
        f"Setting it up, reducing it (LLL) and trying the result: {trial.seconds:.2f} s of CPU time.",
    ]


def _outcome(trial: Trial) -> list[str]:
    if trial.recovered is None:
        return ["Outcome", "Not recovered this time; more --bits, more --blocks or another seed will do."]
    judged = "the true ones, all 256 and 128 bits" if trial.state_right else "NOT the true ones"
    return [
        "Outcome",
        f"State and a are {judged}.",
        f"The segment continued with them, against the real keystream: {trial.bytes_right:,} of the other",
        f"{trial.bytes_unknown:,} bytes are right.",
    ]


def _searched(searched: Searched) -> list[str]:
    seconds = sum(guess.seconds for guess in searched.guesses)
    true = any(guess.true and guess.right for guess in searched.guesses)
    right, found = sum(guess.right for guess in searched.guesses), searched.found
    return [
        "A small search from beginning to end, on another segment",
        f"{searched.bits - searched.guessed} bits of both numbers handed over, {searched.guessed} more of "
        f"each guessed: all {len(searched.guesses)} guesses in {seconds:.1f} s.",
        f"The true guess gave the true state: {'yes' if true else 'NO'}. Guesses that gave no state: "
        f"{len(searched.guesses) - found}.",
        f"Guesses that gave a state: {found}, of these the true one: {right}. (A guess next to the true one",
        "may do as well. Any state must repeat every known block, so a wrong one is never taken for true.)",
    ]


def _stand(stand: Stand) -> list[str]:
    return [
        "The same on LM256/2: the same states, a block is SHA-256 of the state; true bits handed over again",
        f"Equations true of the real states: with the fold {stand.fold_holds} of {stand.equations}, "
        f"with the hash {stand.hash_holds}.",
        "No state found." if stand.stood else "A STATE WAS FOUND. Please report this.",
        "An equation needs leading bits of a state's low half, as that half is a polynomial of the unknowns.",
        "The fold gave them in return for leading bits of the high half. A SHA-256 output gives bits that",
        "are no such polynomial: this attack has no equations.",
    ]


def _meaning(run: Run, trial: Trial) -> list[str]:
    return [
        "What the figures mean",
        f"LM256/1 had AT MOST the strength of about 2^{guess_bits(run.bits)} such reductions a segment,",
        f"given {trial.known_bytes} known bytes: an upper bound. States near 0 and better lattices lower it.",
        "What falls is one segment. The key and all other segments stay behind HMAC-SHA256.",
        "That LM256/2 stands here proves nothing of the map: its strength is then SHA-256's, not the map's.",
    ]


def summarised(run: Run) -> str:
    """The statistics of several trials."""
    rows = (f"{name.replace('_', ' '):<24} {value}" for name, value in _statistics(run).items())
    return "\n".join(rows) + "\n(the true leading bits were handed over; the full search is not run)\n"


def as_json(run: Run) -> Json:
    data = _statistics(run)
    data["runs"] = [_one(trial, stand) for trial, stand in run.pairs]
    if run.searched is not None:
        data["search"] = {
            "bits": run.searched.bits,
            "guessed_of_each": run.searched.guessed,
            "guesses": len(run.searched.guesses),
            "found": run.searched.found,
            "right": sum(guess.right for guess in run.searched.guesses),
            "told_apart": run.searched.told_apart,
            "cpu_seconds": sum(guess.seconds for guess in run.searched.guesses),
        }
    return data


def _statistics(run: Run) -> Json:
    seconds = sorted(trial.seconds for trial, _ in run.pairs)
    return {
        "seed": run.seed,
        "bits": run.bits,
        "log2_guesses_not_run": guess_bits(run.bits),
        "known_bytes": run.pairs[0][0].known_bytes,
        "trials": len(run.pairs),
        "fell": sum(trial.fell for trial, _ in run.pairs),
        "lm256_2_stood": sum(stand.stood for _, stand in run.pairs),
        "cpu_seconds_median": round(seconds[len(seconds) // 2], 3),
        "cpu_seconds_most": round(seconds[-1], 3),
        "as_claimed": run.as_claimed,
    }


def _one(trial: Trial, stand: Stand) -> Json:
    found = trial.recovered
    return {
        "recovered": found is not None,
        "state_right": trial.state_right,
        "bytes_right": trial.bytes_right,
        "bytes_unknown": trial.bytes_unknown,
        "cpu_seconds": trial.seconds,
        "dimension": found.dimension if found else None,
        "entry_bits": found.entry_bits if found else None,
        "equations": stand.equations,
        "true_of_the_fold": stand.fold_holds,
        "true_of_the_hash": stand.hash_holds,
        "lm256_2_stood": stand.stood,
    }
