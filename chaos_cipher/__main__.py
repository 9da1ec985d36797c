"""`python -m chaos_cipher`: figures, measurements and proofs that anybody can run again."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from chaos_cipher.errors import ChaosError

# Each module has configure(parser) and run(arguments) -> exit code. Only the one asked for is loaded: the
# cipher itself needs nothing of what they need.
COMMANDS = {
    "bifurcation": ("chaos_cipher.figures.bifurcation", "draw the paper's bifurcation diagram"),
    "distribution": ("chaos_cipher.figures.distribution", "the paper's Table 4 beside what can be measured"),
    "lyapunov": ("chaos_cipher.figures.lyapunov", "which parameters are chaotic, and how soon they mix"),
    "quality": ("chaos_cipher.quality.command", "the statistical battery, with a control that must fail"),
    "attack-fold": ("chaos_cipher.fold.command", "why a block is a hash: LM256/1 gave its state away"),
    "attack-paper": ("chaos_cipher.paper.command", "break the paper's literal cipher; try the same on LM256"),
    "speed": ("chaos_cipher.speed", "time the cipher beside ChaCha20 and AES-CTR"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns its exit code: 0 fine, 1 failed, 2 wrong use or nowhere to write, 130 interrupted, 141 cut off.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m chaos_cipher", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (path, text) in COMMANDS.items():
        one = commands.add_parser(name, help=text)
        if words[:1] == [name]:
            import_module(path).configure(one)
            one.description = ". ".join(filter(None, (text, one.description)))
    chosen = parser.parse_args(words)
    try:
        code = int(import_module(COMMANDS[chosen.command][0]).run(chosen))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough; nothing is left to flush at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ChaosError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
